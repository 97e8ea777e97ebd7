"""Pictures in rows, and lesson 02's two-channel world and style mixer."""

from collections.abc import Mapping, Sequence

from matplotlib import pyplot as plt
from torch import Tensor

from metabin.analysis import Seen
from metabin.plotting.marks import ask, dot, draw_picture_rows
from metabin.plotting.panels import legend_below, row_of_panels, titled_panels
from metabin.plotting.retrieval import RankList, draw_rank_list
from metabin.plotting.style import FAINT, INK, LOOKS, to_picture

SPREAD = 0.2  # between images of the two-channel world that lie in the same place
FILLS, MARKERS = (INK, "white"), (("o", 11), ("s", 11), ("*", 17))  # of people; of streets


def draw_pictures(rows: Mapping[str, Tensor], scale: float = 0.022) -> plt.Figure:
    """A row of pictures (N, 3, H, W) uint8 for each label; `scale` is inches per pixel."""
    count, gap = max(map(len, rows.values())), 2
    height, width = next(iter(rows.values())).shape[-2:]
    size = scale * count * (width + gap) + 1.6, scale * len(rows) * (height + gap) + 0.1
    figure, axis = plt.subplots(figsize=size)
    draw_picture_rows(axis, rows, range(0, count * (width + gap), width + gap), gap)
    return figure


def draw_two_channels(
    panels: Mapping[str, Tensor], people: Sequence[int], streets: Sequence[int]
) -> plt.Figure:
    """The two-channel world: a panel for each label with its images (N, 2, 1, 2).

    An image is a line between its two pixels. Across: the channel of style; up: the channel of
    identity. Filled or not says which person (0 or 1), the marker which street: 0 and 1 are
    known, 2 is new. Images in the same place are drawn a little apart, and counted.
    """
    size = max(9 / len(panels), 3.9), 4.3
    labels = {"xlabel": "style channel", "ylabel": "identity channel"}
    figure, axes = titled_panels(panels, size, sharex=True, ylim=(-1.6, 1.6), **labels)
    for axis, images in axes:
        lifts = _spread(axis, images.detach())
        for image, lift, person, street in zip(images, lifts, people, streets, strict=True):
            x, y = image.detach()[:, 0].numpy()  # (2,) pixels each
            marker, size = MARKERS[street]
            look = {"marker": marker, "ms": size, "mfc": FILLS[person], "mec": INK}
            axis.plot(x, y + lift, color=FAINT, lw=1.5, **look)
    handles = [dot(f"person {i}", mfc=fill, mec=INK) for i, fill in enumerate(FILLS, 1)]
    names = ("street A", "street B", "unseen street")
    for name, (marker, size) in zip(names, MARKERS, strict=True):
        handles.append(dot(name, marker=marker, ms=size, color=FAINT))
    legend_below(figure, handles, columnspacing=1.2, handletextpad=0.2)
    return figure


def draw_teaser(people: Sequence[Tensor]) -> plt.Figure:
    """figures/three_streets.svg: two people on three streets; where do BN and IN put them?

    people: the pictures (3, 3, H, W) of each, one on each street.
    """
    figure, (streets, *answers) = row_of_panels(3, (4.3, 4.3), sharey=False)
    height, width = people[0].shape[-2:]
    lefts, gap = range(0, 6 * width, 2 * width), height // 8
    rows = {f"person {i}": pictures for i, pictures in enumerate(people, 1)}
    draw_picture_rows(streets, rows, lefts, gap)
    streets.set(title="on three streets", xlim=(-0.5, 6 * width))
    for row, fill in enumerate(FILLS):
        for left, (marker, size) in zip(lefts, MARKERS, strict=True):
            x, y = left + 1.45 * width, height / 2 + row * (height + gap)
            streets.plot(x, y, marker=marker, ms=size, mfc=fill, mec=INK, clip_on=False)
    for axis, name in zip(answers, ("BN", "IN"), strict=True):
        ask(axis)
        axis.set(title=f"after {name}", xlabel="style channel", xticks=(), yticks=())
    answers[0].set_ylabel("identity channel")
    return figure


def _spread(axis: plt.Axes, images: Tensor) -> list[float]:
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


def draw_style_mixer(picture: Tensor, seen: Mapping[str, Seen], gallery: Tensor) -> plt.Figure:
    """A query (3, H, W) in its style and, a row for each network, its feature and its rank list.

    The list shows six pictures of the gallery (G, 3, H, W). The feature's numbers are
    sorted by their neutral values, which are the grey line: a dot on it didn't move. A layout
    engine would take half of the time, so all stands at fixed shares of the figure.
    """
    row = 1 / len(seen)  # a row's height, in figures
    figure = plt.figure(figsize=(10.4, 1.66 * len(seen)), layout="none")
    axis = figure.add_axes((0.0, 0.5 - 0.9 * row, 0.16, 1.8 * row))
    axis.imshow(to_picture(picture))
    axis.set_axis_off()
    axis.set_title("the query", fontsize=14, loc="center")
    for number, (name, view) in enumerate(seen.items(), 1):
        bottom = 1 - number * row
        _draw_feature(figure.add_axes((0.27, bottom + 0.12 * row, 0.27, 0.76 * row)), name, view)
        axis = figure.add_axes((0.56, bottom, 0.44, row), frameon=False, xticks=[], yticks=[])
        draw_rank_list(axis, RankList(None, gallery[view.order[:6]], view.right[:6]), 0, 1.6)
        height, width = gallery.shape[-2:]
        axis.set(xlim=(0, (width + 8) * 6 + 8), ylim=(height + 3, -14))
    return figure


def _draw_feature(axis: plt.Axes, name: str, view: Seen) -> None:
    look, order = LOOKS[name], view.neutral.argsort()  # (D,)
    dots = {"marker": look.marker, "ms": look.size / 2, "mfc": look.colour, "mec": "none", "ls": ""}
    axis.plot(view.neutral[order].numpy(), color=FAINT, lw=2)
    axis.plot(view.feature[order].numpy(), **dots)
    axis.set(xticks=[], yticks=[], ylim=(-0.5, 0.5))
    left = {"transform": axis.transAxes, "ha": "right"}
    axis.text(-0.04, 0.62, look.name, fontsize=15, weight="bold", **left)
    axis.text(-0.04, 0.1, f"cos {view.kept:.2f}\nrank {view.rank}", fontsize=13, **left)
