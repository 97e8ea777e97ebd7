"""How losses and batches are drawn: points that are pushed, samples chosen, a batch's pictures."""

from collections.abc import Collection, Mapping, Sequence

import torch
from matplotlib import pyplot as plt
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from metabin.analysis.plane import eighteen_points
from metabin.plotting.marks import dot, draw_picture_rows, write_beside
from metabin.plotting.panels import row_of_panels
from metabin.plotting.style import FAINT, INK, LOSSES

# Colour, marker and its size, by domain.
DOMAINS = (("#8C510A", "o", 10), ("#6B7785", "s", 9), ("#E377A2", "^", 11))


def draw_points(
    axis: plt.Axes, features: Tensor, pids: Tensor, domains: Tensor, alpha: float = 1
) -> None:
    """Features (N, 2): colour and marker say the domain, the fill says which person."""
    for (x, y), pid, domain in zip(features.tolist(), pids.tolist(), domains.tolist(), strict=True):
        colour, marker, size = DOMAINS[domain % len(DOMAINS)]
        edge = {"mfc": "white" if pid % 2 else colour, "mec": colour, "mew": 2}
        axis.plot(x, y, marker, color=colour, ms=size, alpha=alpha, zorder=3, **edge)


def draw_arrows(axis: plt.Axes, starts: Tensor, arrows: Tensor, colour: str, width: float) -> None:
    """Arrows (N, 2) from their starts (N, 2), in the units of the axes."""
    (x, y), (u, v) = starts.T.tolist(), arrows.T.tolist()
    units = {"angles": "xy", "scale_units": "xy", "scale": 1}
    axis.quiver(x, y, u, v, color=colour, width=width, zorder=4, **units)


def _frame(axes: Sequence[plt.Axes], features: Tensor, margin: float = 0.5) -> None:
    """Equal scales and common limits around the features (..., 2) and the origin, a cross."""
    corners = features.reshape(-1, 2)
    low, high = corners.amin(0).clamp(max=0), corners.amax(0).clamp(min=0)
    for axis in axes:
        axis.set(xlim=(low[0] - margin, high[0] + margin), aspect="equal")
        axis.set(ylim=(low[1] - margin, high[1] + margin))
        axis.tick_params(labelbottom=False, labelleft=False, length=0)
        axis.plot(0, 0, "+", mec=INK, ms=14, mew=2, zorder=2)


def explain_points(figure: plt.Figure, domains: Tensor, below: bool) -> None:
    """A legend of domains and people, below the panels or at their right."""
    dots = []
    for number in domains.unique().tolist():
        colour, marker, size = DOMAINS[number % len(DOMAINS)]
        dots.append(dot(f"domain {chr(65 + number)}", marker=marker, ms=size, color=colour))
    for name, face in (("one person", FAINT), ("another person", "white")):
        dots.append(dot(name, marker="D", ms=9, mfc=face, mec=FAINT, mew=2))
    dots.append(dot("origin", marker="+", ms=12, mec=INK, mew=2))
    place, columns = ("lower center", len(dots)) if below else ("right center", 1)
    style = {"handletextpad": 0.2, "columnspacing": 1.4, "ncols": columns}
    figure.legend(handles=dots, loc=f"outside {place}", **style)


def _panels(
    titles: Collection[str], side: float, extra: float
) -> tuple[plt.Figure, list[plt.Axes]]:
    """Square panels in a row, `extra` inches higher than these, with room for the legend."""
    count = len(titles)
    size = (side, side + extra + 0.4) if count > 2 else (side + 2.4 / count, side + extra)
    figure, axes = row_of_panels(count, size, sharey=False, layout="compressed")
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title)
    return figure, axes


def draw_pushes(
    features: Tensor, pids: Tensor, domains: Tensor, pushes: Mapping[str, Tensor]
) -> plt.Figure:
    """Where each loss pushes each point: a panel for each of `pushes` (N, 2).

    Arrows are scaled so that the longest is 0.8; below stands how long it is unscaled.
    """
    figure, axes = _panels(pushes, 4.2, 0.7)
    for axis, (name, arrows) in zip(axes, pushes.items(), strict=True):
        longest = arrows.norm(dim=1).max().item()
        scaled = arrows * (0.8 / longest if longest else 1.0)
        draw_arrows(axis, features, scaled, LOSSES[name].colour, width=0.012)
        draw_points(axis, features, pids, domains)
        axis.set_xlabel(f"longest arrow: {longest:.2g}")
    _frame(axes, features, margin=0.9)
    explain_points(figure, domains, below=len(axes) > 2)
    return figure


def draw_walks(paths: Mapping[str, Tensor], pids: Tensor, domains: Tensor) -> plt.Figure:
    """Where points went, a panel for each path (T, N, 2): faint first positions, trail, last."""
    figure, axes = _panels(paths, 4.2, 0.4)
    for axis, path in zip(axes, paths.values(), strict=True):
        draw_points(axis, path[0], pids, domains, alpha=0.3)
        for track in path.unbind(1):
            axis.plot(*track.T.tolist(), color=FAINT, lw=1.2, zorder=2)
        draw_points(axis, path[-1], pids, domains)
    _frame(axes, torch.cat(list(paths.values())))
    explain_points(figure, domains, below=len(axes) > 2)
    return figure


def draw_chosen(
    features: Tensor,
    pids: Tensor,
    domains: Tensor,
    panels: Mapping[str, tuple[int, Mapping[str, int]]],
) -> plt.Figure:
    """Which samples a loss picks for an anchor.

    panels: the anchor's number and the picks by name, for each title. The first pick is drawn by a
    solid line, what it is compared with by a dashed one; their distances stand below.
    """
    figure, axes = _panels(panels, 5.2, 0.7)
    for axis, (anchor, picks) in zip(axes, panels.values(), strict=True):
        draw_points(axis, features, pids, domains)
        start, lengths = features[anchor], []
        axis.plot(*start.tolist(), "o", ms=24, mfc="none", mec=INK, mew=2)
        for (name, pick), line in zip(picks.items(), ("-", (0, (3, 2))), strict=True):
            end = features[pick]
            axis.plot(*torch.stack([start, end]).T.tolist(), color=INK, ls=line, lw=2, zorder=2)
            axis.plot(*end.tolist(), "o", ms=24, mfc="none", mec=INK, mew=2)
            write_beside(axis, name, end.tolist(), (-20, -20), ha="center", va="center")
            lengths.append(f"d(a, {name}) = {(start - end).norm():.2f}")
        axis.set_xlabel("     ".join(lengths))
    _frame(axes, features)
    explain_points(figure, domains, below=len(axes) > 2)
    return figure


def draw_batch(
    rows: Mapping[str, Tensor], images_per_id: int, meta_train: Sequence[str]
) -> plt.Figure:
    """A PK batch: a row of pictures (P*K, 3, H, W) uint8 for each domain, with people apart.

    A bar on the right says which rows are meta-train (solid, those in `meta_train`) and which
    meta-test (hatched).
    """
    count, _, height, width = next(iter(rows.values())).shape
    gap = 3  # pixels between pictures
    lefts = [i * (width + gap) + i // images_per_id * 4 * gap for i in range(count)]
    right, bar = lefts[-1] + width + 5 * gap, width // 2
    scale = 11.3 / (right + bar)  # inches per pixel
    size = 13, scale * len(rows) * (height + gap) + 0.7
    figure, axis = plt.subplots(figsize=size, layout="compressed")
    draw_picture_rows(axis, rows, lefts, gap)
    looks = {
        "meta-train": {"edgecolor": INK, "facecolor": INK},
        "meta-test": {"edgecolor": INK, "facecolor": "white", "hatch": "////"},
    }
    for i, name in enumerate(rows):
        side = "meta-train" if name in meta_train else "meta-test"
        axis.add_patch(Rectangle((right, i * (height + gap)), bar, height, **looks[side]))
    axis.set_xlim(-0.5, right + bar + gap)
    handles = [Patch(label=name, **look) for name, look in looks.items()]
    figure.legend(handles=handles, loc="outside lower right", ncols=2)
    return figure


def draw_teaser() -> plt.Figure:
    """figures/losses.svg: eighteen points before three losses push them; what does each want?"""
    features, pids, domains = eighteen_points()
    wishes = "scatter: spread domains", "shuffle: mix domains", "triplet: gather people"
    return draw_walks(dict.fromkeys(wishes, features[None]), pids, domains)
