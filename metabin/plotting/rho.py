"""rho: where it is in every layer (Figs. 4, 9, 10), and what it is worth (lesson 09)."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from metabin.plotting.panels import grid, layer_panels, legend_below, row_of_panels
from metabin.plotting.style import FAINT, INK, LOOKS, to_picture

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


def draw_rho_layers(report: Mapping) -> Figure:
    """The share of each layer's channels by rho: a panel for each row that has rho.

    A title has the mean rho and Rank-1. report: figure4, figure9 or figure10 of
    `metabin.experiments`.
    """
    rows = [row for row in report["rows"] if "rho" in row]
    size = (max(3.5 * len(rows), 5) + 1.3, 4.5)
    figure, axes = plt.subplots(1, len(rows), figsize=size, sharey=True, squeeze=False)
    for axis, row in zip(axes[0], rows, strict=True):
        _stack(axis, row["rho"])
        rho, rank1 = np.mean(row["rho_mean"]), 100 * np.mean(row["metrics"]["rank1"])
        axis.set_title(f"{row['name']}\nmean ρ {rho:.2f}, Rank-1 {rank1:.0f} %", fontsize=13)
    axes[0, 0].set_ylabel("channels of the layer (%)")
    _explain_colours(figure, axes[0], len(rows[0]["rho"][0]))
    return figure


def draw_surgery(panels: Mapping[str, Mapping[str, Interval]]) -> Figure:
    """Changes of mAP in points by layer, (middle, low, high) as fractions.

    A panel for each operation, a bar for each layer, filled where its interval excludes 0. Panels
    named "to BN" and "to IN" have the methods' colours.
    """
    colours = {"to BN": LOOKS["bn"].colour, "to IN": LOOKS["in"].colour}
    figure, axes = row_of_panels(len(panels), (4.6, 4.4))
    for axis, (title, layers) in zip(axes, panels.items(), strict=True):
        colour = colours.get(title, "#777777")
        for x, (middle, low, high) in enumerate(layers.values(), 1):
            face = colour if low > 0 or high < 0 else "white"
            axis.bar(x, 100 * middle, 0.8, facecolor=face, edgecolor=colour, lw=1.5)
            axis.plot([x, x], [100 * low, 100 * high], color=INK, lw=1.6)
        axis.axhline(0, color=FAINT, lw=1.5)
        axis.set_xticks(range(1, len(layers) + 1), list(layers), fontsize=11)
        axis.set(title=title, xlabel="norm layer")
        axis.grid(axis="x", visible=False)
    axes[0].set_ylabel("change of mAP, points")
    return figure


def draw_sweep(
    values: Sequence[float],
    curves: Mapping[str, np.ndarray],
    trained: Mapping[str, Sequence[float]],
) -> Figure:
    """mAP where every rho of a network has one value: by method, (values, streets), fractions.

    The line is the mean over streets, the faint ones are streets; a level line marks the network
    as it was trained, (streets,).
    """
    figure, axis = plt.subplots(figsize=(9, 4.6))
    for i, (method, rates) in enumerate(curves.items()):
        look, percent = LOOKS[method], 100 * np.asarray(rates)  # (values, streets)
        axis.plot(values, percent, color=look.colour, lw=0.8, alpha=0.3)
        style = {"ms": look.size, "color": look.colour, "ls": look.line, "label": look.name}
        axis.plot(values, percent.mean(1), look.marker, **style)
        level = 100 * float(np.asarray(trained[method]).mean())
        dots = (2 * i, (2, 2 * len(curves)))  # equal levels stand side by side
        axis.axhline(level, color=look.colour, ls=dots, lw=2, label=f"{look.name}, ρ as trained")
    axis.set(xlabel="the ρ that every channel has: 0 IN, 1 BN", ylabel="mAP (%)", ylim=(0, 100))
    figure.legend(loc="outside right center")
    return figure


def draw_channels(
    rho: Mapping[str, Tensor], shares: Mapping[str, Tensor], values: Sequence[float], label: str
) -> Figure:
    """Every channel of every layer: its rho over how much of it is style.

    A title has the layer's rank correlation (`values`).
    """
    rows, columns = grid(len(rho))
    figure = plt.figure(figsize=(3.2 * columns, 2.5 * rows))
    axes = layer_panels(figure, len(rho), label)
    tints = {"cmap": BALANCE, "vmin": 0, "vmax": 1, "edgecolors": INK, "linewidths": 0.5}
    for i, (axis, (name, balances)) in enumerate(zip(axes, rho.items(), strict=True)):
        y = balances.detach().cpu()
        axis.scatter(shares[name], y, s=34, c=y, **tints)
        axis.set_title(f"layer {i + 1}: {values[i]:+.2f}", fontsize=13)
        axis.set(ylim=(-0.05, 1.05), xlim=(-0.02, 1.02), xticks=(0, 0.5, 1))
    return figure


def draw_correlations(panels: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> Figure:
    """Rank correlations with their intervals: a panel for each title.

    In it, for each method, the layers and their mean; filled where the interval excludes 0.
    """
    figure, axes = row_of_panels(len(panels), (6.2, 4.6))
    for axis, (title, methods) in zip(axes, panels.items(), strict=True):
        for number, (method, layers) in enumerate(methods.items()):
            shift = 0.3 * (number - (len(methods) - 1) / 2)
            _draw_intervals(axis, method, list(layers.values()), shift)
        count = len(layers)
        axis.axhline(0, color=FAINT, lw=1.5)
        axis.axvline(count - 0.5, color=FAINT, lw=1)
        axis.set_xticks(range(1, count + 1), [*map(str, range(1, count)), "mean"], fontsize=11)
        axis.set(title=title, xlabel="norm layer", ylim=(-1, 1))
        axis.grid(axis="x", visible=False)
    axes[0].set_ylabel("rank correlation with ρ")
    legend_below(figure, axes[0])
    return figure


def _draw_intervals(axis: Axes, method: str, intervals: list[Interval], shift: float) -> None:
    """One method's intervals at 1, 2, … plus a shift; the last one, the mean, is larger."""
    look = LOOKS[method]
    for x, (middle, low, high) in enumerate(intervals, 1):
        width, size = (4, 12) if x == len(intervals) else (2, 8)
        axis.plot([x + shift] * 2, [low, high], color=look.colour, lw=width)
        face = look.colour if low > 0 or high < 0 else "white"
        style = {"ms": size, "mfc": face, "mec": look.colour, "mew": 1.6}
        axis.plot(x + shift, middle, look.marker, **style)
    axis.plot([], [], look.marker, ms=12, color=look.colour, label=look.name)


def draw_strips(rows: Mapping[str, tuple[Tensor, Tensor, Tensor]], gap: int = 4) -> Figure:
    """Rank lists as one picture, quick enough to follow a slider.

    A row: the query (3, H, W), the best gallery images (K, 3, H, W), right or not (K,). A right
    image has a green frame all round, a wrong one a vermilion bar at its foot.
    """
    strips = []
    for query, images, right in rows.values():
        margins = [(gap, gap), (gap, 4 * gap), (0, 0)]
        cells = [np.pad(to_picture(query), margins, constant_values=255)]
        for image, hit in zip(images, right.tolist(), strict=True):
            cells.append(_framed(to_picture(image), hit, gap))
        strip = np.concatenate(cells, 1)
        strips.append(np.pad(strip, [(0, 2 * gap), (0, 0), (0, 0)], constant_values=255))
    canvas = np.concatenate(strips)
    figure, axis = plt.subplots(figsize=(canvas.shape[1] / 52 + 1.4, canvas.shape[0] / 52))
    axis.imshow(canvas)
    height = strips[0].shape[0]
    axis.set_yticks([height * (i + 0.45) for i in range(len(rows))], list(rows))
    axis.set(xticks=[])
    axis.tick_params(length=0)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    return figure


def _framed(picture: np.ndarray, hit: bool, gap: int) -> np.ndarray:
    height, width, _ = picture.shape
    cell = np.full((height + 2 * gap, width + 3 * gap, 3), 255, np.uint8)
    if hit:
        cell[:, : width + 2 * gap] = (0, 158, 115)
    cell[gap : gap + height, gap : gap + width] = picture
    if not hit:
        cell[-gap:, gap : gap + width] = (200, 75, 0)
    return cell
