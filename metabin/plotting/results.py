"""Who finds how many people, and what can be read from whose features."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from metabin.plotting.panels import legend_below, row_of_panels
from metabin.plotting.style import FAINT, INK, LOOKS

UNDECIDED = "#E4E4E4"
Rates = Mapping[str, Sequence[float]]  # method -> fractions


def draw_comparison(axis: Axes, values: Rates, oracles: Rates) -> None:
    """A bar a method: the mean over seeds in percent; seeds are dots, oracles black lines."""
    for x, (method, seeds) in enumerate(values.items()):
        look, percent = LOOKS[method], 100 * np.asarray(seeds)
        axis.bar(x, percent.mean(), 0.72, color=look.colour, hatch=look.hatch, alpha=0.9)
        spread = np.linspace(x - 0.2, x + 0.2, len(percent))
        axis.plot(spread, percent, "o", color=INK, ms=5)
        box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none"}
        text = {"ha": "center", "fontsize": 15, "fontweight": "bold", "bbox": box}
        axis.annotate(f"{percent.mean():.0f}", (x, 4), **text)
        if method in oracles:
            level = 100 * mean(oracles[method])
            axis.hlines(level, x - 0.4, x + 0.4, color="#000000", linestyles=(0, (2, 1)))
    axis.set_xticks(range(len(values)), [LOOKS[method].name for method in values])
    axis.grid(axis="x", visible=False)
    axis.set(ylim=(0, 100), ylabel="Rank-1 (%)")


def draw_spine(report: Mapping) -> Figure:
    """Rank-1 of five methods on unseen and on own streets (figures/results/spine.json)."""
    titles = {
        "unseen_streets": "Streets never seen",
        "same_streets": "Own streets, people told apart by colour",
    }
    figure, axes = row_of_panels(len(titles), (6, 4.8))
    for axis, (setting, title) in zip(axes, titles.items(), strict=True):
        rows = report[setting]["methods"]
        values, oracles = {}, {}
        for method in LOOKS:
            if method in rows:
                values[method] = rows[method]["rank1"]
            if f"{method} + oracle rho" in rows:
                oracles[method] = rows[f"{method} + oracle rho"]["rank1"]
        draw_comparison(axis, values, oracles)
        axis.set_title(title)
    axes[1].set_ylabel("")
    return figure


def draw_transfer(panels: Mapping[str, Rates]) -> Figure:
    """Rank-1 by method, a panel for each kind of streets; every dot is one street."""
    figure, axes = row_of_panels(len(panels), (5, 4.4))
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        draw_comparison(axis, values, {})
        axis.set_title(title)
    for axis in axes[1:]:
        axis.set_ylabel("")
    return figure


def draw_readings(panels: Mapping[str, Rates], guesses: Mapping[str, float]) -> Figure:
    """How well something can be read after each norm layer: a panel for each thing.

    A line for each method; a dotted grey line marks what guessing would give (`guesses`).
    """
    figure, axes = row_of_panels(len(panels), (4.4, 4.4))
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        for method, values in lines.items():
            _draw_line(axis, range(1, len(values) + 1), values, method)
        axis.axhline(100 * guesses[title], color="#777777", ls=":", label="guessing")
        axis.set(title=title, xlabel="norm layer", ylim=(0, 100))
    axes[0].set_ylabel("read correctly (%)")
    legend_below(figure, axes[0])
    return figure


def draw_knob(panels: Mapping[str, Rates], values: Rates) -> Figure:
    """Rank-1 while one knob of the world is turned: a panel for each knob with its `values`."""
    figure, axes = row_of_panels(len(panels), (6, 4.6))
    for axis, (knob, lines) in zip(axes, panels.items(), strict=True):
        for method, rates in lines.items():
            _draw_line(axis, values[knob], rates, method)
        axis.set(xlabel=knob, xticks=values[knob], ylim=(0, 100))
    axes[0].set_ylabel("Rank-1 (%)")
    legend_below(figure, axes[0])
    return figure


def _draw_line(axis: Axes, x: Sequence[float], rates: Sequence[float], method: str) -> None:
    look, percent = LOOKS[method], 100 * np.asarray(rates)
    style = {"color": look.colour, "marker": look.marker, "ls": look.line, "label": look.name}
    axis.plot(x, percent, **style)


def draw_phase(report: Mapping) -> Figure:
    """Who wins where (figures/results/phase.json): BN minus IN in Rank-1, and the winner's lead.

    Right, by how far styles differ; up, by how much of identity is colour. Grey and hatched tiles
    are not decided by these seeds.
    """
    styles, colours = report["styles"], report["colours"]
    methods = list(report["methods"])
    shape = len(colours), len(styles)
    gaps, winners = np.zeros(shape), np.zeros(shape, int)
    decided = np.zeros((2, *shape), bool)  # by panel
    labels = np.empty((2, *shape), object)
    for cell in report["cells"]:
        tile = colours.index(cell["colour"]), styles.index(cell["style"])
        bn, in_ = (np.asarray(cell["methods"][name]["rank1"]) for name in ("bn", "in"))
        points = (100 * (bn - in_)).tolist()  # by seed
        gaps[tile], winners[tile] = mean(points), methods.index(cell["winner"])
        decided[0][tile] = abs(mean(points)) > stdev(points)
        decided[1][tile] = cell["decided"]
        labels[0][tile] = f"{mean(points):+.0f}"
        labels[1][tile] = f"{LOOKS[cell['winner']].name}\n{100 * mean(cell['lead']):+.0f}"

    figure, axes = row_of_panels(2, (6.25, 5.4))
    ends = LOOKS["in"].colour, "#F7F7F7", LOOKS["bn"].colour
    by_gap = {"cmap": LinearSegmentedColormap.from_list("gap", ends), "vmin": -30, "vmax": 30}
    colours_of = ListedColormap([LOOKS[method].colour for method in methods])
    by_winner = {"cmap": colours_of, "vmin": -0.5, "vmax": len(methods) - 0.5}
    panels = zip(axes, (gaps, winners), (by_gap, by_winner), decided, labels, strict=True)
    for axis, tiles, scale, sure, text in panels:
        _draw_tiles(axis, tiles, scale, sure, text)
        axis.set_xticks(np.arange(len(styles)) + 0.5, [f"{style:g}" for style in styles])
        axis.set_yticks(np.arange(len(colours)) + 0.5, [f"{100 * c:.0f} %" for c in colours])
        axis.tick_params(axis="y", rotation=0)
        axis.set_xlabel("how far styles differ")
    axes[0].set(title="BN minus IN, points of Rank-1", ylabel="share of identity that is colour")
    axes[1].set_title("The winner, and its lead over the second")
    handles = [Patch(facecolor=LOOKS[m].colour, label=f"{LOOKS[m].name} wins") for m in methods]
    hatched = {"facecolor": UNDECIDED, "edgecolor": FAINT, "hatch": "//"}
    handles.append(Patch(**hatched, label="undecided between these seeds"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _draw_tiles(
    axis: Axes, tiles: np.ndarray, scale: Mapping, decided: np.ndarray, labels: np.ndarray
) -> None:
    """A heat map (rows, columns) with a label in each tile; undecided tiles are grey, hatched."""
    axis.set_facecolor(UNDECIDED)
    sns.heatmap(
        tiles,
        mask=~decided,
        cbar=False,
        linewidths=3,
        linecolor="white",
        ax=axis,
        **scale,
    )
    axis.invert_yaxis()
    for row, column in np.ndindex(tiles.shape):
        ink = _ink_on(scale, tiles[row, column]) if decided[row, column] else "#666666"
        style = {"ha": "center", "va": "center", "fontsize": 15, "fontweight": "bold"}
        axis.text(column + 0.5, row + 0.5, labels[row, column], color=ink, **style)
        if not decided[row, column]:
            hatch = {"fill": False, "edgecolor": "#BBBBBB", "hatch": "//", "lw": 0}
            axis.add_patch(Rectangle((column + 0.02, row + 0.02), 0.96, 0.96, **hatch))
    axis.tick_params(length=0)
    axis.grid(visible=False)


def _ink_on(scale: Mapping, value: float) -> str:
    """White on a dark tile, ink on a light one."""
    share = (value - scale["vmin"]) / (scale["vmax"] - scale["vmin"])
    red, green, blue, _ = scale["cmap"](share)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.45 else INK


def draw_differences(rows: Mapping[str, Sequence[float]], label: str) -> Figure:
    """Differences with their intervals, (mean, low, high) as fractions, in points.

    A dot is filled where its interval excludes 0.
    """
    figure, axis = plt.subplots(figsize=(8.5, 0.55 * len(rows) + 1.5))
    for y, (middle, low, high) in enumerate(rows.values()):
        face = INK if low > 0 or high < 0 else "white"
        axis.plot([100 * low, 100 * high], [y, y], color=INK, lw=3)
        axis.plot(100 * middle, y, "o", ms=11, mfc=face, mec=INK, mew=2)
    axis.axvline(0, color=FAINT, lw=1.5)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set(xlabel=label, ylim=(len(rows) - 0.5, -0.5))
    axis.grid(axis="y", visible=False)
    return figure
