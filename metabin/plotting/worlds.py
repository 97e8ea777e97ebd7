"""Pictures, rank lists, and the two-channel world of lesson 02."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from metabin.plotting.panels import row_of_panels
from metabin.plotting.style import FAINT, INK, LOOKS, RIGHT, WRONG, to_picture


def draw_pictures(rows: Mapping[str, Tensor], gap: int = 2, scale: float = 0.022) -> Figure:
    """A row of pictures (N, 3, H, W) uint8 for each label; `scale` is inches per pixel."""
    count = max(len(images) for images in rows.values())
    height, width = next(iter(rows.values())).shape[-2:]
    size = scale * count * (width + gap) + 1.6, scale * len(rows) * (height + gap) + 0.1
    figure, axes = plt.subplots(len(rows), 1, figsize=size, squeeze=False)
    for axis, (label, images) in zip(axes[:, 0], rows.items(), strict=True):
        strip = np.full((height, count * (width + gap) - gap, 3), 255, np.uint8)
        for i, image in enumerate(images):
            strip[:, i * (width + gap) : i * (width + gap) + width] = to_picture(image)
        axis.imshow(strip)
        axis.set(xticks=[], yticks=[])
        axis.set_ylabel(label, rotation=0, ha="right", va="center")
        axis.spines[:].set_visible(False)
    return figure


def draw_rankings(rankings: Mapping[str, tuple[Tensor, Tensor, Tensor]]) -> Figure:
    """Rank lists, a row for each label.

    A row: the query (3, H, W), the best gallery images (K, 3, H, W), right or not (K,). A right
    picture has a solid green frame and a tick, a wrong one a dashed vermilion frame.
    """
    count = 1 + max(len(images) for _, images, _ in rankings.values())
    size = count + 1.2, 2.05 * len(rankings)
    figure, axes = plt.subplots(len(rankings), count, figsize=size, squeeze=False)
    title = {"fontsize": 12, "loc": "center", "fontweight": "normal"}
    for row, (label, (query, images, right)) in zip(axes, rankings.items(), strict=True):
        for axis, picture in zip(row, [query, *images], strict=True):
            axis.imshow(to_picture(picture))
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=12)
        row[0].set_title("query", **title)
        row[0].spines[:].set_visible(False)
        for rank, (axis, hit) in enumerate(zip(row[1:], right.tolist(), strict=True), 1):
            axis.set_title(f"{rank} ✓" if hit else f"{rank}", **title)
            for spine in axis.spines.values():
                spine.set(visible=True, linewidth=4, edgecolor=RIGHT if hit else WRONG)
                spine.set(linestyle="-" if hit else (0, (2, 1)), capstyle="butt")
    return figure


def draw_balances(balances: Mapping[str, Tensor]) -> Figure:
    """A histogram of all balancing parameters (C,) for each label, from IN (0) to BN (1)."""
    figure, axes = row_of_panels(len(balances), (5, 3.2))
    for axis, (label, rho) in zip(axes, balances.items(), strict=True):
        look = next(look for look in LOOKS.values() if look.name == label)
        bars = {"color": look.colour, "hatch": look.hatch, "alpha": 1}
        sns.histplot(rho.cpu().numpy(), bins=20, binrange=(0, 1), ax=axis, legend=False, **bars)
        axis.set(title=label, xlabel="ρ   (0: IN, 1: BN)", xlim=(0, 1))
    axes[0].set_ylabel("channels")
    return figure


def draw_two_channels(
    panels: Mapping[str, Tensor], people: Sequence[int], streets: Sequence[int]
) -> Figure:
    """The two-channel world: a panel for each label with its images (N, 2, 1, 2).

    An image is a line between its two pixels. Across: the channel of style; up: the channel of
    identity. Filled or not says which person (0 or 1), the marker which street: 0 and 1 are
    known, 2 is new.
    """
    size = max(9, 3.9 * len(panels)), 4.3
    figure, axes = plt.subplots(
        1, len(panels), figsize=size, sharex=True, sharey=True, squeeze=False
    )
    fills, markers = (INK, "white"), (("o", 11), ("s", 11), ("*", 17))
    for axis, (label, images) in zip(axes[0], panels.items(), strict=True):
        for image, person, street in zip(images.detach(), people, streets, strict=True):
            x, y = image[:, 0].numpy()  # (2,) pixels each
            marker, size = markers[street]
            axis.plot(x, y, color=FAINT, lw=1.5, marker=marker, ms=size, mfc=fills[person], mec=INK)
        axis.set(title=label, xlabel="style channel", ylim=(-1.6, 1.6))
    axes[0, 0].set_ylabel("identity channel")
    dots = [Line2D([], [], marker="o", ms=11, mfc=fill, mec=INK, ls="") for fill in fills]
    dots += [Line2D([], [], marker=marker, ms=size, color=FAINT, ls="") for marker, size in markers]
    names = ("person 1", "person 2", "street A", "street B", "unseen street")
    figure.legend(
        dots, names, loc="outside lower center", ncols=5, columnspacing=1.2, handletextpad=0.2
    )
    return figure
