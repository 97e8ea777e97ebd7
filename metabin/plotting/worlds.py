"""Pictures, the balances of networks, and the two-channel world of lesson 02."""

from collections.abc import Mapping, Sequence

import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from metabin.plotting.marks import dot, draw_picture_rows
from metabin.plotting.panels import legend_below, row_of_panels
from metabin.plotting.style import FAINT, INK, LOOKS

SPREAD = 0.2  # between images of the two-channel world that lie in the same place
FILLS, MARKERS = (INK, "white"), (("o", 11), ("s", 11), ("*", 17))  # of people; of streets


def draw_pictures(rows: Mapping[str, Tensor], gap: int = 2, scale: float = 0.022) -> Figure:
    """A row of pictures (N, 3, H, W) uint8 for each label; `scale` is inches per pixel."""
    count = max(len(images) for images in rows.values())
    height, width = next(iter(rows.values())).shape[-2:]
    size = scale * count * (width + gap) + 1.6, scale * len(rows) * (height + gap) + 0.1
    figure, axis = plt.subplots(figsize=size)
    draw_picture_rows(axis, rows, range(0, count * (width + gap), width + gap), gap)
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
    known, 2 is new. Images in the same place are drawn a little apart, and counted.
    """
    size = max(9 / len(panels), 3.9), 4.3
    figure, axes = row_of_panels(len(panels), size, sharex=True)
    for axis, (label, images) in zip(axes, panels.items(), strict=True):
        lifts = _spread(axis, images.detach())
        for image, lift, person, street in zip(images, lifts, people, streets, strict=True):
            x, y = image.detach()[:, 0].numpy()  # (2,) pixels each
            marker, size = MARKERS[street]
            look = {"marker": marker, "ms": size, "mfc": FILLS[person], "mec": INK}
            axis.plot(x, y + lift, color=FAINT, lw=1.5, **look)
        axis.set(title=label, xlabel="style channel", ylim=(-1.6, 1.6))
    axes[0].set_ylabel("identity channel")
    handles = [dot(f"person {i}", mfc=fill, mec=INK) for i, fill in enumerate(FILLS, 1)]
    names = ("street A", "street B", "unseen street")
    for name, (marker, size) in zip(names, MARKERS, strict=True):
        handles.append(dot(name, marker=marker, ms=size, color=FAINT))
    legend_below(figure, handles, columnspacing=1.2, handletextpad=0.2)
    return figure


def draw_teaser(people: Sequence[Tensor]) -> Figure:
    """figures/three_streets.svg: two people on three streets; where do BN and IN put them?

    people: the pictures (3, 3, H, W) of each, one on each street.
    """
    figure, axes = row_of_panels(3, (4.3, 4.3), sharey=False)
    height, width = people[0].shape[-2:]
    lefts = range(0, 3 * 2 * width, 2 * width)
    rows = {f"person {i}": pictures for i, pictures in enumerate(people, 1)}
    draw_picture_rows(axes[0], rows, lefts, gap=height // 8)
    axes[0].set_title("on three streets")
    for row, fill in enumerate(FILLS):
        for left, (marker, size) in zip(lefts, MARKERS, strict=True):
            place = left + 1.45 * width, (row + 0.5) * height + row * height // 8
            axes[0].plot(*place, marker=marker, ms=size, mfc=fill, mec=INK, clip_on=False)
    for axis, name in zip(axes[1:], ("BN", "IN"), strict=True):
        axis.text(0.5, 0.5, "?", ha="center", va="center", fontsize=90, color=FAINT)
        axis.set(title=f"after {name}", xlabel="style channel", xticks=(), yticks=())
    axes[1].set_ylabel("identity channel")
    return figure


def _spread(axis: Axes, images: Tensor) -> list[float]:
    """How far each image is lifted so that all in one place can be seen; says how many they are."""
    lifts = [0.0] * len(images)
    alike = (images[:, None] - images).flatten(2).abs().amax(2) < 1e-3  # (N, N)
    for group in alike.unique(dim=0):
        members = group.nonzero().flatten().tolist()
        for place, member in enumerate(members):
            lifts[member] = SPREAD * (place - (len(members) - 1) / 2)
        if len(members) > 1:
            x, y = images[members[0], :, 0]  # (2,) pixels each
            text = f"{len(members)} pictures\nin one place"
            axis.text(x.max() + 0.3, y.mean(), text, va="center", fontsize=13)
    return lifts
