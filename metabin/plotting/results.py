"""Who finds how many people, and what can be read from whose features."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.patches import Patch

from metabin.experiments import SPINE
from metabin.plotting.history import TITLES
from metabin.plotting.marks import BOX, draw_rates, draw_tiles
from metabin.plotting.panels import legend_below, row_of_panels, titled_panels
from metabin.plotting.style import INK, LOOKS

UNDECIDED = {"facecolor": "#E4E4E4", "edgecolor": "#BBBBBB", "hatch": "//"}
ENDS = [LOOKS["in"].colour, "#F7F7F7", LOOKS["bn"].colour]  # IN is ahead … BN is ahead
GAPS = LinearSegmentedColormap.from_list("gap", ENDS)
Rates = Mapping[str, Sequence[float]]  # method -> fractions


def draw_comparison(axis: plt.Axes, values: Rates) -> None:
    """A bar a method: the mean over seeds in percent; seeds are dots."""
    for x, (method, seeds) in enumerate(values.items()):
        look, percent = LOOKS[method], 100 * np.asarray(seeds)
        axis.bar(x, percent.mean(), 0.72, alpha=0.9, **look.bars)
        axis.plot(np.linspace(x - 0.2, x + 0.2, len(percent)), percent, "o", color=INK, ms=5)
        text = {"ha": "center", "fontsize": 15, "fontweight": "bold", "bbox": BOX}
        axis.annotate(f"{percent.mean():.0f}", (x, 4), **text)
    axis.set_xticks(range(len(values)), [LOOKS[method].name for method in values])
    axis.grid(axis="x", visible=False)
    axis.set(ylim=(0, 100), ylabel="Rank-1 (%)")


def draw_transfer(panels: Mapping[str, Rates]) -> plt.Figure:
    """Rank-1 by method, a panel for each kind of streets; every dot is one street or seed."""
    figure, axes = titled_panels(panels, (6, 4.8))
    for axis, values in axes:
        draw_comparison(axis, values)
        axis.label_outer()
    return figure


def draw_three_tests(report: Mapping) -> plt.Figure:
    """Rank-1 of five methods at home, on unseen and on far streets; every dot is one world.

    report: Table 1 of finished trainings (figures/results/table1-finished.json).
    """
    panels = {title: {} for title in TITLES.values()}
    for row in report["rows"]:
        if row["method"] in SPINE:
            for test, title in TITLES.items():
                panels[title][row["method"]] = row["also"].get(test, row)["metrics"]["rank1"]
    return draw_transfer(panels)


def draw_readings(panels: Mapping[str, Rates], guesses: Mapping[str, float]) -> plt.Figure:
    """How well something can be read after each norm layer: a panel for each thing.

    A line for each method; a dotted grey line marks what guessing would give (`guesses`).
    """
    labels = {"xlabel": "norm layer", "ylabel": "read correctly (%)"}
    figure, axes = titled_panels(panels, (4.4, 4.4), ylim=(0, 100), **labels)
    for (axis, rates), thing in zip(axes, panels, strict=True):
        draw_rates(axis, rates)
        axis.axhline(100 * guesses[thing], color="#777777", ls=":", label="guessing")
    legend_below(figure)
    return figure


def draw_knob(panels: Mapping[str, Rates], values: Rates) -> plt.Figure:
    """Rank-1 while one knob of the world is turned: a panel for each knob with its `values`."""
    figure, axes = row_of_panels(len(panels), (6, 4.6))
    for axis, (knob, rates) in zip(axes, panels.items(), strict=True):
        draw_rates(axis, rates, values[knob])
        axis.set(xlabel=knob, xticks=values[knob], ylim=(0, 100))
    axes[0].set_ylabel("Rank-1 (%)")
    legend_below(figure)
    return figure


def draw_phase(report: Mapping) -> plt.Figure:
    """Who wins where (figures/results/phase.json): BN minus IN in Rank-1, and the winner's lead.

    Right, by how far styles differ; up, by how much of identity is colour. Grey and hatched tiles
    are not decided by these seeds.
    """
    styles, colours, methods = report["styles"], report["colours"], list(report["methods"])
    shape = 2, len(colours), len(styles)
    values, sure = np.zeros(shape), np.zeros(shape, bool)  # by panel
    words = np.full(shape, "", object)
    for cell in report["cells"]:
        tile = colours.index(cell["colour"]), styles.index(cell["style"])
        bn, in_ = (np.asarray(cell["methods"][name]["rank1"]) for name in ("bn", "in"))
        gaps = 100 * (bn - in_)  # by seed
        lead = f"{LOOKS[cell['winner']].name}\n{100 * np.mean(cell['lead']):+.0f}"
        values[:, *tile] = gaps.mean(), methods.index(cell["winner"])
        sure[:, *tile] = abs(gaps.mean()) > gaps.std(ddof=1), cell["decided"]
        words[:, *tile] = f"{gaps.mean():+.0f}", lead
    figure, axes = row_of_panels(2, (6.25, 5.4))
    by_gap = {"cmap": GAPS, "vmin": -30, "vmax": 30}
    winners = ListedColormap([LOOKS[method].colour for method in methods])
    by_winner = {"cmap": winners, "vmin": -0.5, "vmax": len(methods) - 0.5}
    labels = {"xticklabels": [f"{style:g}" for style in styles]}
    labels["yticklabels"] = [f"{100 * colour:.0f} %" for colour in colours]
    font = {"fontsize": 15, "fontweight": "bold"}
    for i, (axis, scale) in enumerate(zip(axes, (by_gap, by_winner), strict=True)):
        options = scale | labels | {"mask": ~sure[i], "linewidths": 3, "cbar": False}
        draw_tiles(axis, values[i], words[i], font, **options)
        axis.patch.set(**UNDECIDED)
        axis.set_xlabel("how far styles differ")
        axis.invert_yaxis()
    axes[0].set(title="BN minus IN, points of Rank-1", ylabel="share of identity that is colour")
    axes[1].set_title("The winner, and its lead over the second")
    handles = [Patch(facecolor=LOOKS[m].colour, label=f"{LOOKS[m].name} wins") for m in methods]
    legend_below(figure, [*handles, Patch(**UNDECIDED, label="undecided between these seeds")])
    return figure
