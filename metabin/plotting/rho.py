"""rho: where it is in every layer (Figs. 4, 9, 10), and what it is worth."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from metabin.plotting.marks import dot, draw_intervals, side_by_side
from metabin.plotting.panels import legend_below, row_of_panels
from metabin.plotting.style import FAINT, INK, LOOKS

ENDS = [LOOKS["in"].colour, LOOKS["bn"].colour]
BALANCE = LinearSegmentedColormap.from_list("balance", ENDS)  # rho 0 … 1
Interval = Sequence[float]  # middle, low, high


def _stack(axis: Axes, shares: Sequence[Sequence[float]]) -> None:
    """A bar for each layer, cut by the share (L, bins) of its channels in each part of [0, 1].

    IN is at the bottom.
    """
    shares = 100 * np.asarray(shares)  # (L, bins)
    floor = np.cumsum(shares, 1) - shares  # (L, bins)
    num_layers, bins = shares.shape
    layers = range(1, num_layers + 1)
    width = 0.86 if num_layers <= 20 else 1.0  # gaps between many bars would be all that is seen
    for i in range(bins):
        colour = BALANCE((i + 0.5) / bins)
        axis.bar(layers, shares[:, i], width, floor[:, i], color=colour, linewidth=0)
    axis.set(ylim=(0, 100), xlim=(0.4, num_layers + 0.6), xlabel="norm layer")
    steps = (1, 2, 5, 10, 25, 50)  # layers from one tick to the next
    axis.set_xticks(layers[:: next(step for step in steps if num_layers <= 6 * step)])
    axis.grid(visible=False)


def _explain_colours(figure: Figure, axes: Sequence[Axes], bins: int) -> None:
    scale = ScalarMappable(BoundaryNorm(np.linspace(0, 1, bins + 1), BALANCE.N), BALANCE)
    bar = figure.colorbar(scale, ax=list(axes), ticks=(0, 0.5, 1), pad=0.02)
    bar.ax.set_yticklabels(("0, IN", "0.5", "1, BN"))
    bar.ax.set_title("ρ", fontsize=14, loc="center")


def draw_reading(rho: Tensor, bins: int = 10) -> Figure:
    """One layer's rho (C,) in three ways: a dot a channel, their histogram, the bar of Fig. 4."""
    values = rho.detach().cpu().numpy()  # (C,)
    channels = range(1, len(values) + 1)
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.2), width_ratios=(2.2, 1.4, 0.8))
    dots, histogram, bar = axes
    tints = {"c": values, "cmap": BALANCE, "vmin": 0, "vmax": 1}
    dots.scatter(channels, values, s=110, edgecolors=INK, **tints)
    sns.histplot(y=values, bins=bins, binrange=(0, 1), ax=histogram, linewidth=0, alpha=1)
    for i, patch in enumerate(histogram.patches):
        patch.set_facecolor(BALANCE((i + 0.5) / bins))
    counts, _ = np.histogram(values, bins, (0, 1))
    _stack(bar, [counts / counts.sum()])
    dots.set_xticks(channels[:: max(len(values) // 5, 1)])
    dots.set(title="every channel", xlabel="channel", ylabel="ρ", ylim=(-0.03, 1.03))
    histogram.set(title="histogram", xlabel="channels", ylabel="", ylim=(-0.03, 1.03))
    bar.set(title="bar", xlabel="", xticks=(), ylabel="channels (%)")
    _explain_colours(figure, (bar,), bins)
    return figure


def draw_teaser() -> Figure:
    """figures/rho_question.svg: sixteen channels' rho before training; where are they after it?"""
    figure, axes = row_of_panels(2, (5.2, 3.8))
    channels = np.arange(1, 17)
    tints = {"c": np.ones(16), "cmap": BALANCE, "vmin": 0, "vmax": 1}
    axes[0].scatter(channels, np.ones(16), s=110, edgecolors=INK, **tints)
    style = {"ha": "center", "va": "center", "fontsize": 90, "color": FAINT}
    axes[1].text(8.5, 0.5, "?", **style)
    for axis, title in zip(axes, ("before training", "after training"), strict=True):
        axis.set(title=title, xlabel="channel of a norm layer", xticks=(1, 4, 7, 10, 13, 16))
        axis.set(xlim=(0.2, 16.8), ylim=(-0.06, 1.06))
    axes[0].set_ylabel("ρ")
    axes[0].set_yticks((0, 0.5, 1), ("0, IN", "0.5", "1, BN"))
    return figure


def draw_rho_layers(report: Mapping) -> Figure:
    """The share of each layer's channels by rho: a panel for each row that has rho.

    A title has the mean rho and Rank-1. report: figure4, figure9 or figure10 of
    `metabin.experiments`.
    """
    rows = [row for row in report["rows"] if "rho" in row]
    size = max(3.5, 5 / len(rows)) + 1.3 / len(rows), 4.5
    figure, axes = row_of_panels(len(rows), size)
    for axis, row in zip(axes, rows, strict=True):
        _stack(axis, row["rho"])
        rho, rank1 = np.mean(row["rho_mean"]), 100 * np.mean(row["metrics"]["rank1"])
        axis.set_title(f"{row['name']}\nmean ρ {rho:.2f}, Rank-1 {rank1:.0f} %", fontsize=13)
    axes[0].set_ylabel("channels of the layer (%)")
    _explain_colours(figure, axes, len(rows[0]["rho"][0]))
    return figure


def draw_surgery(panels: Mapping[str, Mapping[str, Interval]]) -> Figure:
    """Changes of mAP in points by layer, (middle, low, high) as fractions.

    A panel for each operation, a bar for each layer, filled where its interval excludes 0. Panels
    named "to BN" and "to IN" have the methods' colours.
    """
    colours = {"to BN": LOOKS["bn"].colour, "to IN": LOOKS["in"].colour}
    figure, axes = row_of_panels(len(panels), (4.6, 4.4))
    for axis, (title, layers) in zip(axes, panels.items(), strict=True):
        colour, x = colours.get(title, "#777777"), range(len(layers))
        middle, low, high = 100 * np.array(list(layers.values())).T  # (L,) each
        faces = np.where((low > 0) | (high < 0), colour, "white")
        axis.bar(x, middle, 0.8, color=faces, edgecolor=colour, lw=1.5)
        axis.vlines(x, low, high, color=INK, lw=1.6)
        axis.axhline(0, color=FAINT, lw=1.5)
        axis.set_xticks(x, list(layers), fontsize=11)
        axis.set(title=title, xlabel="norm layer")
        axis.grid(axis="x", visible=False)
    axes[0].set_ylabel("change of mAP, points")
    return figure


def draw_correlations(panels: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> Figure:
    """Rank correlations with their intervals: a panel for each title.

    In it, for each method, the layers and their mean; open where the interval holds 0.
    """
    figure, axes = row_of_panels(len(panels), (6.2, 4.6))
    for axis, (title, methods) in zip(axes, panels.items(), strict=True):
        handles = []
        shifts = side_by_side(len(methods), 0.3)
        for (method, layers), shift in zip(methods.items(), shifts, strict=True):
            look, intervals = LOOKS[method], list(layers.values())
            style = {"color": look.colour, "marker": look.marker}
            x, count = np.arange(1, len(layers) + 1) + shift, len(layers)
            draw_intervals(axis, x[:-1], intervals[:-1], style | {"ms": 8}, open_at_zero=True)
            draw_intervals(axis, x[-1:], intervals[-1:], style | {"ms": 13}, open_at_zero=True)
            handles.append(dot(look.name, **style))
        axis.axhline(0, color=FAINT, lw=1.5)
        axis.axvline(count - 0.5, color=FAINT, lw=1)
        axis.set_xticks(range(1, count + 1), [*range(1, count), "mean"], fontsize=11)
        axis.set(title=title, xlabel="norm layer", ylim=(-1, 1))
        axis.grid(axis="x", visible=False)
    axes[0].set_ylabel("rank correlation with ρ")
    legend_below(figure, handles)
    return figure
