"""Who finds how many people, and what can be read from whose features."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from metabin.experiments import SPINE
from metabin.plotting.marks import draw_rates, draw_tiles
from metabin.plotting.panels import legend_below, row_of_panels
from metabin.plotting.style import FAINT, INK, LOOKS
from metabin.plotting.training import TITLES

UNDECIDED = "#E4E4E4"
GAP_COLOURS = [LOOKS["in"].colour, "#F7F7F7", LOOKS["bn"].colour]  # IN is ahead … BN is ahead
Rates = Mapping[str, Sequence[float]]  # method -> fractions


def draw_comparison(axis: Axes, values: Rates) -> None:
    """A bar a method: the mean over seeds in percent; seeds are dots."""
    for x, (method, seeds) in enumerate(values.items()):
        look, percent = LOOKS[method], 100 * np.asarray(seeds)
        axis.bar(x, percent.mean(), 0.72, color=look.colour, hatch=look.hatch, alpha=0.9)
        spread = np.linspace(x - 0.2, x + 0.2, len(percent))
        axis.plot(spread, percent, "o", color=INK, ms=5)
        box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none"}
        text = {"ha": "center", "fontsize": 15, "fontweight": "bold", "bbox": box}
        axis.annotate(f"{percent.mean():.0f}", (x, 4), **text)
    axis.set_xticks(range(len(values)), [LOOKS[method].name for method in values])
    axis.grid(axis="x", visible=False)
    axis.set(ylim=(0, 100), ylabel="Rank-1 (%)")


def draw_transfer(panels: Mapping[str, Rates]) -> Figure:
    """Rank-1 by method, a panel for each kind of streets; every dot is one street or seed."""
    figure, axes = row_of_panels(len(panels), (6, 4.8))
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        draw_comparison(axis, values)
        axis.set_title(title)
        axis.label_outer()
    return figure


def draw_three_tests(report: Mapping) -> Figure:
    """Rank-1 of five methods at home, on unseen and on far streets; every dot is one world.

    report: Table 1 of finished trainings (figures/results/table1-finished.json).
    """
    panels = {title: {} for title in TITLES.values()}
    for row in report["rows"]:
        if row["method"] in SPINE:
            for test, title in TITLES.items():
                panels[title][row["method"]] = row["also"].get(test, row)["metrics"]["rank1"]
    return draw_transfer(panels)


def draw_readings(panels: Mapping[str, Rates], guesses: Mapping[str, float]) -> Figure:
    """How well something can be read after each norm layer: a panel for each thing.

    A line for each method; a dotted grey line marks what guessing would give (`guesses`).
    """
    figure, axes = row_of_panels(len(panels), (4.4, 4.4))
    for axis, (title, rates) in zip(axes, panels.items(), strict=True):
        layers = len(next(iter(rates.values())))
        draw_rates(axis, range(1, layers + 1), rates)
        axis.axhline(100 * guesses[title], color="#777777", ls=":", label="guessing")
        axis.set(title=title, xlabel="norm layer", ylim=(0, 100))
    axes[0].set_ylabel("read correctly (%)")
    legend_below(figure, axes[0])
    return figure


def draw_knob(panels: Mapping[str, Rates], values: Rates) -> Figure:
    """Rank-1 while one knob of the world is turned: a panel for each knob with its `values`."""
    figure, axes = row_of_panels(len(panels), (6, 4.6))
    for axis, (knob, rates) in zip(axes, panels.items(), strict=True):
        draw_rates(axis, values[knob], rates)
        axis.set(xlabel=knob, xticks=values[knob], ylim=(0, 100))
    axes[0].set_ylabel("Rank-1 (%)")
    legend_below(figure, axes[0])
    return figure


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
    labels = np.full((2, *shape), "", object)
    for cell in report["cells"]:
        tile = colours.index(cell["colour"]), styles.index(cell["style"])
        bn, in_ = (np.asarray(cell["methods"][name]["rank1"]) for name in ("bn", "in"))
        points = (100 * (bn - in_)).tolist()  # by seed
        gaps[tile], winners[tile] = mean(points), methods.index(cell["winner"])
        decided[:, *tile] = abs(mean(points)) > stdev(points), cell["decided"]
        lead = f"{LOOKS[cell['winner']].name}\n{100 * mean(cell['lead']):+.0f}"
        labels[:, *tile] = f"{mean(points):+.0f}", lead
    figure, axes = row_of_panels(2, (6.25, 5.4))
    by_gap = {
        "cmap": LinearSegmentedColormap.from_list("gap", GAP_COLOURS),
        "vmin": -30,
        "vmax": 30,
    }
    by_winner = {"cmap": ListedColormap([LOOKS[method].colour for method in methods])}
    by_winner |= {"vmin": -0.5, "vmax": len(methods) - 0.5}
    options = {"linewidths": 3, "linecolor": "white", "cbar": False}
    options |= {"xticklabels": [f"{style:g}" for style in styles]}
    options |= {"yticklabels": [f"{100 * colour:.0f} %" for colour in colours]}
    by_panel = zip(axes, (gaps, winners), (by_gap, by_winner), decided, labels, strict=True)
    for axis, tiles, scale, sure, words in by_panel:
        font = {"fontsize": 15, "fontweight": "bold"}
        draw_tiles(axis, tiles, words, font, mask=~sure, **scale, **options)
        axis.set_facecolor(UNDECIDED)
        for row, column in np.argwhere(~sure):
            hatch = {"fill": False, "edgecolor": "#BBBBBB", "hatch": "//", "lw": 0}
            axis.add_patch(Rectangle((column + 0.02, row + 0.02), 0.96, 0.96, **hatch))
        axis.set_xlabel("how far styles differ")
        axis.invert_yaxis()
    axes[0].set(title="BN minus IN, points of Rank-1", ylabel="share of identity that is colour")
    axes[1].set_title("The winner, and its lead over the second")
    handles = [Patch(facecolor=LOOKS[m].colour, label=f"{LOOKS[m].name} wins") for m in methods]
    hatched = {"facecolor": UNDECIDED, "edgecolor": FAINT, "hatch": "//"}
    legend_below(figure, [*handles, Patch(**hatched, label="undecided between these seeds")])
    return figure
