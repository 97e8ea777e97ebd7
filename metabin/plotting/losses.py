"""How losses and batches are drawn: points that are pushed, samples that are chosen, pictures that a batch holds."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import Tensor

from metabin.analysis.plane import eighteen_points, push
from metabin.losses import scatter_loss, shuffle_loss, triplet_loss
from metabin.plotting.style import FAINT, INK, LOSSES, to_picture

DOMAINS = (
    ("#8C510A", "o", 10),
    ("#6B7785", "s", 9),
    ("#E377A2", "^", 11),
)  # colour, marker and its size, by domain


def _draw_points(
    axis: Axes, features: Tensor, pids: Tensor, domains: Tensor, alpha: float = 1.0
) -> None:
    """Features (N, 2): colour and marker say the domain; filled or open, which of its two people."""
    for (x, y), pid, domain in zip(features.tolist(), pids.tolist(), domains.tolist(), strict=True):
        colour, marker, size = DOMAINS[domain % len(DOMAINS)]
        face = "white" if pid % 2 else colour
        axis.plot(
            x, y, marker, color=colour, ms=size, mfc=face, mec=colour, mew=2, alpha=alpha, zorder=3
        )


def _frame(axes: Sequence[Axes], features: Tensor, margin: float = 0.5) -> None:
    """Equal scales and common limits that hold the features (..., 2) and the origin, which is marked."""
    corners = features.reshape(-1, 2)
    low, high = corners.amin(0).clamp(max=0), corners.amax(0).clamp(min=0)
    for axis in axes:
        axis.set(
            xlim=(low[0] - margin, high[0] + margin),
            ylim=(low[1] - margin, high[1] + margin),
            aspect="equal",
        )
        axis.tick_params(labelbottom=False, labelleft=False, length=0)
        axis.plot(0, 0, "+", mec=INK, ms=14, mew=2, zorder=2)


def _explain_points(figure: Figure, domains: Tensor) -> None:
    """A legend: the domains' colours and markers, the people's fills; beside one panel, or under several."""
    shown = [(number, DOMAINS[number % len(DOMAINS)]) for number in domains.unique().tolist()]
    dots = [
        Line2D([], [], marker=marker, ms=size, color=colour, ls="", label=f"domain {number + 1}")
        for number, (colour, marker, size) in shown
    ]
    fills = (("one person", FAINT), ("another person", "white"))
    dots += [
        Line2D([], [], marker="D", ms=9, mfc=face, mec=FAINT, mew=2, ls="", label=name)
        for name, face in fills
    ]
    dots.append(Line2D([], [], marker="+", ms=12, mec=INK, mew=2, ls="", label="origin"))
    wide = len(figure.axes) > 2
    place, columns = ("outside lower center", len(dots)) if wide else ("outside right center", 1)
    figure.legend(handles=dots, loc=place, ncols=columns, handletextpad=0.2, columnspacing=1.4)


def _panels(count: int, side: float, extra: float) -> tuple[Figure, np.ndarray]:
    """Square panels in a row with room for the legend, `extra` inches above what the panels need."""
    size = (side * count, side + extra + 0.4) if count > 2 else (side * count + 2.4, side + extra)
    figure, axes = plt.subplots(1, count, figsize=size, squeeze=False, layout="compressed")
    return figure, axes[0]


def draw_pushes(
    features: Tensor,
    pids: Tensor,
    domains: Tensor,
    pushes: Mapping[str, Tensor],
    longest: float = 0.8,
) -> Figure:
    """Where each loss pushes each point: a panel for each of `pushes` (N, 2), scaled so that the longest is `longest`.

    A panel's name begins with its loss, "shuffle" or "shuffle, mean"; under it stands how long the longest gradient is.
    """
    figure, axes = _panels(len(pushes), 4.2, 0.7)
    for axis, (name, arrows) in zip(axes, pushes.items(), strict=True):
        most = arrows.norm(dim=1).max().item()
        x, y = features.T.tolist()
        u, v = (arrows * (longest / most if most else 1.0)).T.tolist()
        colour = LOSSES[name.partition(",")[0]][0]
        axis.quiver(
            x, y, u, v, angles="xy", scale_units="xy", scale=1, color=colour, width=0.012, zorder=4
        )
        _draw_points(axis, features, pids, domains)
        axis.set_title(name)
        axis.set_xlabel(f"longest arrow: {most:.2g}")
    _frame(axes, features, margin=0.5 + longest / 2)
    _explain_points(figure, domains)
    return figure


def draw_walks(paths: Mapping[str, Tensor], pids: Tensor, domains: Tensor) -> Figure:
    """Where points went, a panel for each path (T, N, 2): first positions faint, a trail, last positions."""
    figure, axes = _panels(len(paths), 4.2, 0.4)
    for axis, (name, path) in zip(axes, paths.items(), strict=True):
        _draw_points(axis, path[0], pids, domains, alpha=0.3)
        for track in path.unbind(1):
            axis.plot(*track.T.tolist(), color=FAINT, lw=1.2, zorder=2)
        _draw_points(axis, path[-1], pids, domains)
        axis.set_title(name)
    _frame(axes, torch.cat(list(paths.values())))
    _explain_points(figure, domains)
    return figure


def draw_chosen(
    features: Tensor,
    pids: Tensor,
    domains: Tensor,
    panels: Mapping[str, tuple[int, Mapping[str, int]]],
) -> Figure:
    """Which samples a loss picks for an anchor: a panel for each title with the anchor's number and the picks by name.

    The first pick is drawn by a solid line, what it is compared with by a dashed one; their distances stand below.
    """
    figure, axes = _panels(len(panels), 5.2, 0.7)
    for axis, (title, (anchor, picks)) in zip(axes, panels.items(), strict=True):
        _draw_points(axis, features, pids, domains)
        start = features[anchor]
        axis.plot(*start.tolist(), "o", ms=24, mfc="none", mec=INK, mew=2)
        for (name, pick), line in zip(picks.items(), ("-", (0, (3, 2))), strict=True):
            end = features[pick]
            axis.plot(*torch.stack([start, end]).T.tolist(), color=INK, ls=line, lw=2, zorder=2)
            axis.plot(*end.tolist(), "o", ms=24, mfc="none", mec=INK, mew=2)
            axis.annotate(
                name, end.tolist(), (-20, -20), textcoords="offset points", ha="center", va="center"
            )
        lengths = [
            f"d(a, {name}) = {(start - features[pick]).norm():.2f}" for name, pick in picks.items()
        ]
        axis.set_xlabel("     ".join(lengths))
        axis.set_title(title)
    _frame(axes, features)
    _explain_points(figure, domains)
    return figure


def draw_smoothing(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """A loss over the lead of the right identity's logit, (leads, losses) by name; each curve's lowest point is marked."""
    figure, axis = plt.subplots(figsize=(9, 4.4))
    lines = ("-", "--", "-.", (0, (1, 1)))
    shades = (INK, LOSSES["id"][0], "#8E7CC3", FAINT)
    for (name, (leads, losses)), line, colour in zip(curves.items(), lines, shades, strict=False):
        axis.plot(leads, losses, color=colour, ls=line, label=name)
        lowest = int(np.argmin(losses))
        if lowest < len(losses) - 1:
            axis.plot(leads[lowest], losses[lowest], "o", ms=10, color=colour)
    axis.set(
        xlabel="lead of the right identity's logit over all others", ylabel="loss", ylim=(0, None)
    )
    axis.legend()
    return figure


def draw_batch(
    rows: Mapping[str, Tensor], images_per_id: int, meta_train: Sequence[str], gap: int = 3
) -> Figure:
    """A PK batch: a row of pictures (P*K, 3, H, W) uint8 for each domain, people apart from each other.

    A bar on the right says which rows are meta-train (solid, those in `meta_train`) and which meta-test (hatched).
    """
    count, _, height, width = next(iter(rows.values())).shape
    step, between, bar = (
        width + gap,
        4 * gap,
        width // 2,
    )  # pixels from picture to picture, and from person to person
    total = count * step + (count // images_per_id) * between
    ground = np.full((len(rows) * (height + gap), total + bar + gap, 3), 255, np.uint8)
    scale = 11.3 / ground.shape[1]  # inches per pixel
    figure, axis = plt.subplots(figsize=(13, scale * ground.shape[0] + 0.7), layout="compressed")
    sides = {True: {"facecolor": INK}, False: {"facecolor": "white", "hatch": "////"}}
    for i, (name, images) in enumerate(rows.items()):
        top = i * (height + gap)
        for j, image in enumerate(images):
            left = j * step + j // images_per_id * between
            ground[top : top + height, left : left + width] = to_picture(image)
        axis.add_patch(
            Rectangle((total, top), bar, height, edgecolor=INK, **sides[name in meta_train])
        )
    axis.imshow(ground)
    axis.set_yticks([i * (height + gap) + height / 2 for i in range(len(rows))], list(rows))
    axis.set_xticks([])
    axis.tick_params(length=0)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    names = ((True, "meta-train"), (False, "meta-test"))
    handles = [
        Rectangle((0, 0), 1, 1, edgecolor=INK, label=name, **sides[learns])
        for learns, name in names
    ]
    figure.legend(handles=handles, loc="outside lower right", ncols=2)
    return figure


def draw_counts(kinds: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """How many people of each domain a batch holds, by kind of sampling: counts (batches, domains) each.

    A dot is the mean, a bar holds nine of ten batches; where batches miss a domain, their share is written.
    """
    figure, axis = plt.subplots(figsize=(10.5, 4.4))
    looks = (("D", INK, "white"), ("o", "#777777", "#777777"))  # marker, line, face
    for i, ((kind, counts), (marker, line, face)) in enumerate(
        zip(kinds.items(), looks, strict=True)
    ):
        y = np.arange(len(names)) + (0.16 if i else -0.16)
        low, high = np.quantile(counts.numpy(), (0.05, 0.95), axis=0)
        axis.hlines(y, low, high, color=line, lw=3)
        axis.plot(
            counts.float().mean(0).tolist(),
            y,
            marker,
            color=line,
            mfc=face,
            mec=line,
            ms=10,
            ls="",
            label=kind,
        )
        for height, end, share in zip(y, high, (counts == 0).float().mean(0).tolist(), strict=True):
            if share:
                axis.annotate(
                    f"none in {share:.0%} of batches", (end + 0.4, height), va="center", fontsize=13
                )
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="people in a batch", xlim=(-0.5, None), ylim=(len(names) - 0.4, -0.6))
    axis.grid(axis="y", visible=False)
    figure.legend(loc="outside right center")
    return figure


def draw_splits(counts: Mapping[tuple[int, ...], int]) -> Figure:
    """How often each split was drawn, a bar each; the line is the expectation, the band twice its standard deviation."""
    figure, axis = plt.subplots(figsize=(10, 3.6))
    draws, splits = sum(counts.values()), len(counts)
    expected = draws / splits
    spread = (expected * (1 - 1 / splits)) ** 0.5
    axis.bar(range(splits), counts.values(), 0.7, color=FAINT, zorder=2)
    axis.axhline(expected, color=INK, ls="--", lw=1.8)
    axis.axhspan(expected - 2 * spread, expected + 2 * spread, facecolor=INK, alpha=0.12, zorder=1)
    axis.set_xticks(range(splits), [" ".join(str(d + 1) for d in split) for split in counts])
    axis.set(xlabel="domains in meta-train", ylabel="draws")
    axis.grid(axis="x", visible=False)
    return figure


def draw_teaser() -> Figure:
    """figures/losses.svg: where the three meta-train losses push eighteen points."""
    features, pids, domains = eighteen_points()
    losses = {
        "scatter": lambda f: scatter_loss(f, domains),
        "shuffle": lambda f: shuffle_loss(f, pids, domains),
        "triplet": lambda f: triplet_loss(f, pids),
    }
    return draw_pushes(
        features, pids, domains, {name: push(loss, features) for name, loss in losses.items()}
    )
