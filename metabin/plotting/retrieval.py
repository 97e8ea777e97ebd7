"""How retrieval is drawn: people by camera and street, rank lists, similarities, styles, and how far chance moves a rate."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from metabin.analysis import middle_query, similar_first
from metabin.data.images import ImageSet
from metabin.evaluate.certainty import half_width
from metabin.evaluate.retrieval import extract_features
from metabin.plotting.style import INK, LOOKS, RIGHT, WRONG, to_picture

PAIRS = {
    "same person": (INK, "-", ""),
    "another person": ("#8C8C8C", "--", "////"),
}  # colour, line, hatch
RankList = tuple[
    Tensor, Tensor, Tensor, Sequence[str]
]  # query (3, H, W), nearest (K, 3, H, W), right (K,), captions


def draw_album(streets: Mapping[str, Tensor], people: Mapping[str, Sequence[str]]) -> Figure:
    """A panel for each street: a row for each of its people, a group of columns for each camera. Images (P, C, K, 3, H, W)."""
    _, cameras, each, _, height, width = next(iter(streets.values())).shape
    rows = max(len(images) for images in streets.values())
    figure, axes = plt.subplots(
        1, len(streets), figsize=(5.6 * len(streets), 1.45 * rows + 0.8), squeeze=False
    )
    group, gap = each * (width + 2) + 6, 2  # pixels
    for axis, (name, images) in zip(axes[0], streets.items(), strict=True):
        canvas = np.full(
            (len(images) * (height + gap) - gap, cameras * group - 8, 3), 255, np.uint8
        )
        for p, c, k in np.ndindex(len(images), cameras, each):
            top, left = p * (height + gap), c * group + k * (width + gap)
            canvas[top : top + height, left : left + width] = to_picture(images[p, c, k])
        axis.imshow(canvas)
        axis.set_xticks(
            [c * group + (group - 8) / 2 for c in range(cameras)],
            [f"camera {c}" for c in range(cameras)],
        )
        axis.set_yticks([p * (height + gap) + height / 2 for p in range(len(images))], people[name])
        axis.set_title(name)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.grid(visible=False)
    return figure


def draw_rank_lists(lists: Mapping[str, RankList]) -> Figure:
    """Rank lists below each other, all on one canvas, so that a browser can draw them quickly.

    A right picture has a solid green frame and a tick, a wrong one a dashed vermilion frame and a cross.
    """
    count = max(len(images) for _, images, _, _ in lists.values())
    height, width = next(iter(lists.values()))[0].shape[-2:]
    step, row = (
        width + 8,
        height + 30,
    )  # pixels from one picture to the next, and from one list to the next
    canvas = np.full((row * len(lists), step * (count + 1) + 8, 3), 255, np.uint8)
    wide, high = canvas.shape[1] + 46, canvas.shape[0]
    figure = plt.figure(figsize=(10.5, 10.5 * high / wide), layout="none")
    axis = figure.add_axes((0, 0, 1, 1))
    points = 10.5 * 72 / wide  # of one pixel
    for i, (label, (query, images, right, captions)) in enumerate(lists.items()):
        top = i * row + 14
        axis.text(
            -4,
            top + height / 2,
            label,
            ha="right",
            va="center",
            fontsize=5.8 * points,
            linespacing=1.5,
        )
        for k, image in enumerate((query, *images)):
            left = 2 + k * step + (8 if k else 0)
            canvas[top : top + height, left : left + width] = to_picture(image)
            hit = None if k == 0 else bool(right[k - 1])
            title = "query" if k == 0 else f"{k} {'✓' if hit else '✗'}"
            weight = "bold" if hit else "normal"
            axis.text(
                left + width / 2,
                top - 4,
                title,
                ha="center",
                fontsize=6.4 * points,
                fontweight=weight,
            )
            caption = captions[k] if captions else ""
            axis.text(
                left + width / 2, top + height + 10, caption, ha="center", fontsize=5.6 * points
            )
            if hit is not None:
                colour, line = (RIGHT, "-") if hit else (WRONG, (0, (2, 1)))
                frame = {
                    "edgecolor": colour,
                    "linestyle": line,
                    "linewidth": 2.2 * points,
                    "facecolor": "none",
                }
                axis.add_patch(Rectangle((left - 1.5, top - 1.5), width + 2, height + 2, **frame))
    axis.imshow(canvas, interpolation="none")
    axis.set(xlim=(-46, canvas.shape[1]), ylim=(high, 0))
    axis.axis("off")
    return figure


def draw_similarities(panels: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """How similar pairs are, one panel for each kind: cosines (pairs,) of the "same person" and of "another person".

    An upright line marks each mean.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(5.2 * len(panels), 3.9), sharex=True, sharey=True, squeeze=False
    )
    for axis, (title, pairs) in zip(axes[0], panels.items(), strict=True):
        for name, cosines in pairs.items():
            colour, line, hatch = PAIRS[name]
            values, mean = cosines.numpy(), cosines.mean().item()
            style = {"facecolor": colour + "40", "edgecolor": colour, "hatch": hatch, "lw": 1.6}
            axis.hist(
                values,
                np.linspace(-1, 1, 41),
                density=True,
                histtype="stepfilled",
                label=name,
                **style,
            )
            axis.axvline(mean, color=colour, ls=line)
            axis.annotate(
                f"{mean:.2f}",
                (mean, 1),
                (0, 2),
                ("data", "axes fraction"),
                "offset points",
                ha="center",
            )
        axis.set(xlabel="cosine", yticks=[], xlim=(-0.8, 1))
        axis.set_title(title, pad=22)
        axis.grid(visible=False)
    axes[0, 0].set_ylabel("share of pairs")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def draw_styles(
    cameras: Sequence[tuple[str, int]], columns: Sequence[str], styles: Tensor, known: int
) -> Figure:
    """What each camera does, (C, S) in spreads, as tiles with their numbers; the first `known` rows are training streets."""
    figure, axis = plt.subplots(figsize=(11.5, 0.34 * len(cameras) + 1.4))
    tiles = axis.imshow(styles.numpy(), cmap="PuOr", vmin=-3, vmax=3, aspect="auto")
    for (row, column), value in np.ndenumerate(styles.numpy()):
        colour = "white" if abs(value) > 1.8 else INK
        axis.text(column, row, f"{value:+.1f}", ha="center", va="center", fontsize=10, color=colour)
    axis.set_xticks(range(len(columns)), [name.replace("_", "\n") for name in columns], fontsize=10)
    axis.set_yticks(
        range(len(cameras)),
        [f"{street}, camera {camera}" for street, camera in cameras],
        fontsize=11,
    )
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.axhline(known - 0.5, color=INK, lw=2.4)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    figure.colorbar(tiles, label="spreads between streets", ticks=range(-3, 4), pad=0.01)
    return figure


def draw_cmc(panels: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Rank-k over k for each method of LOOKS: (K,) fractions, a panel for each kind of streets."""
    figure, axes = plt.subplots(
        1, len(panels), figsize=(5.2 * len(panels), 3.9), sharey=True, squeeze=False
    )
    for axis, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for method, values in curves.items():
            look, ranks = LOOKS[method], range(1, len(values) + 1)
            drawn = {
                "color": look.colour,
                "marker": look.marker,
                "ls": look.line,
                "label": look.name,
            }
            axis.plot(ranks, (100 * values).tolist(), **drawn)
        axis.set(title=title, xlabel="k", ylim=(0, 102), xticks=[1, 5, 10, 15, 20])
    axes[0, 0].set_ylabel("Rank-k (%)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def draw_chance(drawn: Mapping[int, Tensor], rate: float) -> Figure:
    """Rates of so many people drawn again and again (R,), by their number: 95 % of them as a bar, forty as dots.

    The dashed lines are `certainty.half_width` around `rate`, one query each.
    """
    figure, axis = plt.subplots(figsize=(9, 4.4))
    people = np.geomspace(min(drawn) / 1.2, max(drawn) * 1.2, 100)
    for sign in (-1, 1):
        label = "formula, one query each" if sign > 0 else None
        edge = [100 * (rate + sign * half_width(rate, n)) for n in people]
        axis.plot(people, edge, color="#8C8C8C", ls="--", label=label)
    axis.axhline(100 * rate, color="#8C8C8C", lw=1.2)
    for count, rates in drawn.items():
        low, high = (100 * rates.quantile(torch.tensor([0.025, 0.975], dtype=rates.dtype))).tolist()
        label = "95 % of the draws" if count == min(drawn) else None
        axis.plot(
            [count, count],
            [low, high],
            color=INK,
            lw=7,
            alpha=0.25,
            solid_capstyle="butt",
            label=label,
        )
        places = count * np.geomspace(0.95, 1.05, 40)
        axis.plot(places, 100 * rates[:40].numpy(), "o", ms=3.5, mec="none", color=INK, alpha=0.7)
    axis.set(xscale="log", xlabel="people looked for", ylabel="Rank-1 (%)")
    axis.set_xticks(list(drawn), [str(count) for count in drawn])
    axis.minorticks_off()
    dot = Line2D([], [], marker="o", ls="", ms=5, mec="none", color=INK, label="one draw")
    figure.legend(
        handles=[*axis.get_legend_handles_labels()[0], dot], loc="outside lower center", ncols=3
    )
    return figure


def draw_teaser(model: nn.Module, streets: Mapping[str, ImageSet]) -> Figure:
    """figures/rank_list.svg: a network's rank list for the query in the middle of each set of streets."""
    lists = {}
    for name, images in streets.items():
        features = extract_features(model, images)
        query = torch.tensor([middle_query(features, images)])
        order, right = similar_first(features, query, images, 7)
        lists[name] = images.images[query[0]], images.images[order[0]], right[0], ()
    return draw_rank_lists(lists)
