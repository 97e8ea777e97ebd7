"""How the layer is drawn: what it does, what it costs, how rho learns, where methods put it."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.patches import Patch, Rectangle
from torch import Tensor
from torch.nn.functional import interpolate

from metabin.norm import batch_instance_norm
from metabin.plotting.marks import (
    BOX,
    ask,
    dot,
    draw_lines_by_name,
    draw_picture_rows,
    name_rows,
    write_beside,
)
from metabin.plotting.panels import legend_below, titled_panels
from metabin.plotting.style import FAINT, INK, LOOKS

# Colour and marker of an image, none of them a method's.
IMAGES = (("#7B3294", "o"), ("#8C6D46", "s"), ("#4D4D4D", "^"))
# Two pixels each: means -3, 0, 3, variances 1, 4, 4.
THREE_IMAGES = ((-4.0, -2.0), (-2.0, 2.0), (1.0, 5.0))


def three_images() -> Tensor:
    """Lesson 03's batch of three images with one channel, (3, 1, 1, 2): mean 0, variance 9."""
    return torch.tensor(THREE_IMAGES).double().view(3, 1, 1, 2)


def draw_lines(panels: Mapping[str, tuple[Tensor, Tensor | None]]) -> plt.Figure:
    """One channel before (N, P) and after (N, P) a layer, a panel for each label.

    Every image lies on a line of its own. Where nothing comes after, the panel asks: its values
    wait on the axis.
    """
    labels = {"xlabel": "x, before the layer", "ylabel": "y, after the layer"}
    figure, axes = titled_panels(panels, (4.1, 4.6), sharex=True, **labels)
    for axis, (before, after) in axes:
        before = before.detach().cpu()  # (N, P)
        if after is None:
            ask(axis, 0.75)
            for (colour, marker), x in zip(IMAGES, before, strict=False):
                axis.plot(x, 0 * x, marker, mec=colour, mfc="white", mew=2, ms=10)
        else:
            _draw_images(axis, before, after.detach().cpu())
        axis.axhline(0, color=FAINT, lw=1, zorder=0)
    handles = []
    for i, (colour, marker) in enumerate(IMAGES, 1):
        handles.append(dot(f"image {i}", color=colour, marker=marker, ls="-"))
    legend_below(figure, handles)
    return figure


def _draw_images(axis: plt.Axes, before: Tensor, after: Tensor) -> None:
    """Each image's values (N, P) before and after, and the line through them."""
    dashes = {"lw": 1.2, "ls": (0, (2, 2)), "alpha": 0.7}
    for (colour, marker), x, y in zip(IMAGES, before, after, strict=False):
        ends = torch.stack([x, y], 1)[[0, -1]].tolist()  # of P points
        axis.axline(*ends, color=colour, **dashes)
        axis.plot(x, y, color=colour, marker=marker, ms=11)


def draw_reach(paths: Mapping[str, Sequence[Tensor]]) -> plt.Figure:
    """What a channel can make of x: the share p of BN's response (across) and q of IN's (up).

    A panel for each layer. Each path (T, 2) shows (p, q) while rho falls from 1 (filled dot) to 0
    (open dot). The quadrants that one shared affine pair reaches are tinted in the first panel, the
    whole plane in the others.
    """
    labels = {"xlabel": "p, how much of BN's response", "ylabel": "q, how much of IN's response"}
    limits = {"xlim": (-2, 2), "ylim": (-2, 2), "aspect": "equal"}
    figure, axes = titled_panels(paths, (5.4, 5.2), **limits, **labels)
    tint = {"facecolor": LOOKS["bin"].colour, "alpha": 0.16, "lw": 0}
    ends = {"ρ = 1": {"mfc": INK, "mec": INK, "mew": 2}}
    ends["ρ = 0"] = ends["ρ = 1"] | {"mfc": "white"}
    same, opposite = [(0, 0), (-2, -2)], [(-2, 0), (0, -2)]  # signs of p and q
    for i, (axis, lines) in enumerate(axes):
        for corner in same + opposite if i else same:
            axis.add_patch(Rectangle(corner, 2, 2, zorder=0, **tint))
        for path in lines:
            path = path.detach().cpu()
            axis.plot(*path.T, color=INK, lw=2)
            for point, look in zip((path[0], path[-1]), ends.values(), strict=True):
                axis.plot(*point, "o", ms=11, **look)
        axis.axhline(0, color=FAINT, lw=1.5, zorder=1)
        axis.axvline(0, color=FAINT, lw=1.5, zorder=1)
        axis.grid(visible=False)
    handles = [dot(name, **look) for name, look in ends.items()]
    legend_below(figure, [Patch(label="can be reached", **tint), *handles])
    return figure


def draw_variance(panels: Mapping[str, tuple[Tensor, Tensor]]) -> plt.Figure:
    """Each channel's batch variance: its shares within images (C,) and between them (C,)."""
    labels = {"xlabel": "channel", "ylabel": "share of the variance (%)"}
    figure, axes = titled_panels(panels, (6, 4), ylim=(0, 100), **labels)
    within = {"color": "#BDBDBD", "label": "within images: kept by IN"}
    between = {"color": "#5E3C99", "hatch": "//", "label": "between their means: removed by IN"}
    for axis, values in axes:
        kept, removed = 100 * (torch.stack(values) / sum(values)).detach().cpu().numpy()
        channels = range(1, len(kept) + 1)
        axis.bar(channels, kept, 0.8, **within)
        axis.bar(channels, removed, 0.8, bottom=kept, **between)
        axis.grid(axis="x", visible=False)
    legend_below(figure)
    return figure


def draw_layer_cost(cost: Mapping[str, float]) -> plt.Figure:
    """Time and kept memory of BIN and of two separate calls, of `bench.layer_cost`.

    Time is a multiple of BN's, memory one of the input's.
    """
    titles = {"forward and backward, BN = 1": "over_bn", "memory kept, input = 1": "kept"}
    figure, axes = titled_panels(titles, (5.5, 3), sharey=False)
    for axis, key in axes:
        values = [cost[f"bin_{key}"], cost[f"naive_{key}"]]
        bars = axis.barh((0, 1), values, 0.7, color=(LOOKS["bin"].colour, "#DDDDDD"))
        bars[0].set_hatch(LOOKS["bin"].hatch)
        axis.bar_label(bars, fmt="%.2f", padding=8, fontsize=15, bbox=BOX)
        axis.axvline(1, color=INK, lw=1.5, ls=":")
        axis.set_xlim(0, 1.15 * max(1, *values))
        name_rows(axis, ["the layer", "two calls"])
    return figure


def draw_rho_walks(walks: Mapping[str, Sequence[float]], goal: float, misled: int) -> plt.Figure:
    """rho over the steps of some walks toward a goal, after `misled` steps away from it (grey)."""
    figure, axis = plt.subplots(figsize=(9, 4.4))
    axis.axvspan(0, misled, color="#E8E8E8", lw=0)
    axis.axhline(goal, color=FAINT, lw=1.5)
    write_beside(axis, "best ρ", (0, goal), (6, -16), color="#666666")
    axis.axhline(1, color=FAINT, lw=1.5, ls=":")
    draw_lines_by_name(axis, walks)
    axis.set(xlabel="step", ylabel="ρ", xlim=(0, max(map(len, walks.values())) - 1), ylim=(0, None))
    legend_below(figure, columns=2)
    return figure


def draw_decay(
    epochs: Sequence[float], lines: Mapping[str, Sequence[float]], marks: Sequence[int]
) -> plt.Figure:
    """A weight over the epochs, a line for each way to treat it.

    Values at the marked epochs are written beside it.
    """
    figure, axis = plt.subplots(figsize=(9, 4))
    draw_lines_by_name(axis, lines, epochs)
    for line in axis.get_lines():
        colour, values = line.get_color(), line.get_ydata()
        for mark in marks:
            value = float(np.interp(mark, epochs, values))
            if value < 0.99 * values[0]:
                axis.plot(mark, value, "o", color=colour, ms=9)
                write_beside(axis, f"{value:.2f}", (mark, value), (6, 8), color=colour)
    axis.set(xlabel="epoch", ylabel="IN weight $γ_I$", ylim=(0, 1.1), xlim=(0, epochs[-1]))
    legend_below(figure, columns=2)
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


def draw_family(panels: Mapping[str, Mapping[str, Sequence[str]]]) -> plt.Figure:
    """Which layer stands where: a panel for each backbone, a row for each method.

    Each norm layer is a tile; it is named by its class, a key of KINDS.
    """
    heights, count = [len(rows) for rows in panels.values()], len(panels)
    size = 12, 0.42 * sum(heights) + 1.3 * count
    figure, axes = plt.subplots(count, 1, figsize=size, height_ratios=heights, squeeze=False)
    handles = {}
    for axis, (title, rows) in zip(axes[:, 0], panels.items(), strict=True):
        for y, kinds in enumerate(rows.values()):
            for x, kind in enumerate(kinds):
                name, colour, hatch = KINDS[kind]
                tile = {"facecolor": colour, "hatch": hatch, "lw": 0}
                axis.add_patch(Rectangle((x + 0.54, y - 0.42), 0.92, 0.84, **tile))
                handles[kind] = Patch(label=name, facecolor=colour, hatch=hatch)
        name_rows(axis, rows)
        axis.set(title=title, xlim=(0.4, max(map(len, rows.values())) + 0.6))
        axis.grid(visible=False)
        axis.tick_params(length=0)
    axes[-1, 0].set_xlabel("norm layer, from the input on")
    in_order = [handles[kind] for kind in KINDS if kind in handles]
    legend_below(figure, in_order, columnspacing=1.0)
    return figure


def draw_channel(pictures: Tensor, maps: Mapping[str, Tensor], labels: Sequence[str]) -> plt.Figure:
    """One channel of several pictures (R, 3, H, W), a row each: the picture, then its maps.

    maps: (R, h, w) by label. They share one scale of greys; the small number is a map's mean.
    """
    height, width = pictures.shape[-2:]
    values = torch.stack(list(maps.values()), 1).detach().cpu()  # (R, M, h, w)
    low, high = values.aminmax()
    greys = 255 * interpolate((values - low) / (high - low), (height, width))
    greys = greys.byte()[:, :, None].expand(-1, -1, 3, -1, -1)  # (R, M, 3, H, W)
    rows = {}
    for label, picture, grey in zip(labels, pictures, greys, strict=True):
        rows[label] = torch.cat([picture[None], grey])
    lefts, gap = 1.6 * width * np.arange(1 + len(maps)), height / 5
    figure, axis = plt.subplots(figsize=(0.95 + 1.6 * len(lefts), 0.35 + 2.35 * len(rows)))
    draw_picture_rows(axis, rows, lefts, gap)
    middles = lefts[1:] + width / 2
    for row, means in enumerate(values.mean((2, 3)).tolist(), 1):
        for x, mean in zip(middles, means, strict=True):
            style = {"ha": "center", "va": "top", "fontsize": 12}
            axis.text(x, row * (height + gap) - gap, f"{mean:+.2f}", **style)
    axis.set_ylim(len(rows) * (height + gap), -0.5)
    axis.set_xticks(middles, list(maps))
    axis.xaxis.tick_top()
    return figure


def draw_teaser() -> plt.Figure:
    """figures/layer.svg: what BN does to three images' values; what do BIN and IN do?"""
    x, one, zero = three_images(), torch.ones(1).double(), torch.zeros(1).double()
    y = batch_instance_norm(x, (one, one, zero, one, zero), eps=1e-12)
    asked = dict.fromkeys(("ρ = ½: BIN", "ρ = 0: IN"), (x.flatten(1), None))
    return draw_lines({"ρ = 1: BN": (x.flatten(1), y.flatten(1))} | asked)
