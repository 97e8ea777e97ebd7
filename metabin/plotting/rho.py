"""rho: where it is in every layer (Figs. 4, 9, 10), where a loss takes it, what it is worth."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap
from torch import Tensor

from metabin.analysis.rho_by_loss import Walk
from metabin.plotting.marks import ask, draw_intervals, method_dot, side_by_side, write_beside
from metabin.plotting.panels import legend_below, row_of_panels, titled_panels
from metabin.plotting.style import FAINT, INK, LOOKS

ENDS = [LOOKS["in"].colour, LOOKS["bn"].colour]
BALANCE = LinearSegmentedColormap.from_list("balance", ENDS)  # rho 0 … 1
Interval = Sequence[float]  # middle, low, high


def _stack(axis: plt.Axes, shares: Sequence[Sequence[float]]) -> None:
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


def _explain_colours(figure: plt.Figure, axes: Sequence[plt.Axes], bins: int) -> None:
    scale = ScalarMappable(BoundaryNorm(np.linspace(0, 1, bins + 1), BALANCE.N), BALANCE)
    bar = figure.colorbar(scale, ax=list(axes), ticks=(0, 0.5, 1), pad=0.02)
    bar.ax.set_yticklabels(("0, IN", "0.5", "1, BN"))
    bar.ax.set_title("ρ", fontsize=14, loc="center")


def _draw_channels(axis: plt.Axes, rho: np.ndarray) -> None:
    """A dot for each channel's rho (C,), in the colour of its balance."""
    tints = {"c": rho, "cmap": BALANCE, "vmin": 0, "vmax": 1}
    axis.scatter(range(1, len(rho) + 1), rho, s=110, edgecolors=INK, **tints)


def draw_reading(rho: Tensor) -> plt.Figure:
    """One layer's rho (C,) in three ways: a dot a channel, their histogram, the bar of Fig. 4."""
    values = rho.detach().cpu().numpy()  # (C,)
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.2), width_ratios=(2.2, 1.4, 0.8))
    dots, histogram, bar = axes
    _draw_channels(dots, values)
    sns.histplot(y=values, bins=10, binrange=(0, 1), ax=histogram, linewidth=0, alpha=1)
    for i, patch in enumerate(histogram.patches):
        patch.set_facecolor(BALANCE((i + 0.5) / 10))
    counts, _ = np.histogram(values, 10, (0, 1))
    _stack(bar, [counts / counts.sum()])
    dots.set_xticks(range(1, len(values) + 1, max(len(values) // 5, 1)))
    dots.set(title="every channel", xlabel="channel", ylabel="ρ", ylim=(-0.03, 1.03))
    histogram.set(title="histogram", xlabel="channels", ylabel="", ylim=(-0.03, 1.03))
    bar.set(title="bar", xlabel="", xticks=(), ylabel="channels (%)")
    _explain_colours(figure, (bar,), 10)
    return figure


def draw_teaser() -> plt.Figure:
    """figures/rho_question.svg: sixteen channels' rho before training; where are they after it?"""
    titles = dict.fromkeys(("before training", "after training"))
    limits = {"xlim": (0.2, 16.8), "ylim": (-0.06, 1.06), "xticks": range(1, 17, 3)}
    labels = {"xlabel": "channel of a norm layer", "ylabel": "ρ"}
    figure, [(before, _), (after, _)] = titled_panels(titles, (5.2, 3.8), **limits, **labels)
    _draw_channels(before, np.ones(16))
    before.set_yticks((0, 0.5, 1), ("0, IN", "0.5", "1, BN"))
    ask(after)
    return figure


def draw_rho_layers(report: Mapping) -> plt.Figure:
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


def draw_balances(balances: Mapping[str, Tensor]) -> plt.Figure:
    """A histogram of all balancing parameters (C,) for each label, from IN (0) to BN (1)."""
    labels = {"xlabel": "ρ   (0: IN, 1: BN)", "ylabel": "channels", "xlim": (0, 1)}
    figure, panels = titled_panels(balances, (5, 3.2), sharey=False, **labels)
    for axis, rho in panels:
        _draw_histogram(axis, rho.cpu())
    return figure


def draw_rho_by_loss(walks: Mapping[str, Walk], steps: Sequence[int]) -> plt.Figure:
    """A column for each loss, a histogram of all channels for each of these moments of its walk.

    Each has a scale of its own: shapes are compared, not heights. The upright line is the mean,
    which is written beside it. A title has the loss at the walk's first and last batch and the step
    size.
    """
    size = 4.1 * len(walks), 1.15 * len(steps) + 1.7
    figure, axes = plt.subplots(len(steps), len(walks), figsize=size, sharex=True, squeeze=False)
    for column, (loss, walk) in zip(axes.T, walks.items(), strict=True):
        for axis, step in zip(column, steps, strict=True):
            _draw_histogram(axis, walk.rho(step))
        change = f"loss {walk.losses[0]:.2f} → {walk.losses[-1]:.2f}"
        change += f", step size {walk.step_size:.3g}"
        column[0].set_title(f"{loss}\n{change}", fontsize=13)
        column[-1].set(xlabel="ρ   (0: IN, 1: BN)", xlim=(0, 1), xticks=(0, 0.5, 1))
    for axis, step in zip(axes[:, 0], steps, strict=True):
        label = f"{step} steps" if step else "start"
        axis.set_ylabel(label, rotation=0, ha="right", va="center")
    return figure


def _draw_histogram(axis: plt.Axes, rho: Tensor) -> None:
    """The share of channels in each twentieth of [0, 1], in its balance's colour, and the mean."""
    counts, edges = np.histogram(rho.numpy(), 20, (0, 1))
    middles, shares = (edges[:-1] + edges[1:]) / 2, 100 * counts / counts.sum()
    axis.bar(middles, shares, 1 / 20, color=BALANCE(middles), edgecolor=INK)
    mean = rho.mean().item()
    axis.axvline(mean, color=INK, lw=2.4)
    side, shift = ("right", -6) if mean > 0.5 else ("left", 6)  # the text keeps to the wider side
    style = {"xycoords": ("data", "axes fraction"), "ha": side}
    write_beside(axis, f"mean {mean:.2f}", (mean, 0.78), (shift, 0), **style)
    axis.set(yticks=(), ylim=(0, 1.5 * shares.max()))
    axis.grid(visible=False)


def draw_surgery(panels: Mapping[str, Mapping[str, Interval]]) -> plt.Figure:
    """Changes of mAP in points by layer, (middle, low, high) as fractions.

    A panel for each operation, a bar for each layer, filled where its interval excludes 0. Panels
    named "to BN" and "to IN" have the methods' colours.
    """
    methods = {"to BN": "bn", "to IN": "in"}
    labels = {"xlabel": "norm layer", "ylabel": "change of mAP, points"}
    figure, axes = titled_panels(panels, (4.6, 4.4), **labels)
    for (axis, layers), title in zip(axes, panels, strict=True):
        colour, x = LOOKS[methods.get(title, title)].colour, range(len(layers))
        middle, low, high = 100 * np.array(list(layers.values())).T  # (L,) each
        faces = np.where((low > 0) | (high < 0), colour, "white")
        axis.bar(x, middle, 0.8, color=faces, edgecolor=colour, lw=1.5)
        axis.vlines(x, low, high, color=INK, lw=1.6)
        axis.axhline(0, color=FAINT, lw=1.5)
        axis.set_xticks(x, list(layers), fontsize=11)
        axis.grid(axis="x", visible=False)
    return figure


def draw_correlations(panels: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> plt.Figure:
    """Rank correlations with their intervals: a panel for each title.

    In it, for each method, the layers and their mean; open where the interval holds 0.
    """
    labels = {"xlabel": "norm layer", "ylabel": "rank correlation with ρ"}
    figure, axes = titled_panels(panels, (6.2, 4.6), ylim=(-1, 1), **labels)
    methods = next(iter(panels.values()))
    count = len(next(iter(methods.values())))  # of the layers and their mean
    for axis, by_method in axes:
        for method, shift in zip(methods, side_by_side(len(methods), 0.3), strict=True):
            x, look = np.arange(1, count + 1) + shift, LOOKS[method]
            style = look.marks | {"ms": look.size}
            draw_intervals(axis, x, list(by_method[method].values()), style, open_at_zero=True)
        axis.axhline(0, color=FAINT, lw=1.5)
        axis.axvline(count - 0.5, color=FAINT, lw=1)
        axis.set_xticks(range(1, count + 1), [*range(1, count), "mean"], fontsize=11)
        axis.grid(axis="x", visible=False)
    legend_below(figure, [method_dot(method) for method in methods])
    return figure
