"""How retrieval is drawn: people, rank lists, similarities, styles, and what chance does."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from metabin.analysis import middle_query, similar_first
from metabin.data.images import ImageSet
from metabin.evaluate.certainty import half_width
from metabin.evaluate.retrieval import extract_features
from metabin.plotting.marks import (
    method_line,
    paste,
    rank_frame,
    white_canvas,
    without_frame,
    write_beside,
)
from metabin.plotting.panels import legend_below, row_of_panels
from metabin.plotting.style import INK

GREY = "#8C8C8C"
PAIRS = {  # colour, line, hatch
    "same person": (INK, "-", ""),
    "another person": (GREY, "--", "////"),
}
# query (3, H, W), nearest (K, 3, H, W), right (K,), captions of the query and of these
CaptionedList = tuple[Tensor, Tensor, Tensor, Sequence[str]]


def draw_album(streets: Mapping[str, Tensor], people: Mapping[str, Sequence[str]]) -> Figure:
    """A panel for each street: a row for each person, a group of columns for each camera.

    streets: images (P, C, K, 3, H, W) uint8 of P people by C cameras, K each. people: their names.
    """
    _, cameras, each, _, height, width = next(iter(streets.values())).shape
    rows = max(len(images) for images in streets.values())
    size = 5.6 * len(streets), 1.45 * rows + 0.8
    figure, axes = plt.subplots(1, len(streets), figsize=size, squeeze=False)
    gap, row, column, group = 2, height + 2, width + 2, each * (width + 2) + 6  # pixels
    for axis, (name, images) in zip(axes[0], streets.items(), strict=True):
        canvas = white_canvas(len(images) * row - gap, cameras * group - 8)
        for p, c, k in np.ndindex(len(images), cameras, each):
            paste(canvas, images[p, c, k], p * row, c * group + k * column)
        axis.imshow(canvas)
        middles = [c * group + (group - 8) / 2 for c in range(cameras)]
        axis.set_xticks(middles, [f"camera {c}" for c in range(cameras)])
        axis.set_yticks([p * row + height / 2 for p in range(len(images))], people[name])
        axis.set_title(name)
        without_frame(axis)
    return figure


def draw_rank_lists(lists: Mapping[str, CaptionedList]) -> Figure:
    """Rank lists below each other, all on one canvas, so that a browser can draw them quickly.

    A right picture has a solid green frame and a tick, a wrong one a dashed vermilion frame and a
    cross.
    """
    count = max(len(images) for _, images, _, _ in lists.values())
    height, width = next(iter(lists.values()))[0].shape[-2:]
    row = height + 30  # pixels from one list to the next
    canvas = white_canvas(row * len(lists), (width + 8) * (count + 1) + 8)
    wide, high = canvas.shape[1] + 46, canvas.shape[0]
    figure = plt.figure(figsize=(10.5, 10.5 * high / wide), layout="none")
    axis = figure.add_axes((0, 0, 1, 1))
    points = 10.5 * 72 / wide  # of one pixel
    for i, (label, ranked) in enumerate(lists.items()):
        top = i * row + 14
        style = {"ha": "right", "va": "center", "fontsize": 5.8 * points, "linespacing": 1.5}
        axis.text(-4, top + height / 2, label, **style)
        _draw_rank_list(axis, canvas, ranked, top, points)
    axis.imshow(canvas, interpolation="none")
    axis.set(xlim=(-46, canvas.shape[1]), ylim=(high, 0))
    axis.axis("off")
    return figure


def _draw_rank_list(
    axis: Axes, canvas: np.ndarray, ranked: CaptionedList, top: int, points: float
) -> None:
    """One row: the query, then each picture with its rank, frame and caption."""
    query, images, right, captions = ranked
    height, width = query.shape[-2:]
    for k, image in enumerate((query, *images)):
        left = 2 + k * (width + 8) + (8 if k else 0)
        middle = left + width / 2
        paste(canvas, image, top, left)
        hit = bool(right[k - 1]) if k else False
        title = f"{k} {'✓' if hit else '✗'}" if k else "query"
        weight = "bold" if hit else "normal"
        axis.text(middle, top - 4, title, ha="center", fontsize=6.4 * points, fontweight=weight)
        caption = captions[k] if captions else ""
        axis.text(middle, top + height + 10, caption, ha="center", fontsize=5.6 * points)
        if k:
            corner = left - 1.5, top - 1.5
            frame = rank_frame(hit) | {"linewidth": 2.2 * points}
            axis.add_patch(Rectangle(corner, width + 2, height + 2, **frame))


def draw_similarities(panels: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """How similar pairs are: cosines (pairs,) of each kind in PAIRS, a panel for each title.

    An upright line marks each mean.
    """
    figure, axes = row_of_panels(len(panels), (5.2, 3.9))
    bars = {"density": True, "histtype": "stepfilled", "lw": 1.6}
    for axis, (title, pairs) in zip(axes, panels.items(), strict=True):
        for name, cosines in pairs.items():
            colour, line, hatch = PAIRS[name]
            look = {"facecolor": colour + "40", "edgecolor": colour, "hatch": hatch}
            axis.hist(cosines.numpy(), np.linspace(-1, 1, 41), label=name, **bars, **look)
            mean = cosines.mean().item()
            axis.axvline(mean, color=colour, ls=line)
            above = {"xycoords": ("data", "axes fraction"), "ha": "center"}
            write_beside(axis, f"{mean:.2f}", (mean, 1), (0, 2), **above)
        axis.set(xlabel="cosine", yticks=[], xlim=(-0.8, 1))
        axis.set_title(title, pad=22)
        axis.grid(visible=False)
    axes[0].set_ylabel("share of pairs")
    legend_below(figure, axes[0])
    return figure


def draw_styles(
    cameras: Sequence[tuple[str, int]], columns: Sequence[str], styles: Tensor, known: int
) -> Figure:
    """What each camera does, (C, S) in spreads, as tiles with their numbers.

    The first `known` rows are training streets.
    """
    figure, axis = plt.subplots(figsize=(11.5, 0.34 * len(cameras) + 1.4))
    tiles = axis.imshow(styles.numpy(), cmap="PuOr", vmin=-3, vmax=3, aspect="auto")
    for (row, column), value in np.ndenumerate(styles.numpy()):
        colour = "white" if abs(value) > 1.8 else INK
        axis.text(column, row, f"{value:+.1f}", ha="center", va="center", fontsize=10, color=colour)
    axis.set_xticks(range(len(columns)), [name.replace("_", "\n") for name in columns], fontsize=10)
    names = [f"{street}, camera {camera}" for street, camera in cameras]
    axis.set_yticks(range(len(cameras)), names, fontsize=11)
    axis.xaxis.tick_top()
    axis.axhline(known - 0.5, color=INK, lw=2.4)
    without_frame(axis)
    figure.colorbar(tiles, label="spreads between streets", ticks=range(-3, 4), pad=0.01)
    return figure


def draw_cmc(panels: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Rank-k over k for each method: (K,) fractions, a panel for each kind of streets."""
    figure, axes = row_of_panels(len(panels), (5.2, 3.9))
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        for method, values in curves.items():
            axis.plot(range(1, len(values) + 1), (100 * values).tolist(), **method_line(method))
        axis.set(title=title, xlabel="k", ylim=(0, 102), xticks=[1, 5, 10, 15, 20])
    axes[0].set_ylabel("Rank-k (%)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def draw_chance(drawn: Mapping[int, Tensor], rate: float) -> Figure:
    """Rates (R,) of so many people drawn again and again, by their number.

    A bar holds 95 % of the draws, dots are forty of them. The dashed lines are
    `certainty.half_width` around `rate`, one query each.
    """
    figure, axis = plt.subplots(figsize=(9, 4.4))
    people = np.geomspace(min(drawn) / 1.2, max(drawn) * 1.2, 100)
    for sign in (-1, 1):
        label = "formula, one query each" if sign > 0 else None
        edge = [100 * (rate + sign * half_width(rate, n)) for n in people]
        axis.plot(people, edge, color=GREY, ls="--", label=label)
    axis.axhline(100 * rate, color=GREY, lw=1.2)
    bar = {"color": INK, "lw": 7, "alpha": 0.25, "solid_capstyle": "butt"}
    dot = {"marker": "o", "ls": "", "mec": "none", "color": INK}
    for count, rates in drawn.items():
        ends = (100 * rates.quantile(torch.tensor([0.025, 0.975], dtype=rates.dtype))).tolist()
        label = "95 % of the draws" if count == min(drawn) else None
        axis.plot([count, count], ends, label=label, **bar)
        across = count * np.geomspace(0.95, 1.05, 40)
        axis.plot(across, 100 * rates[:40].numpy(), ms=3.5, alpha=0.7, **dot)
    axis.set(xscale="log", xlabel="people looked for", ylabel="Rank-1 (%)")
    axis.set_xticks(list(drawn), [str(count) for count in drawn])
    axis.minorticks_off()
    handles, _ = axis.get_legend_handles_labels()
    handles.append(Line2D([], [], ms=5, label="one draw", **dot))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def draw_teaser(model: nn.Module, streets: Mapping[str, ImageSet]) -> Figure:
    """figures/rank_list.svg: the rank list for the query in the middle of each set of streets."""
    lists = {}
    for name, images in streets.items():
        features = extract_features(model, images)
        query = torch.tensor([middle_query(features, images)])
        order, right = similar_first(features, query, images, 7)
        lists[name] = images.images[query[0]], images.images[order[0]], right[0], ()
    return draw_rank_lists(lists)
