"""How the layer is drawn: what it does to one channel, what it costs, how rho learns, and where each method puts what."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from metabin.norm import batch_instance_norm
from metabin.plotting.style import FAINT, INK, LOOKS, to_picture

IMAGES = (
    ("#7B3294", "o"),
    ("#8C6D46", "s"),
    ("#4D4D4D", "^"),
)  # colour and marker of an image, none of them a method's
LABEL = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}  # behind a number
THREE_IMAGES = (
    (-4.0, -2.0),
    (-2.0, 2.0),
    (1.0, 5.0),
)  # two pixels each: means -3, 0, 3, variances 1, 4, 4


def three_images() -> Tensor:
    """Lesson 03's batch of three images with one channel and two pixels, (3, 1, 1, 2): its mean is 0, its variance 9."""
    return torch.tensor(THREE_IMAGES).double().view(3, 1, 1, 2)


def draw_lines(panels: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """One channel before (N, P) and after (N, P) a layer, a panel for each label: every image lies on a line of its own."""
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.1 * len(panels), 4.6), sharex=True, sharey=True, squeeze=False
    )
    for axis, (label, (before, after)) in zip(axes[0], panels.items(), strict=True):
        for (colour, marker), x, y in zip(
            IMAGES, before.detach().cpu(), after.detach().cpu(), strict=False
        ):
            slope = (y[-1] - y[0]) / (x[-1] - x[0])
            axis.axline(
                (float(x[0]), float(y[0])),
                slope=float(slope),
                color=colour,
                lw=1.2,
                ls=(0, (2, 2)),
                alpha=0.7,
            )
            axis.plot(x, y, color=colour, marker=marker, ms=11)
        axis.axhline(0, color=FAINT, lw=1, zorder=0)
        axis.set(title=label, xlabel="x, before the layer")
    axes[0, 0].set_ylabel("y, after the layer")
    dots = [Line2D([], [], color=colour, marker=marker, ms=11) for colour, marker in IMAGES]
    figure.legend(dots, ["image 1", "image 2", "image 3"], loc="outside lower center", ncols=3)
    return figure


def draw_reach(paths: Mapping[str, Sequence[Tensor]]) -> Figure:
    """What a channel can make of x: the share p of BN's response (across) and q of IN's (up), a panel for each layer.

    Each path (T, 2) shows (p, q) while rho falls from 1 (filled dot) to 0 (open dot). The quadrants that one shared affine
    pair reaches are tinted in the first panel, the whole plane in the others.
    """
    figure, axes = plt.subplots(
        1, len(paths), figsize=(5.4 * len(paths), 5.2), sharex=True, sharey=True, squeeze=False
    )
    tint = LOOKS["bin"].colour
    for number, (axis, (label, lines)) in enumerate(zip(axes[0], paths.items(), strict=True)):
        corners = [(0, 0), (-2, -2)] if number == 0 else [(0, 0), (-2, -2), (-2, 0), (0, -2)]
        for corner in corners:
            axis.add_patch(Rectangle(corner, 2, 2, facecolor=tint, alpha=0.16, lw=0, zorder=0))
        for path in lines:
            p, q = path.detach().cpu().T.numpy()  # (T,) each
            axis.plot(p, q, color=INK, lw=2)
            axis.plot(p[0], q[0], "o", ms=11, mfc=INK, mec=INK)
            axis.plot(p[-1], q[-1], "o", ms=11, mfc="white", mec=INK, mew=2)
        axis.axhline(0, color=FAINT, lw=1.5, zorder=1)
        axis.axvline(0, color=FAINT, lw=1.5, zorder=1)
        axis.set(
            title=label,
            xlabel="p, how much of BN's response",
            xlim=(-2, 2),
            ylim=(-2, 2),
            aspect="equal",
        )
        axis.grid(visible=False)
    axes[0, 0].set_ylabel("q, how much of IN's response")
    ends = [
        Line2D([], [], marker="o", ms=11, mfc=face, mec=INK, mew=2, ls="")
        for face in (INK, "white")
    ]
    handles = [Patch(facecolor=tint, alpha=0.16), *ends]
    figure.legend(
        handles, ["can be reached", "ρ = 1", "ρ = 0"], loc="outside lower center", ncols=3
    )
    return figure


def draw_variance(panels: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """The two parts of each channel's batch variance, within images (C,) and between them (C,), as shares of it."""
    figure, axes = plt.subplots(
        1, len(panels), figsize=(6 * len(panels), 4), sharey=True, squeeze=False
    )
    parts = (
        ("within images: kept by IN", "#BDBDBD", ""),
        ("between their means: removed by IN", "#5E3C99", "//"),
    )
    for axis, (label, values) in zip(axes[0], panels.items(), strict=True):
        shares = [
            100 * (value / sum(values)).detach().cpu().numpy() for value in values
        ]  # (C,) each
        bottom = np.zeros(len(shares[0]))
        for share, (name, colour, hatch) in zip(shares, parts, strict=True):
            axis.bar(
                np.arange(1, len(share) + 1),
                share,
                0.8,
                bottom=bottom,
                color=colour,
                hatch=hatch,
                label=name,
            )
            bottom = bottom + share
        axis.set(title=label, xlabel="channel", ylim=(0, 100))
        axis.grid(axis="x", visible=False)
    axes[0, 0].set_ylabel("share of the variance (%)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def draw_layer_cost(cost: Mapping[str, float]) -> Figure:
    """Time and kept memory of BIN and of two separate calls, as multiples of BN's and of the input's (`bench.layer_cost`)."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 3))
    looks = {"bin": (LOOKS["bin"].colour, LOOKS["bin"].hatch), "naive": ("#DDDDDD", "")}
    panels = (
        ("forward + backward, BN = 1", "_over_bn"),
        ("kept for the backward pass, input = 1", "_kept"),
    )
    for axis, (title, key) in zip(axes, panels, strict=True):
        for y, (layer, (colour, hatch)) in enumerate(looks.items()):
            value = cost[f"{layer}{key}"]
            axis.barh(y, value, 0.7, color=colour, hatch=hatch)
            place = {"xytext": (8, 0), "textcoords": "offset points", "va": "center"}
            axis.annotate(f"{value:.2f}", (value, y), **place, fontsize=15, bbox=LABEL)
        axis.axvline(1, color=INK, lw=1.5, ls=":")
        axis.set_yticks(range(2), ["the layer", "two calls"])
        axis.set_title(title, fontsize=14)
        axis.set_xlim(0, 1.15 * max(1, *(cost[f"{layer}{key}"] for layer in looks)))
        axis.set_ylim(1.5, -0.5)
        axis.grid(axis="y", visible=False)
    return figure


def draw_walks(walks: Mapping[str, Sequence[float]], goal: float, misled: int) -> Figure:
    """rho over the steps of some walks toward a goal; the first `misled` steps pull the other way (grey)."""
    figure, axis = plt.subplots(figsize=(9, 4.4))
    styles = (
        (INK, "-", 3.2),
        ("#AA4499", "--", 2.4),
        ("#999933", "-.", 2.4),
        ("#332288", ":", 2.8),
    )
    axis.axvspan(0, misled, color="#E8E8E8", lw=0)
    axis.axhline(goal, color=FAINT, lw=1.5)
    axis.annotate("best ρ", (0, goal), xytext=(6, -16), textcoords="offset points", color="#666666")
    axis.axhline(1, color=FAINT, lw=1.5, ls=":")
    for (label, values), (colour, line, width) in zip(walks.items(), styles, strict=False):
        axis.plot(values, color=colour, ls=line, lw=width, label=label)
    axis.set(xlabel="step", ylabel="ρ", xlim=(0, max(map(len, walks.values())) - 1), ylim=(0, None))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def draw_decay(
    epochs: Sequence[float], lines: Mapping[str, Sequence[float]], marks: Sequence[int]
) -> Figure:
    """A weight over the epochs, a line for each way to treat it, its values at the marked epochs written beside it."""
    figure, axis = plt.subplots(figsize=(9, 4))
    looks = ((INK, "-"), ("#AA4499", "--"))
    for (label, values), (colour, style) in zip(lines.items(), looks, strict=False):
        axis.plot(epochs, values, color=colour, ls=style, lw=3, label=label)
        for mark in marks:
            value = float(np.interp(mark, epochs, values))
            if value < 0.99 * values[0]:
                axis.plot(mark, value, "o", color=colour, ms=9)
                axis.annotate(
                    f"{value:.2f}",
                    (mark, value),
                    xytext=(6, 8),
                    textcoords="offset points",
                    color=colour,
                )
    axis.set(xlabel="epoch", ylabel="IN weight $γ_I$", ylim=(0, 1.1), xlim=(0, epochs[-1]))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


KINDS = {  # a norm layer's class -> what it is called, its colour and hatch
    "BatchNorm2d": ("BN", LOOKS["bn"].colour, ""),
    "InstanceNorm2d": ("IN", LOOKS["in"].colour, "\\\\"),
    "HalfNorm2d": ("half BN, half IN", LOOKS["half"].colour, ".."),
    "IBNorm2d": ("half IN, half BN", LOOKS["half"].colour, "--"),
    "BatchInstanceNorm2d": ("BIN", LOOKS["bin"].colour, "xx"),
    "SharedBatchInstanceNorm2d": ("shared BIN", "#A6DBC8", "++"),
    "SwitchableNorm2d": ("switchable", "#AA4499", "//"),
}


def draw_family(panels: Mapping[str, Mapping[str, Sequence[str]]]) -> Figure:
    """Which layer stands where: a panel for each backbone, a row for each method, a tile for each norm layer (a key of KINDS)."""
    heights = [len(rows) for rows in panels.values()]
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(12, 0.42 * sum(heights) + 1.3 * len(panels)),
        height_ratios=heights,
        squeeze=False,
    )
    for axis, (title, rows) in zip(axes[:, 0], panels.items(), strict=True):
        for y, kinds in enumerate(rows.values()):
            for x, kind in enumerate(kinds):
                _, colour, hatch = KINDS[kind]
                axis.add_patch(
                    Rectangle((x + 0.54, y - 0.42), 0.92, 0.84, facecolor=colour, hatch=hatch, lw=0)
                )
        longest = max(map(len, rows.values()))
        axis.set(title=title, xlim=(0.4, longest + 0.6), ylim=(len(rows) - 0.5, -0.5))
        axis.set_yticks(range(len(rows)), list(rows))
        axis.grid(visible=False)
        axis.tick_params(length=0)
    axes[-1, 0].set_xlabel("norm layer, from the input on")
    drawn = {kind for rows in panels.values() for kinds in rows.values() for kind in kinds}
    shown = [look for kind, look in KINDS.items() if kind in drawn]
    handles = [Patch(facecolor=colour, hatch=hatch, label=name) for name, colour, hatch in shown]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), columnspacing=1.0
    )
    return figure


def draw_channel(pictures: Tensor, maps: Mapping[str, Tensor], labels: Sequence[str]) -> Figure:
    """One channel of several pictures (R, 3, H, W), a row each: the picture, then a map (R, h, w) for each label of `maps`.

    All maps share one scale of greys; the small number is a map's mean. All stands in one axes, laid out by hand in inches:
    a slider redraws this, and axes of their own for twenty tiles would take five times as long.
    """
    high, wide = 2.0, 1.6  # of a tile, and from one column to the next
    size = 0.95 + wide * (1 + len(maps)), 0.35 + 2.35 * len(pictures)
    figure = plt.figure(figsize=size, layout="none")
    axis = figure.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[])
    lowest, highest = (float(end) for end in torch.stack(list(maps.values())).aminmax())

    def tile(row: int, column: int, image: np.ndarray, **look) -> tuple[float, float]:
        """Draw a picture in its place; returns the middle of its lower edge."""
        x, y = 0.95 + wide * (column + 0.5), 0.35 + 2.35 * row
        half = high * image.shape[1] / image.shape[0] / 2
        axis.imshow(image, extent=(x - half, x + half, y + high, y), aspect="auto", **look)
        return x, y + high

    for row, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x, bottom = tile(row, 0, to_picture(picture))
        axis.text(
            x - high * picture.shape[2] / picture.shape[1] / 2 - 0.1,
            bottom - high / 2,
            label,
            ha="right",
            va="center",
        )
        for column, values in enumerate(
            (found[row].detach().cpu() for found in maps.values()), 1
        ):  # (h, w) each
            x, bottom = tile(row, column, values.numpy(), cmap="gray", vmin=lowest, vmax=highest)
            axis.text(x, bottom + 0.05, f"{values.mean():+.2f}", ha="center", va="top", fontsize=12)
    for column, label in enumerate(maps, 1):
        axis.text(0.95 + wide * (column + 0.5), 0.27, label, ha="center", va="bottom", fontsize=13)
    axis.set(xlim=(0, size[0]), ylim=(size[1], 0))
    return figure


def draw_teaser() -> Figure:
    """figures/layer.svg: what the layer does to three images' values, for three balances."""
    x, channel = three_images(), torch.ones(1).double()
    labels = {
        1.0: "ρ = 1: BN, one line for all",
        0.5: "ρ = ½: BIN",
        0.0: "ρ = 0: IN, one line each",
    }
    panels = {}
    for rho, label in labels.items():
        coefficients = channel * rho, channel, 0 * channel, channel, 0 * channel
        y = batch_instance_norm(x, coefficients, eps=1e-12)
        panels[label] = x.flatten(1), y.flatten(1)
    return draw_lines(panels)
