"""rho: where it stands in every layer (Figs. 4, 9, 10), and what it is worth (lesson 09)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure
from torch import Tensor

from metabin.plotting.panels import grid, layer_panels
from metabin.plotting.style import FAINT, INK, METHODS, to_picture

BALANCE = LinearSegmentedColormap.from_list(
    "balance", [METHODS["in"].colour, METHODS["bn"].colour]
)  # rho 0 … 1
Interval = Sequence[float]  # middle, low, high


def _stack(axis: Axes, shares: Sequence[Sequence[float]]) -> None:
    """A bar for each layer, cut by the share (L, bins) of its channels in each part of [0, 1]; IN lies at the bottom."""
    shares = 100 * np.asarray(shares)  # (L, bins)
    floor = np.cumsum(shares, 1) - shares  # (L, bins)
    for part in range(shares.shape[1]):
        colour = BALANCE((part + 0.5) / shares.shape[1])
        width = (
            0.86 if len(shares) <= 20 else 1.0
        )  # gaps between many bars would be all that is seen
        axis.bar(
            range(1, len(shares) + 1),
            shares[:, part],
            width,
            floor[:, part],
            color=colour,
            linewidth=0,
        )
    axis.set(ylim=(0, 100), xlim=(0.4, len(shares) + 0.6), xlabel="norm layer")
    every = next(
        step for step in (1, 2, 5, 10, 25, 50) if len(shares) <= 6 * step
    )  # layers from one tick to the next
    axis.set_xticks(range(1, len(shares) + 1, every))
    axis.grid(visible=False)


def _explain_colours(figure: Figure | SubFigure, axes: Sequence[Axes], bins: int) -> None:
    scale = ScalarMappable(BoundaryNorm(np.linspace(0, 1, bins + 1), BALANCE.N), BALANCE)
    bar = figure.colorbar(scale, ax=list(axes), ticks=(0, 0.5, 1), pad=0.02)
    bar.ax.set_yticklabels(("0, IN", "0.5", "1, BN"))
    bar.ax.set_title("ρ", fontsize=14, loc="center")


def draw_reading(rho: Tensor, bins: int = 10) -> Figure:
    """One layer's rho (C,) in three ways: a dot for each channel, their histogram, and the bar of Fig. 4."""
    values = rho.detach().cpu().numpy()  # (C,)
    counts, edges = np.histogram(values, bins, (0, 1))
    figure, (dots, heap, bar) = plt.subplots(1, 3, figsize=(11, 4.2), width_ratios=(2.2, 1.4, 0.8))
    dots.scatter(
        range(1, len(values) + 1),
        values,
        s=110,
        c=values,
        cmap=BALANCE,
        vmin=0,
        vmax=1,
        edgecolors=INK,
    )
    colours = [BALANCE((part + 0.5) / bins) for part in range(bins)]
    heap.barh((edges[:-1] + edges[1:]) / 2, counts, 1 / bins, color=colours)
    _stack(bar, [counts / counts.sum()])
    dots.set_xticks(range(1, len(values) + 1, max(len(values) // 5, 1)))
    dots.set(title="every channel", xlabel="channel", ylabel="ρ", ylim=(-0.03, 1.03))
    heap.set(title="histogram", xlabel="channels", ylim=(-0.03, 1.03))
    bar.set(title="bar", xlabel="", xticks=(), ylabel="channels (%)")
    _explain_colours(figure, (bar,), bins)
    return figure


def draw_rho_layers(report: Mapping) -> Figure:
    """The share of each layer's channels by rho, a panel for each row that has some; with its mean rho and Rank-1.

    report: of `metabin.experiments` where rho is kept (figure4, figure9, figure10).
    """
    rows = [row for row in report["rows"] if "rho" in row]
    size = (max(3.5 * len(rows), 5) + 1.3, 4.5)
    figure, axes = plt.subplots(1, len(rows), figsize=size, sharey=True, squeeze=False)
    for axis, row in zip(axes[0], rows, strict=True):
        _stack(axis, row["rho"])
        found, rank1 = (np.mean(values) for values in (row["rho_mean"], row["metrics"]["rank1"]))
        axis.set_title(
            f"{row['name']}\nmean ρ {found:.2f}, Rank-1 {100 * rank1:.0f} %", fontsize=13
        )
    axes[0, 0].set_ylabel("channels of the layer (%)")
    _explain_colours(figure, axes[0], len(rows[0]["rho"][0]))
    return figure


def draw_surgery(panels: Mapping[str, Mapping[str, Interval]]) -> Figure:
    """Changes of mAP in points by layer, (middle, low, high) as fractions: a panel for each operation, a bar for each layer.

    A bar is filled where its interval excludes 0. Panels named "to BN" and "to IN" have the methods' colours.
    """
    looks = {"to BN": METHODS["bn"].colour, "to IN": METHODS["in"].colour}
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.6 * len(panels), 4.4), sharey=True, squeeze=False
    )
    for axis, (title, layers) in zip(axes[0], panels.items(), strict=True):
        for x, (middle, low, high) in enumerate(layers.values(), 1):
            colour, sure = looks.get(title, "#777777"), low > 0 or high < 0
            axis.bar(
                x,
                100 * middle,
                0.8,
                facecolor=colour if sure else "white",
                edgecolor=colour,
                lw=1.5,
            )
            axis.plot([x, x], [100 * low, 100 * high], color=INK, lw=1.6)
        axis.axhline(0, color=FAINT, lw=1.5)
        axis.set_xticks(range(1, len(layers) + 1), list(layers), fontsize=11)
        axis.set(title=title, xlabel="norm layer")
        axis.grid(axis="x", visible=False)
    axes[0, 0].set_ylabel("change of mAP, points")
    return figure


def draw_sweep(
    values: Sequence[float], curves: Mapping[str, np.ndarray], own: Mapping[str, Sequence[float]]
) -> Figure:
    """mAP where every rho of a network has one value: by method, (values, streets) and as trained (streets,), fractions.

    The line is the mean over streets, the faint ones are streets; a level line marks the network as it was trained.
    """
    figure, axis = plt.subplots(figsize=(9, 4.6))
    for i, (method, rates) in enumerate(curves.items()):
        look, percent = METHODS[method], 100 * np.asarray(rates)  # (values, streets)
        axis.plot(values, percent, color=look.colour, lw=0.8, alpha=0.3)
        size = 16 if look.marker == "*" else 9
        axis.plot(
            values,
            percent.mean(1),
            look.marker,
            ms=size,
            color=look.colour,
            ls=look.line,
            label=look.name,
        )
        level, dots = (
            100 * float(np.asarray(own[method]).mean()),
            (2 * i, (2, 2 * len(curves))),
        )  # side by side if equal
        axis.axhline(level, color=look.colour, ls=dots, lw=2, label=f"{look.name}, ρ as trained")
    axis.set(xlabel="the ρ that every channel has: 0 IN, 1 BN", ylabel="mAP (%)", ylim=(0, 100))
    figure.legend(loc="outside right center")
    return figure


def draw_channels(
    rho: Mapping[str, Tensor], shares: Mapping[str, Tensor], values: Sequence[float], label: str
) -> Figure:
    """Every channel of every layer: its rho over how much of it is style, with the layer's rank correlation (`values`)."""
    rows, columns = grid(len(rho))
    figure = plt.figure(figsize=(3.2 * columns, 2.5 * rows))
    for i, (axis, (name, found)) in enumerate(
        zip(layer_panels(figure, len(rho), label), rho.items(), strict=True)
    ):
        y = found.detach().cpu()
        axis.scatter(
            shares[name], y, s=34, c=y, cmap=BALANCE, vmin=0, vmax=1, edgecolors=INK, linewidths=0.5
        )
        axis.set_title(f"layer {i + 1}: {values[i]:+.2f}", fontsize=13)
        axis.set(ylim=(-0.05, 1.05), xlim=(-0.02, 1.02), xticks=(0, 0.5, 1))
    return figure


def draw_correlations(panels: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> Figure:
    """Rank correlations with their intervals: a panel for each title, in it for each method the layers and their mean."""
    figure, axes = plt.subplots(
        1, len(panels), figsize=(6.2 * len(panels), 4.6), sharey=True, squeeze=False
    )
    for axis, (title, methods) in zip(axes[0], panels.items(), strict=True):
        for number, (method, layers) in enumerate(methods.items()):
            look, shift = METHODS[method], 0.3 * (number - (len(methods) - 1) / 2)
            for x, (middle, low, high) in enumerate(layers.values(), 1):
                last, sure = x == len(layers), low > 0 or high < 0
                axis.plot([x + shift] * 2, [low, high], color=look.colour, lw=4 if last else 2)
                face = look.colour if sure else "white"
                axis.plot(
                    x + shift,
                    middle,
                    look.marker,
                    ms=12 if last else 8,
                    mfc=face,
                    mec=look.colour,
                    mew=1.6,
                )
            axis.plot([], [], look.marker, ms=12, color=look.colour, label=look.name)
        axis.axhline(0, color=FAINT, lw=1.5)
        axis.axvline(len(layers) - 0.5, color=FAINT, lw=1)
        axis.set_xticks(
            range(1, len(layers) + 1), [*map(str, range(1, len(layers))), "mean"], fontsize=11
        )
        axis.set(title=title, xlabel="norm layer", ylim=(-1, 1))
        axis.grid(axis="x", visible=False)
    axes[0, 0].set_ylabel("rank correlation with ρ")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(methods)
    )
    return figure


def draw_strips(rows: Mapping[str, tuple[Tensor, Tensor, Tensor]], gap: int = 4) -> Figure:
    """Rank lists as one picture: the query (3, H, W), then the best gallery images (K, 3, H, W), right or not (K,).

    A right one has a green frame all round, a wrong one a vermilion bar at its foot. Quick enough to follow a slider.
    """
    strips = []
    for query, images, right in rows.values():
        cells = [
            np.pad(to_picture(query), [(gap, gap), (gap, 4 * gap), (0, 0)], constant_values=255)
        ]
        for image, hit in zip(images, right.tolist(), strict=True):
            height, width, _ = to_picture(image).shape
            cell = np.full((height + 2 * gap, width + 3 * gap, 3), 255, np.uint8)
            cell[:, : width + 2 * gap] = (0, 158, 115) if hit else 255
            cell[gap : gap + height, gap : gap + width] = to_picture(image)
            if not hit:
                cell[-gap:, gap : gap + width] = (200, 75, 0)
            cells.append(cell)
        strips.append(
            np.pad(np.concatenate(cells, 1), [(0, 2 * gap), (0, 0), (0, 0)], constant_values=255)
        )
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
