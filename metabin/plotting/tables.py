"""The paper's tables and curves on streets, from the reports of `metabin.experiments`."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from metabin.plotting.style import INK, LOOKS, Look

ORACLE, PAPER = LOOKS["oracle"], LOOKS["paper"]


def look_of(method: str) -> Look:
    """How a method of the experiments is drawn: as the method that it is a variant of."""
    if method.startswith(("metabin", "one_episode", "random_rho")):
        return LOOKS["metabin"]
    family = method.partition(",")[0].removesuffix("_mldg").removesuffix("_shared")
    return LOOKS[family]


def draw_table(report: Mapping) -> Figure:
    """Rows from top to bottom: Rank-1 on streets, its mean with the 95 % interval, seeds as dots.

    On the right the paper's numbers, if it has some.
    """
    rows = report["rows"]
    ratio = [3, 1] if any(row["paper"] for row in rows) else [1]
    figure, axes = plt.subplots(
        1,
        len(ratio),
        figsize=(11, 1.5 + 0.42 * len(rows)),
        sharey=True,
        squeeze=False,
        width_ratios=ratio,
    )
    ours, *theirs = axes[0]
    for y, row in enumerate(rows):
        _draw_row(ours, y, row)
        for axis in theirs:
            if row["paper"]:
                axis.plot(row["paper"][0], y, PAPER.marker, ms=9, color="#8A8A8A")
    ours.set_yticks(range(len(rows)), [row["name"] for row in rows])
    ours.set(ylim=(len(rows) - 0.4, -0.6), xlabel="Rank-1 on streets (%)", ylabel="")
    if any("oracle" in row for row in rows):
        label = "with oracle rho: headroom, no result"
        ours.plot([], [], ORACLE.marker, color=ORACLE.colour, ms=7, ls="", label=label)
        figure.legend(loc="outside lower left")
    for axis in theirs:
        axis.set_xlabel("paper, real data (%)")
        axis.tick_params(axis="y", length=0)
    figure.suptitle(textwrap.fill(report["title"], 70))
    return figure


def _draw_row(axis: Axes, y: int, row: Mapping) -> None:
    look = look_of(row["method"])
    seeds = 100 * np.asarray(row["metrics"]["rank1"])
    middle, low, high = (100 * value for value in row["interval"]["rank1"])
    dots = {"size": 4, "color": look.colour, "alpha": 0.45, "jitter": False}
    sns.stripplot(x=seeds, y=[y] * len(seeds), orient="h", native_scale=True, ax=axis, **dots)
    axis.plot([low, high], [y, y], color=look.colour, lw=2.5, solid_capstyle="butt")
    marker = {"marker": look.marker, "ms": look.size, "color": look.colour}
    axis.plot(middle, y, **marker, mec="white", mew=0.8)
    if "oracle" in row:
        level = 100 * np.mean(row["oracle"]["rank1"])
        axis.plot(level, y, ORACLE.marker, ms=7, color=ORACLE.colour)


def draw_curves(report: Mapping) -> Figure:
    """A panel for each series: Rank-1 over what is varied, with the 95 % interval, seeds as dots.

    Where memory was measured as well, it is below: bars for the meta-step, a line for the base
    step.
    """
    series = list(dict.fromkeys(row["series"] for row in report["rows"]))
    memory = "meta_mib" in report["rows"][0]
    figure, axes = plt.subplots(
        1 + memory,
        len(series),
        figsize=(5.2 * max(len(series), 1.4), 6.2 if memory else 4.4),
        height_ratios=(2, 1) if memory else (1,),
        sharex="col",
        sharey="row",
        squeeze=False,
    )
    for column, name in zip(axes.T, series, strict=True):
        rows = [row for row in report["rows"] if row["series"] == name]
        _draw_curve(column[0], rows)
        if memory:
            _draw_memory(column[1], rows)
        # Even distances: steps are by factors.
        column[-1].set_xticks(range(len(rows)), [f"{row['at']:g}" for row in rows])
        column[-1].xaxis.set_minor_locator(NullLocator())
        words = [name] if len(series) > 1 or not report["axis"] else []
        column[-1].set_xlabel(": ".join(filter(None, [*words, report["axis"]])))
    axes[0, 0].set_ylabel("Rank-1 on unseen streets (%)")
    if memory:
        axes[1, 0].set_ylabel("memory (MiB)")
        handles, labels = axes[1, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2)
    figure.suptitle(textwrap.fill(report["title"], 70))
    return figure


def _draw_curve(axis: Axes, rows: Sequence[Mapping]) -> None:
    look = look_of(rows[0]["method"])
    means = [100 * row["interval"]["rank1"][0] for row in rows]
    axis.plot(range(len(rows)), means, color=look.colour, ls=look.line)
    for x, row in enumerate(rows):
        middle, low, high = (100 * value for value in row["interval"]["rank1"])
        seeds = 100 * np.asarray(row["metrics"]["rank1"])
        axis.plot([x] * len(seeds), seeds, "o", ms=4, color=look.colour, alpha=0.45, mec="none")
        axis.plot([x, x], [low, high], color=look.colour, lw=2.5, alpha=0.6)
        marker = {"marker": look.marker, "ms": look.size, "color": look.colour}
        axis.plot(x, middle, **marker, mec="white", mew=0.8)


def _draw_memory(axis: Axes, rows: Sequence[Mapping]) -> None:
    heights = [row["meta_mib"] for row in rows]
    axis.bar(range(len(rows)), heights, width=0.5, color="#BBBBBB", label="meta-step")
    axis.axhline(rows[0]["base_mib"], color=INK, ls="--", lw=1.5, label="base step")
