"""How the style mixer of lesson 02 is drawn: a picture, its features and its rank lists. Light enough to follow a slider."""

from collections.abc import Mapping

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from metabin.analysis import Seen
from metabin.plotting.style import FAINT, INK, LOOKS, RIGHT, WRONG, to_picture


def draw_style_mixer(
    picture: Tensor, seen: Mapping[str, Seen], gallery: Tensor, first: int = 6
) -> Figure:
    """A query (3, H, W) in its style and, a row for each network: its feature, and the `first` of the gallery (G, 3, H, W).

    The feature's numbers are sorted by their neutral values, which are the grey line: a dot on it didn't move. A right
    picture has a solid green frame and a tick, a wrong one a dashed vermilion frame. No layout engine: that took half of
    the time.
    """
    rows = len(seen)
    figure = plt.figure(figsize=(10.4, 1.66 * rows), layout="none")
    row = 1 / rows  # a row's height, in figures
    axis = figure.add_axes((0.0, 0.5 - 0.9 * row, 0.16, 1.8 * row))
    axis.imshow(to_picture(picture))
    axis.set_axis_off()
    axis.set_title("the query", fontsize=14, loc="center")
    for number, (name, found) in enumerate(seen.items()):
        bottom = 1 - (number + 1) * row
        _draw_feature(figure.add_axes((0.27, bottom + 0.12 * row, 0.27, 0.76 * row)), name, found)
        _draw_list(figure.add_axes((0.56, bottom, 0.44, row)), found, gallery, first)
    return figure


def _draw_feature(axis, name: str, found: Seen) -> None:
    look, order = LOOKS[name], found.neutral.argsort()  # (D,)
    size = 8 if look.marker == "*" else 5  # a star fills less of its square
    axis.plot(found.neutral[order].numpy(), color=FAINT, lw=2)
    axis.plot(
        found.feature[order].numpy(),
        ls="",
        marker=look.marker,
        ms=size,
        mfc=look.colour,
        mec="none",
    )
    axis.set(xticks=[], yticks=[], ylim=(-0.5, 0.5))
    axis.text(
        -0.04, 0.62, look.name, transform=axis.transAxes, ha="right", fontsize=15, weight="bold"
    )
    axis.text(
        -0.04, 0.3, f"cos {found.kept:.2f}", transform=axis.transAxes, ha="right", fontsize=13
    )


def _draw_list(axis, found: Seen, gallery: Tensor, first: int) -> None:
    height, width = gallery.shape[-2:]
    gap = width // 4
    strip = np.full((height, first * (width + gap), 3), 255, np.uint8)
    for place, (image, hit) in enumerate(
        zip(found.order[:first].tolist(), found.right[:first].tolist(), strict=True)
    ):
        left = place * (width + gap)
        strip[:, left : left + width] = to_picture(gallery[image])
        line = {"ec": RIGHT, "ls": "-"} if hit else {"ec": WRONG, "ls": (0, (2, 1))}
        axis.add_patch(
            Rectangle((left - 0.5, -0.5), width, height, fill=False, lw=3, clip_on=False, **line)
        )
    axis.imshow(strip)
    axis.set_axis_off()
    axis.set(xlim=(-2, strip.shape[1] + 1), ylim=(height + 1, -13))
    said = f"right picture at rank {found.rank}" + (" ✓" if found.rank == 1 else "")
    axis.text(0, -4.5, said, fontsize=13, color=INK)
