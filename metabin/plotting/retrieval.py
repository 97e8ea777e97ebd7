"""How retrieval is drawn: people, rank lists, similarities, styles, and what chance does."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import seaborn as sns
import torch
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from metabin.analysis import middle_query, similar_first
from metabin.data.images import ImageSet
from metabin.evaluate.certainty import half_width
from metabin.evaluate.retrieval import extract_features
from metabin.plotting.marks import (
    dot,
    draw_picture,
    draw_picture_rows,
    draw_rates,
    draw_tiles,
    write_beside,
)
from metabin.plotting.panels import legend_below, titled_panels
from metabin.plotting.style import INK, RIGHT, WRONG

GREY = "#8C8C8C"
PAIRS = {  # colour, line, hatch
    "same person": (INK, "-", ""),
    "another person": (GREY, "--", "////"),
}


class RankList(NamedTuple):
    """A query and the best of its gallery."""

    query: Tensor | None  # (3, H, W), or not shown
    images: Tensor  # (K, 3, H, W)
    right: Sequence[bool]  # K
    captions: Sequence[str] = ()  # of the query and of the K images


def draw_album(streets: Mapping[str, Tensor], people: Mapping[str, Sequence[str]]) -> plt.Figure:
    """A panel for each street: a row for each person, a group of columns for each camera.

    streets: images (P, C, K, 3, H, W) uint8 of P people by C cameras, K each. people: their names.
    """
    _, cameras, each, _, _, width = next(iter(streets.values())).shape
    rows, gap = max(map(len, streets.values())), 2  # pixels between pictures
    figure, panels = titled_panels(streets, (5.6, 1.45 * rows + 0.8), sharey=False)
    lefts = [i * (width + gap) + i // each * 6 for i in range(cameras * each)]
    middles = np.reshape(lefts, (cameras, each)).mean(1) + width / 2
    for (axis, images), street in zip(panels, streets, strict=True):
        named = dict(zip(people[street], images.flatten(1, 2), strict=True))
        draw_picture_rows(axis, named, lefts, gap)
        axis.set_xticks(middles, [f"camera {c}" for c in range(cameras)])
    return figure


def draw_rank_lists(lists: Mapping[str, Sequence]) -> plt.Figure:
    """Rank lists below each other, in one panel, so that a browser can draw them quickly.

    lists: the fields of a RankList by label. A right picture has a solid green frame and a tick, a
    wrong one a dashed vermilion frame and a cross.
    """
    lists = {label: RankList(*ranked) for label, ranked in lists.items()}
    count = max(len(ranked.images) for ranked in lists.values())
    height, width = next(iter(lists.values())).images.shape[-2:]
    captions = any(len(ranked.captions) for ranked in lists.values())
    step = height + (30 if captions else 20)  # pixels from one list to the next
    margin = 8 + 3.7 * max(map(len, "\n".join(lists).split("\n")))  # for the labels
    wide, high = margin + (width + 8) * (count + 1) + 8, step * len(lists)
    inches = min(10.5 / wide, 0.95 / (width + 8))  # of one pixel
    figure = plt.figure(figsize=(inches * wide, inches * high), layout="none")
    axis = figure.add_axes((0, 0, 1, 1))
    points = 72 * inches
    for i, (label, ranked) in enumerate(lists.items()):
        top = i * step + 14
        style = {"ha": "right", "va": "center", "fontsize": 6.4 * points, "linespacing": 1.5}
        axis.text(-4, top + height / 2, label, **style)
        draw_rank_list(axis, ranked, top, points)
    axis.set(xlim=(-margin, wide - margin), ylim=(high, 0))
    axis.axis("off")
    return figure


def draw_rank_list(axis: plt.Axes, ranked: RankList, top: float, points: float) -> None:
    """One list, in pixels: each picture with its rank, frame and caption. points: of a pixel."""
    query = [] if ranked.query is None else [ranked.query]
    titles = ["query"] * len(query)
    titles += [f"{rank} {'✓' if hit else '✗'}" for rank, hit in enumerate(ranked.right, 1)]
    height, width = ranked.images.shape[-2:]
    for k, (picture, title) in enumerate(zip([*query, *ranked.images], titles, strict=True)):
        left = 2 + k * (width + 8) + 8 * (title != "query")
        draw_picture(axis, picture, top, left)
        style = {"ha": "center", "fontsize": 6.4 * points}
        style["fontweight"] = "bold" if "✓" in title else "normal"
        axis.text(left + width / 2, top - 4, title, **style)
        if title != "query":
            colour, line = (RIGHT, "-") if "✓" in title else (WRONG, (0, (2, 1)))
            frame = {"fc": "none", "ec": colour, "ls": line, "lw": 2.2 * points}
            corner = left - 1.5, top - 1.5
            axis.add_patch(Rectangle(corner, width + 2, height + 2, **frame))
        if ranked.captions:
            style = {"ha": "center", "fontsize": 5.6 * points}
            axis.text(left + width / 2, top + height + 10, ranked.captions[k], **style)


def draw_similarities(panels: Mapping[str, Mapping[str, Tensor]]) -> plt.Figure:
    """How similar pairs are: cosines (pairs,) of each kind in PAIRS, a panel for each title.

    An upright line marks each mean.
    """
    labels = {"xlabel": "cosine", "ylabel": "share of pairs"}
    figure, axes = titled_panels(panels, (5.2, 3.9), xlim=(-0.8, 1), yticks=[], **labels)
    bars = {"stat": "density", "element": "step", "binrange": (-1, 1), "bins": 40, "lw": 1.6}
    for (axis, pairs), title in zip(axes, panels, strict=True):
        for name, cosines in pairs.items():
            colour, line, hatch = PAIRS[name]
            look = {"facecolor": colour + "40", "edgecolor": colour, "hatch": hatch}
            sns.histplot(cosines.numpy(), ax=axis, label=name, **bars, **look)
            mean = cosines.mean().item()
            axis.axvline(mean, color=colour, ls=line)
            above = {"xycoords": ("data", "axes fraction"), "ha": "center"}
            write_beside(axis, f"{mean:.2f}", (mean, 1), (0, 2), **above)
        axis.set_title(title, pad=22)
        axis.grid(visible=False)
        axis.label_outer()
    legend_below(figure)
    return figure


def draw_styles(
    cameras: Sequence[tuple[str, int]], columns: Sequence[str], styles: Tensor, known: int
) -> plt.Figure:
    """What each camera does, (C, S) in spreads, as tiles with their numbers.

    The first `known` rows are training streets.
    """
    figure, axis = plt.subplots(figsize=(11.5, 0.34 * len(cameras) + 1.4))
    values = styles.numpy()
    words = np.array([f"{value:+.1f}" for value in values.flat]).reshape(values.shape)
    scale = {"cmap": "PuOr", "vmin": -3, "vmax": 3}
    bar = {"label": "spreads between streets", "ticks": range(-3, 4), "pad": 0.01}
    names = [f"{street}, camera {camera}" for street, camera in cameras]
    labels = {"yticklabels": names, "xticklabels": [name.replace("_", "\n") for name in columns]}
    draw_tiles(axis, values, words, {"fontsize": 10}, **scale, **labels, cbar_kws=bar)
    axis.tick_params(axis="x", labelsize=10)
    axis.tick_params(axis="y", labelsize=11)
    axis.xaxis.tick_top()
    axis.axhline(known, color=INK, lw=2.4)
    return figure


def draw_cmc(panels: Mapping[str, Mapping[str, Tensor]]) -> plt.Figure:
    """Rank-k over k for each method: (K,) fractions, a panel for each kind of streets."""
    labels = {"xlabel": "k", "ylabel": "Rank-k (%)", "xticks": [1, 5, 10, 15, 20]}
    figure, axes = titled_panels(panels, (5.2, 3.9), ylim=(0, 102), **labels)
    for axis, curves in axes:
        draw_rates(axis, curves)
    legend_below(figure)
    return figure


def draw_chance(drawn: Mapping[int, Tensor], rate: float) -> plt.Figure:
    """Rates (R,) of so many people drawn again and again, by their number.

    A bar holds 95 % of the draws, dots are forty of them. The dashed lines are
    `certainty.half_width` around `rate`, one query each.
    """
    figure, axis = plt.subplots(figsize=(9, 4.4))
    people = np.geomspace(min(drawn) / 1.2, max(drawn) * 1.2, 100)
    width = np.array([half_width(rate, n) for n in people])
    edges = 100 * np.stack([rate - width, rate + width], 1)  # (100, 2)
    axis.plot(people, edges, color=GREY, ls="--", label="formula, one query each")
    axis.axhline(100 * rate, color=GREY, lw=1.2)
    dots = {"marker": "o", "mec": "none", "color": INK}
    for count, rates in drawn.items():
        low, high = 100 * np.quantile(rates.numpy(), (0.025, 0.975))
        bars = axis.vlines(count, low, high, color=INK, lw=7, alpha=0.25, label="95 % of the draws")
        across = count * np.geomspace(0.95, 1.05, 40)
        axis.plot(across, 100 * rates[:40].numpy(), ms=3.5, alpha=0.7, ls="", **dots)
    axis.set(xscale="log", xlabel="people looked for", ylabel="Rank-1 (%)")
    axis.set_xticks(list(drawn), [str(count) for count in drawn])
    axis.minorticks_off()
    legend_below(figure, [axis.lines[0], bars, dot("one draw", **dots | {"ms": 5})])
    return figure


def draw_teaser(model: nn.Module, streets: Mapping[str, ImageSet]) -> plt.Figure:
    """figures/rank_list.svg: the rank list for the query in the middle of each set of streets."""
    lists = {}
    for name, images in streets.items():
        features = extract_features(model, images)
        query = torch.tensor([middle_query(features, images)])
        order, right = similar_first(features, query, images, 7)
        lists[name] = images.images[query[0]], images.images[order[0]], right[0]
    return draw_rank_lists(lists)
