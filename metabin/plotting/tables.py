"""The paper's tables and curves on streets, from the reports of `metabin.experiments`."""

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from metabin.plotting.style import INK, METHODS, Look

OTHER = Look("other", "#777777", "o", "", "-")  # a method that has no look of its own
ORACLE = METHODS["oracle"]


def look_of(method: str) -> Look:
    """How a method of the experiments is drawn: as the one of METHODS that it is a variant of."""
    family = method.partition(",")[0].removesuffix("_mldg").removesuffix("_shared")
    family = {"one_episode": "metabin", "random_rho": "metabin", "metabin_source": "metabin"}.get(
        family, family
    )
    return METHODS.get(family, OTHER)


def _size(look: Look) -> float:
    return 16 if look.marker == "*" else 10  # a star's points are thin


def draw_table(report: Mapping) -> Figure:
    """Rows from top to bottom: Rank-1 on streets, seeds as small dots, mean with its 95 % interval; right, the paper's."""
    rows = report["rows"]
    printed = any(row["paper"] for row in rows)
    ratio = [3, 1] if printed else [1]
    size = (11, 1.5 + 0.42 * len(rows))
    figure, axes = plt.subplots(
        1, len(ratio), figsize=size, sharey=True, squeeze=False, width_ratios=ratio
    )
    ours, *theirs = axes[0]
    for y, row in enumerate(rows):
        look = look_of(row["method"])
        middle, low, high = (100 * x for x in row["interval"]["rank1"])
        seeds = [100 * x for x in row["metrics"]["rank1"]]
        ours.plot(seeds, [y] * len(seeds), "o", ms=4, color=look.colour, alpha=0.45, mec="none")
        ours.plot([low, high], [y, y], color=look.colour, lw=2.5, solid_capstyle="butt")
        ours.plot(
            middle, y, marker=look.marker, ms=_size(look), color=look.colour, mec="white", mew=0.8
        )
        if "oracle" in row:
            ours.plot(
                100 * sum(row["oracle"]["rank1"]) / len(seeds),
                y,
                ORACLE.marker,
                ms=7,
                color=ORACLE.colour,
            )
        for axis in theirs:
            if row["paper"]:
                axis.plot(row["paper"][0], y, METHODS["paper"].marker, ms=9, color="#8A8A8A")
    ours.set_yticks(range(len(rows)), [row["name"] for row in rows])
    ours.set_ylim(len(rows) - 0.4, -0.6)
    ours.set_xlabel("Rank-1 on streets (%)")
    if any("oracle" in row for row in rows):
        ours.plot(
            [],
            [],
            ORACLE.marker,
            color=ORACLE.colour,
            ms=7,
            ls="",
            label="with oracle rho: headroom, no result",
        )
        figure.legend(loc="outside lower left")
    for axis in theirs:
        axis.set_xlabel("paper, real data (%)")
        axis.tick_params(axis="y", length=0)
    figure.suptitle(textwrap.fill(report["title"], 70))
    return figure


def draw_curves(report: Mapping) -> Figure:
    """A panel for each series: Rank-1 over what is varied, seeds as small dots, mean with its 95 % interval.

    Where memory was measured as well, it stands below: bars for the meta-step, a line for the base step.
    """
    series = list(dict.fromkeys(row["series"] for row in report["rows"]))
    memory = "meta_mib" in report["rows"][0]
    panels = dict(
        height_ratios=(2, 1) if memory else (1,), sharex="col", sharey="row", squeeze=False
    )
    size = (5.2 * max(len(series), 1.4), 6.2 if memory else 4.4)
    figure, axes = plt.subplots(1 + memory, len(series), figsize=size, **panels)
    for column, name in zip(axes.T, series, strict=True):
        rows = [row for row in report["rows"] if row["series"] == name]
        _draw_curve(column[0], rows)
        if memory:
            _draw_memory(column[1], rows)
        last = column[-1]
        last.set_xticks(
            range(len(rows)), [f"{row['at']:g}" for row in rows]
        )  # even distances: steps are by factors
        last.xaxis.set_minor_locator(NullLocator())
        last.set_xlabel(
            f"{name}: {report['axis']}"
            if report["axis"] and len(series) > 1
            else report["axis"] or name
        )
    axes[0, 0].set_ylabel("Rank-1 on unseen streets (%)")
    if memory:
        axes[1, 0].set_ylabel("memory (MiB)")
        figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    figure.suptitle(textwrap.fill(report["title"], 70))
    return figure


def _draw_curve(axis: Axes, rows: Sequence[Mapping]) -> None:
    look, places = look_of(rows[0]["method"]), range(len(rows))
    axis.plot(
        places, [100 * row["interval"]["rank1"][0] for row in rows], color=look.colour, ls=look.line
    )
    for x, row in zip(places, rows, strict=True):
        middle, low, high = (100 * value for value in row["interval"]["rank1"])
        seeds = [100 * value for value in row["metrics"]["rank1"]]
        axis.plot([x] * len(seeds), seeds, "o", ms=4, color=look.colour, alpha=0.45, mec="none")
        axis.plot([x, x], [low, high], color=look.colour, lw=2.5, alpha=0.6)
        axis.plot(
            x, middle, marker=look.marker, ms=_size(look), color=look.colour, mec="white", mew=0.8
        )


def _draw_memory(axis: Axes, rows: Sequence[Mapping]) -> None:
    axis.bar(
        range(len(rows)),
        [row["meta_mib"] for row in rows],
        width=0.5,
        color="#BBBBBB",
        label="meta-step",
    )
    axis.axhline(rows[0]["base_mib"], color=INK, ls="--", lw=1.5, label="base step")
