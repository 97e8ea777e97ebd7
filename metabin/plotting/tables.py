"""The paper's tables and curves on streets, from the reports of `metabin.experiments`."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt

from metabin.plotting.marks import draw_intervals, name_rows
from metabin.plotting.panels import row_of_panels
from metabin.plotting.style import INK, LOOKS, Look

ORACLE, PAPER = LOOKS["oracle"], LOOKS["paper"]
FURTHER = {"far": "on far streets (%)", "home": "at home (%)"}  # tests of finished trainings


def look_of(method: str) -> Look:
    """How a method of the experiments is drawn: as the method that it is a variant of."""
    if method.startswith(("metabin", "one_episode", "random_rho")):
        return LOOKS["metabin"]
    family = method.partition(",")[0].removesuffix("_mldg").removesuffix("_shared")
    return LOOKS[family]


def _draw_rows(axis: plt.Axes, rows: Sequence[Mapping], across: bool = False) -> None:
    """Rank-1 of rows at 0, 1, ...: its mean with the interval, and beside that a dot a seed."""
    for at, row in enumerate(rows):
        look = look_of(row["method"])
        style = look.marks | {"ms": look.size, "mec": "white", "mew": 0.8}
        draw_intervals(axis, [at], 100 * np.array(row["interval"]["rank1"]), style, across)
        seeds = 100 * np.asarray(row["metrics"]["rank1"])
        beside = [at + 0.22 if across else at + 0.1] * len(seeds)
        points = {"x": seeds, "y": beside} if across else {"x": beside, "y": seeds}
        dots = {"size": 4, "color": look.colour, "alpha": 0.6, "jitter": False}
        sns.stripplot(**points, orient="h" if across else "v", native_scale=True, ax=axis, **dots)


def draw_table(report: Mapping) -> plt.Figure:
    """Rows from top to bottom: Rank-1 on streets, its mean with the 95 % interval, seeds as dots.

    Beside it the further tests of finished trainings, and on the right the paper's numbers, if
    there are some.
    """
    rows = report["rows"]
    printed = [(row["paper"][0], y) for y, row in enumerate(rows) if row["paper"]]
    further = list(rows[0].get("also", {}))
    tests = {"Rank-1 on unseen streets (%)" if further else "Rank-1 on streets (%)": rows}
    for test in further:
        tests[FURTHER[test]] = [row | row["also"][test] for row in rows]
    ratio = [2 if further else 3] * len(tests) + [1] * bool(printed)
    size = (14 if further else 11) / len(ratio), 1.5 + 0.42 * len(rows)
    figure, axes = row_of_panels(len(ratio), size, width_ratios=ratio)
    for axis, (label, shown) in zip(axes, tests.items(), strict=False):
        _draw_rows(axis, shown, across=True)
        axis.set(xlabel=label, ylabel="")
    name_rows(axes[0], [row["name"] for row in rows])
    if printed:
        axes[-1].plot(*zip(*printed, strict=True), PAPER.marker, ms=9, color="#8A8A8A")
        axes[-1].set_xlabel("paper (%)" if further else "paper, real data (%)")
    for axis in axes[1:]:
        axis.tick_params(axis="y", length=0)
    oracles = {y: np.mean(row["oracle"]["rank1"]) for y, row in enumerate(rows) if "oracle" in row}
    if oracles:
        style = {"ms": 7, "color": ORACLE.colour, "label": "with oracle rho: headroom, no result"}
        axes[0].plot(100 * np.array(list(oracles.values())), list(oracles), ORACLE.marker, **style)
        figure.legend(loc="outside lower left")
    figure.suptitle(textwrap.fill(report["title"], 70))
    return figure


def draw_curves(report: Mapping) -> plt.Figure:
    """A panel for each series: Rank-1 over what is varied, with the 95 % interval, seeds as dots.

    Where memory was measured as well, it is below: bars for the meta-step, a line for the base
    step.
    """
    series = list(dict.fromkeys(row["series"] for row in report["rows"]))
    memory = "meta_mib" in report["rows"][0]
    size = 5.2 * max(len(series), 1.4), 6.2 if memory else 4.4
    options = {"height_ratios": (2, 1)} if memory else {}
    options |= {"sharex": "col", "sharey": "row", "squeeze": False}
    figure, axes = plt.subplots(1 + memory, len(series), figsize=size, **options)
    for column, name in zip(axes.T, series, strict=True):
        rows = [row for row in report["rows"] if row["series"] == name]
        look, means = look_of(rows[0]["method"]), [row["interval"]["rank1"][0] for row in rows]
        column[0].plot(100 * np.array(means), color=look.colour, ls=look.line)
        _draw_rows(column[0], rows)
        if memory:
            heights = [row["meta_mib"] for row in rows]
            column[1].bar(range(len(rows)), heights, 0.5, color="#BBBBBB", label="meta-step")
            base = rows[0]["base_mib"]
            column[1].axhline(base, color=INK, ls="--", lw=1.5, label="base step")
        # Even distances: steps are by factors.
        column[-1].set_xticks(range(len(rows)), [f"{row['at']:g}" for row in rows])
        words = [name] if len(series) > 1 or not report["axis"] else []
        column[-1].set_xlabel(": ".join(filter(None, [*words, report["axis"]])))
    axes[0, 0].set_ylabel("Rank-1 on unseen streets (%)")
    if memory:
        axes[1, 0].set_ylabel("memory (MiB)")
        handles, labels = axes[1, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2)
    figure.suptitle(textwrap.fill(report["title"], 70))
    return figure
