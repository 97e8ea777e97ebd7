"""Who finds how many people, and what can be read from whose features."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from metabin.plotting.style import FAINT, INK, METHODS, Look


def draw_comparison(
    axis: Axes, values: Mapping[str, Sequence[float]], oracles: Mapping[str, Sequence[float]]
) -> None:
    """A bar for each method: the mean over seeds of a fraction, in percent, each seed a dot; oracles as black ticks."""
    for x, (method, seeds) in enumerate(values.items()):
        look, percent = METHODS[method], [100 * value for value in seeds]
        axis.bar(x, mean(percent), 0.72, color=look.colour, hatch=look.hatch, alpha=0.9)
        axis.plot(np.linspace(x - 0.2, x + 0.2, len(percent)), percent, "o", color=INK, ms=5, ls="")
        box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none"}
        axis.annotate(
            f"{mean(percent):.0f}", (x, 4), ha="center", fontsize=15, fontweight="bold", bbox=box
        )
        if method in oracles:
            axis.hlines(
                100 * mean(oracles[method]),
                x - 0.4,
                x + 0.4,
                color="#000000",
                linestyles=(0, (2, 1)),
            )
    axis.set_xticks(range(len(values)), [METHODS[method].name for method in values])
    axis.grid(axis="x", visible=False)
    axis.set_ylim(0, 100)
    axis.set_ylabel("Rank-1 (%)")


def draw_spine(report: Mapping) -> Figure:
    """Rank-1 of five methods on unseen streets and on the training streets (figures/results/spine.json)."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.8), sharey=True)
    titles = {
        "unseen_streets": "Streets never seen",
        "same_streets": "Own streets, people told apart by colour",
    }
    for axis, (setting, title) in zip(axes, titles.items(), strict=True):
        rows = report[setting]["methods"]
        values = {method: rows[method]["rank1"] for method in METHODS if method in rows}
        oracles = {
            m: rows[f"{m} + oracle rho"]["rank1"] for m in values if f"{m} + oracle rho" in rows
        }
        draw_comparison(axis, values, oracles)
        axis.set_title(title)
    axes[1].set_ylabel("")
    return figure


def draw_transfer(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Rank-1 by method, a panel for each kind of streets; every dot is one street."""
    figure, axes = plt.subplots(
        1, len(panels), figsize=(5 * len(panels), 4.4), sharey=True, squeeze=False
    )
    for axis, (title, values) in zip(axes[0], panels.items(), strict=True):
        draw_comparison(axis, values, {})
        axis.set_title(title)
    for axis in axes[0, 1:]:
        axis.set_ylabel("")
    return figure


def draw_readings(
    panels: Mapping[str, Mapping[str, Sequence[float]]], guesses: Mapping[str, float]
) -> Figure:
    """How well something can be read after each norm layer: a panel for each thing, a line for each method.

    A dotted grey line marks what guessing would give (`guesses`).
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.4 * len(panels), 4.4), sharey=True, squeeze=False
    )
    for axis, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for method, values in lines.items():
            look = METHODS[method]
            steps = range(1, len(values) + 1)
            axis.plot(
                steps,
                [100 * v for v in values],
                color=look.colour,
                marker=look.marker,
                ls=look.line,
                label=look.name,
            )
        axis.axhline(100 * guesses[title], color="#777777", ls=":", label="guessing")
        axis.set(title=title, xlabel="norm layer", ylim=(0, 100))
    axes[0, 0].set_ylabel("read correctly (%)")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(lines) + 1
    )
    return figure


def draw_knob(
    panels: Mapping[str, Mapping[str, Sequence[float]]], values: Mapping[str, Sequence[float]]
) -> Figure:
    """Rank-1 while one knob of the world is turned: a panel for each knob with its `values`, a line for each method."""
    figure, axes = plt.subplots(
        1, len(panels), figsize=(6 * len(panels), 4.6), sharey=True, squeeze=False
    )
    for axis, (knob, lines) in zip(axes[0], panels.items(), strict=True):
        for method, rates in lines.items():
            look = METHODS[method]
            percent = [100 * rate for rate in rates]
            axis.plot(
                values[knob],
                percent,
                color=look.colour,
                marker=look.marker,
                ls=look.line,
                label=look.name,
            )
        axis.set(xlabel=knob, xticks=values[knob], ylim=(0, 100))
    axes[0, 0].set_ylabel("Rank-1 (%)")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(lines)
    )
    return figure


def draw_phase(report: Mapping) -> Figure:
    """Who wins where (figures/results/phase.json): BN minus IN in Rank-1, and the winner of all methods with its lead.

    Right, by how far styles differ; up, by how much of identity is colour. Grey and hatched: not decided by these seeds.
    """
    styles, colours = report["styles"], report["colours"]
    figure, axes = plt.subplots(1, 2, figsize=(12.5, 5.4), sharey=True)
    for cell in report["cells"]:
        x, y = styles.index(cell["style"]), colours.index(cell["colour"])
        bn, in_ = (cell["methods"][m]["rank1"] for m in ("bn", "in"))
        points = [100 * (a - b) for a, b in zip(bn, in_, strict=True)]
        sure = abs(mean(points)) > stdev(points)
        _draw_cell(
            axes[0], x, y, METHODS["bn" if mean(points) > 0 else "in"], f"{mean(points):+.0f}", sure
        )
        lead, look = 100 * mean(cell["lead"]), METHODS[cell["winner"]]
        _draw_cell(axes[1], x, y, look, f"{look.name}\n{lead:+.0f}", cell["decided"])
    axes[0].set(title="BN minus IN, points of Rank-1", ylabel="share of identity that is colour")
    axes[1].set_title("The winner, and its lead over the second")
    for axis in axes:
        axis.set_xticks(range(len(styles)), [f"{s:g}" for s in styles])
        axis.set_yticks(range(len(colours)), [f"{100 * c:.0f} %" for c in colours])
        axis.set(
            xlabel="how far styles differ",
            xlim=(-0.5, len(styles) - 0.5),
            ylim=(-0.5, len(colours) - 0.5),
        )
        axis.grid(visible=False)
        axis.tick_params(length=0)
    looks = [METHODS[m] for m in report["methods"]]
    handles = [Patch(facecolor=look.colour, label=f"{look.name} wins") for look in looks]
    handles.append(
        Patch(
            facecolor="#E4E4E4", edgecolor=FAINT, hatch="//", label="undecided between these seeds"
        )
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _draw_cell(axis: Axes, x: int, y: int, look: Look, text: str, decided: bool) -> None:
    """A tile of the phase diagram: the winner's colour, or grey and hatched."""
    colour, ink = (
        (look.colour, "white" if look is METHODS["bn"] else INK)
        if decided
        else ("#E4E4E4", "#666666")
    )
    tile = Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=3)
    axis.add_patch(tile)
    if not decided:
        axis.add_patch(
            Rectangle(
                (x - 0.48, y - 0.48), 0.96, 0.96, fill=False, edgecolor="#BBBBBB", hatch="//", lw=0
            )
        )
    axis.text(x, y, text, ha="center", va="center", fontsize=15, fontweight="bold", color=ink)


def draw_differences(rows: Mapping[str, Sequence[float]], label: str) -> Figure:
    """Differences with their intervals, (mean, low, high) as fractions, in points: what excludes 0 is drawn filled."""
    figure, axis = plt.subplots(figsize=(8.5, 0.55 * len(rows) + 1.5))
    for y, (middle, low, high) in enumerate(rows.values()):
        sure = low > 0 or high < 0
        axis.plot([100 * low, 100 * high], [y, y], color=INK, lw=3)
        axis.plot(100 * middle, y, "o", ms=11, mfc=INK if sure else "white", mec=INK, mew=2)
    axis.axvline(0, color=FAINT, lw=1.5)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set(xlabel=label, ylim=(len(rows) - 0.5, -0.5))
    axis.grid(axis="y", visible=False)
    return figure
