"""How pictures by t-SNE are drawn, and beside them the distances, the doubts and the moments of a training."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from metabin.plotting.style import FAINT, INK, LOOKS

# Tol's muted colours, none of them a method's; L* is 22, 31, 44, 56, 64, 83: told apart in a greyscale print too
GROUPS = "#332288", "#882255", "#117733", "#CC6677", "#44AA99", "#DDCC77"
# Tol's light colours, for people: each may stand for several, whom their lines keep apart
PEOPLE = "#77AADD", "#EE8866", "#EEDD88", "#FFAABB", "#BBCC33", "#44BB99", "#DDDDDD", "#AAAA00"
SHAPES = {"query": "o", "gallery": "^"}


def _draw_plane(
    axis: Axes, plane: Sequence, groups: Sequence[int], query: Sequence[bool], linked: bool = False
) -> None:
    """Points (N, 2) in their groups' colours; `linked`: lines lead from each query to its group's gallery pictures."""
    points, groups, query = np.asarray(plane), np.asarray(groups), np.asarray(query, dtype=bool)
    palette, size = (PEOPLE, 8) if linked else (GROUPS, 5.5 if len(points) > 150 else 8)
    for i, group in enumerate(np.unique(groups)):
        here, colour = groups == group, palette[i % len(palette)]
        pairs = (
            [(a, b) for a in points[here & query] for b in points[here & ~query]] if linked else []
        )
        if pairs:
            lifted = [
                (*pair, (np.nan, np.nan)) for pair in pairs
            ]  # one line for all, the pen lifted in between
            path = np.array(lifted).reshape(-1, 2)
            axis.plot(*path.T, color=colour, lw=1.8, zorder=1)
        for chosen, marker in zip((query, ~query), SHAPES.values(), strict=True):
            edge = dict(mew=0.9, mec=INK) if linked else dict(mew=0.5, mec="white")
            axis.plot(*points[chosen & here].T, marker, color=colour, ms=size, **edge)
    axis.set(xticks=[], yticks=[])  # the axes of t-SNE have no meaning and no unit
    axis.set_box_aspect(1)
    axis.set_aspect("equal", adjustable="datalim")
    axis.grid(visible=False)
    axis.spines[:].set_visible(True)


def _shapes() -> list[Line2D]:
    return [
        Line2D([], [], marker=m, color=FAINT, ms=9, ls="", label=role) for role, m in SHAPES.items()
    ]


def draw_planes(
    planes: Mapping[str, Sequence],
    groups: Sequence[int],
    query: Sequence[bool],
    notes: Sequence[str] = (),
    names: Sequence[str] = (),
    linked: bool = False,
    columns: int = 4,
) -> Figure:
    """Pictures (N, 2) of the same points by title: colour is the group, shape says query or gallery.

    `notes` stand below the pictures, in their order; `names` are the groups' in the legend, if there shall be one; lines
    join queries to their group's gallery pictures where `linked`.
    """
    columns = min(columns, len(planes))
    rows = -(-len(planes) // columns)
    lines = max((note.count("\n") + 1 for note in notes), default=0)
    size = 3.35 * columns, (3.9 + 0.26 * lines) * rows + 0.9 * bool(names or linked)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat[len(planes) :]:
        axis.remove()
    for axis, (title, plane) in zip(axes.flat, planes.items(), strict=False):
        _draw_plane(axis, plane, groups, query, linked)
        axis.set_title(title)
    for axis, note in zip(axes.flat, notes, strict=False):
        axis.set_xlabel(note, fontsize=12)
    dots = [
        Patch(facecolor=colour, label=name) for name, colour in zip(names, GROUPS, strict=False)
    ]
    shapes = _shapes() if len(set(np.asarray(query).tolist())) > 1 else []
    if dots or shapes:
        handles = dots + shapes
        figure.legend(handles=handles, loc="outside lower center", ncols=max(2, 2 * columns - 2))
    return figure


def note(scores: Mapping[str, float]) -> str:
    """What must stand below a picture: how far its neighbourhoods can be trusted, and the nearest ones here and in space."""
    right, space = 100 * scores["right"], 100 * scores["right_space"]
    return f"trust {scores['trust']:.3f}\nnearest is right: {right:.0f} %, in space {space:.0f} %"


def draw_figure3(report: Mapping) -> Figure:
    """Figure 3 on streets: each network's pictures of all streets, and of one street's people (figures/results/figure3.json).

    Above, colour is the street. Below, on the first street, colour is the person, and lines join queries to their gallery.
    """
    parts = report["all_streets"], report["one_street"]
    methods = list(parts[0]["planes"])
    figure, axes = plt.subplots(2, len(methods), figsize=(3.35 * len(methods), 8.7), squeeze=False)
    for row, part, group in zip(axes, parts, ("streets", "pids"), strict=True):
        for axis, method in zip(row, methods, strict=True):
            _draw_plane(
                axis, part["planes"][method], part[group], part["query"], linked=group == "pids"
            )
            axis.set_xlabel(note(part["scores"][method]), fontsize=12)
    for axis, method in zip(axes[0], methods, strict=True):
        axis.set_title(LOOKS[method].name)
    axes[0, 0].set_ylabel("colour: unseen street")
    axes[1, 0].set_ylabel(f"{report['streets'][0]}, colour: person")
    streets = [
        Patch(facecolor=c, label=name) for name, c in zip(report["streets"], GROUPS, strict=False)
    ]
    handles = streets + _shapes()
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        columnspacing=1.0,
        handlelength=1.2,
    )
    return figure


def draw_distances(distances: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Queries' mean distance to their own gallery pictures and to other people's ("own", "others"), a panel for each method.

    Dashed lines are the means.
    """
    figure, axes = plt.subplots(
        1, len(distances), figsize=(3.4 * len(distances), 3.9), sharey=True, squeeze=False
    )
    bins = np.linspace(
        0, max(max(values) for pair in distances.values() for values in pair.values()) * 1.02, 32
    )
    for axis, (method, pair) in zip(axes[0], distances.items(), strict=True):
        look = LOOKS[method]
        looks = (
            dict(color=look.colour, alpha=0.9),
            dict(color="#D9D9D9", hatch="//", ec="#777777", alpha=0.8),
        )
        for values, style in zip((pair["own"], pair["others"]), looks, strict=True):
            axis.hist(np.asarray(values), bins, **style)
            axis.axvline(np.mean(np.asarray(values)), color=INK, ls="--", lw=1.5)
        axis.set(title=look.name, xlabel="1 − cosine", xlim=(0, bins[-1]))
    axes[0, 0].set_ylabel("queries")
    handles = [
        Patch(facecolor="#666666", label="to the own gallery pictures (in the method's colour)")
    ]
    handles.append(
        Patch(facecolor="#D9D9D9", hatch="//", edgecolor="#777777", label="to other people's")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def draw_sensitivity(table: Mapping[str, Mapping], space: Mapping[str, float]) -> Figure:
    """Other starts and perplexities (`embedding_study.sensitivity` of each method): own / others and trust, a dot for each picture.

    Short lines at the left edge are the ratios in `space`, from which nobody drew anything.
    """
    figure, axes = plt.subplots(1, 2, figsize=(12.5, 4.6))
    perplexities = list(next(iter(table.values())))
    for i, (method, by_perplexity) in enumerate(table.items()):
        look, shift = LOOKS[method], 0.16 * (i - (len(table) - 1) / 2)
        for axis, score in zip(axes, ("ratio", "trust"), strict=True):
            for x, perplexity in enumerate(perplexities):
                values = by_perplexity[perplexity][score]
                size = 13 if look.marker == "*" else 9
                at = np.full(len(values), x + shift)
                axis.plot(at, values, look.marker, color=look.colour, ms=size, mew=0.5, alpha=0.85)
        axes[0].hlines(space[method], -0.95, -0.6, color=look.colour, lw=4)
    axes[0].set_xticks([-0.78, *range(len(perplexities))], ["space", *perplexities])
    axes[1].set_xticks(range(len(perplexities)), perplexities)
    axes[0].axvline(-0.5, color=FAINT, lw=1)
    axes[0].set(title="Own / others, as drawn", ylim=(0, None))
    axes[1].set_title("Trustworthiness")
    for axis in axes:
        axis.set_xlabel("perplexity")
        axis.grid(axis="x", visible=False)
    looks = [LOOKS[method] for method in table]
    handles = [
        Line2D([], [], marker=k.marker, color=k.colour, ms=12, ls="", label=k.name) for k in looks
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def draw_moments(
    panels: Mapping[str, Mapping[str, Sequence]], moments: Sequence[int], guess: Mapping[str, float]
) -> Figure:
    """Numbers over a training: a panel for each, a line for each method of (mean, low, high) at every moment, in percent.

    A dotted line marks what guessing would give, where `guess` names the panel.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(3.7 * len(panels), 4.3), squeeze=False)
    for axis, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for i, (method, values) in enumerate(lines.items()):
            look, x = LOOKS[method], np.arange(len(moments)) + 0.07 * (i - (len(lines) - 1) / 2)
            middle, low, high = np.array(values).T  # (moments,) each
            axis.vlines(x, low, high, color=look.colour, lw=2)
            axis.plot(
                x,
                middle,
                color=look.colour,
                marker=look.marker,
                ls=look.line,
                ms=11,
                label=look.name,
            )
        if title in guess:
            axis.axhline(guess[title], color=FAINT, ls=":")
        axis.set_title(title)
        axis.set_xticks(range(len(moments)), [f"{moment} %" for moment in moments])
        axis.set_xlabel("of the training")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(lines)
    )
    return figure
