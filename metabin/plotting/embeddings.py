"""How pictures by t-SNE are drawn, and beside them distances, doubts and moments of a training."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from metabin.plotting.marks import dot, method_line, side_by_side
from metabin.plotting.panels import legend_below, row_of_panels
from metabin.plotting.style import FAINT, INK, LOOKS

# Tol's muted colours, none of them a method's. L* is 22, 31, 44, 56, 64, 83: a greyscale print
# keeps them apart too.
GROUPS = "#332288", "#882255", "#117733", "#CC6677", "#44AA99", "#DDCC77"
# Tol's light colours, for people: each may stand for several, whom their lines keep apart.
PEOPLE = "#77AADD", "#EE8866", "#EEDD88", "#FFAABB", "#BBCC33", "#44BB99", "#DDDDDD", "#AAAA00"
MOMENTS = {  # panels of `draw_moments`
    "Rank-1 (%)": "rank1",
    "Own (× 100)": "own",
    "Own / others (%)": "ratio",
    "Street purity (%)": "purity",
}
SHAPES = {"query": "o", "gallery": "^"}


def _draw_plane(
    axis: Axes, plane: Sequence, groups: Sequence[int], query: Sequence[bool], linked: bool = False
) -> None:
    """Points (N, 2) in their groups' colours; `linked` joins queries to their group's gallery."""
    points, groups, query = np.asarray(plane), np.asarray(groups), np.asarray(query, dtype=bool)
    palette, size = GROUPS, 5.5 if len(points) > 150 else 8
    edge = {"mew": 0.5, "mec": "white"}
    if linked:
        palette, size, edge = PEOPLE, 8, {"mew": 0.9, "mec": INK}
    for i, group in enumerate(np.unique(groups)):
        here, colour = groups == group, palette[i % len(palette)]
        if linked:
            _draw_links(axis, points[here & query], points[here & ~query], colour)
        for chosen, marker in zip((query, ~query), SHAPES.values(), strict=True):
            axis.plot(*points[chosen & here].T, marker, color=colour, ms=size, **edge)
    axis.set(xticks=[], yticks=[])  # the axes of t-SNE have no meaning and no unit
    axis.set_box_aspect(1)
    axis.set_aspect("equal", adjustable="datalim")
    axis.grid(visible=False)
    axis.spines[:].set_visible(True)


def _draw_links(axis: Axes, queries: np.ndarray, gallery: np.ndarray, colour: str) -> None:
    """Lines from each query (Q, 2) to each gallery picture (G, 2), as one path."""
    if len(queries) and len(gallery):
        starts = np.repeat(queries, len(gallery), axis=0)  # (Q*G, 2)
        ends = np.tile(gallery, (len(queries), 1))  # (Q*G, 2)
        gaps = np.full_like(starts, np.nan)  # the pen is lifted between lines
        path = np.stack([starts, ends, gaps], axis=1).reshape(-1, 2)
        axis.plot(*path.T, color=colour, lw=1.8, zorder=1)


def _shapes() -> list[Line2D]:
    return [dot(role, marker=marker, ms=9, color=FAINT) for role, marker in SHAPES.items()]


def _colours(names: Sequence[str]) -> list[Patch]:
    pairs = zip(names, GROUPS, strict=False)
    return [Patch(facecolor=colour, label=name) for name, colour in pairs]


def draw_planes(
    planes: Mapping[str, Sequence],
    groups: Sequence[int],
    query: Sequence[bool],
    notes: Sequence[str] = (),
    names: Sequence[str] = (),
    linked: bool = False,
) -> Figure:
    """Pictures (N, 2) of the same points by title: colour is the group, shape query or gallery.

    `notes` stand below the pictures, in their order; `names` are the groups' in the legend. Lines
    join queries to their group's gallery pictures where `linked`. Three pictures in a row, or four
    where that fills the rows.
    """
    columns = min(len(planes), 3 if len(planes) % 4 else 4)
    rows = -(-len(planes) // columns)
    lines = max((note.count("\n") + 1 for note in notes), default=0)
    size = 3.35 * columns, (3.9 + 0.26 * lines) * rows + 0.9 * bool(names or linked)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat[len(planes) :]:
        axis.remove()
    for axis, (title, plane) in zip(axes.flat, planes.items(), strict=False):
        _draw_plane(axis, plane, groups, query, linked)
        axis.set_title(title)
    for axis, text in zip(axes.flat, notes, strict=False):
        axis.set_xlabel(text, fontsize=12)
    handles = _colours(names)
    if len(set(np.asarray(query).tolist())) > 1:
        handles += _shapes()
    if handles:
        legend_below(figure, handles, max(2, 2 * columns - 2))
    return figure


def note(scores: Mapping[str, float]) -> str:
    """What must stand below a picture: how far its neighbourhoods can be trusted."""
    right, space = 100 * scores["right"], 100 * scores["right_space"]
    return f"trust {scores['trust']:.3f}\nnearest is right: {right:.0f} %, in space {space:.0f} %"


def draw_figure3(report: Mapping) -> Figure:
    """Figure 3 on streets, of figures/results/figure3.json: each network's pictures.

    Above, colour is the street. Below, on the first street, colour is the person, and lines join
    queries to their gallery.
    """
    views = report["all_streets"], report["one_street"]
    methods = list(views[0]["planes"])
    figure, axes = plt.subplots(2, len(methods), figsize=(3.35 * len(methods), 8.7), squeeze=False)
    for row, view, group in zip(axes, views, ("streets", "pids"), strict=True):
        for axis, method in zip(row, methods, strict=True):
            plane, linked = view["planes"][method], group == "pids"
            _draw_plane(axis, plane, view[group], view["query"], linked)
            axis.set_xlabel(note(view["scores"][method]), fontsize=12)
    for axis, method in zip(axes[0], methods, strict=True):
        axis.set_title(LOOKS[method].name)
    axes[0, 0].set_ylabel("colour: unseen street")
    axes[1, 0].set_ylabel(f"{report['streets'][0]}, colour: person")
    handles = _colours(report["streets"]) + _shapes()
    legend_below(figure, handles, columnspacing=1.0, handlelength=1.2)
    return figure


def draw_distances(distances: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Queries' mean distance to gallery pictures of their person ("own") and to "others".

    A panel for each method. Dashed lines are the means.
    """
    figure, axes = row_of_panels(len(distances), (3.4, 3.9))
    largest = max(max(*pair["own"], *pair["others"]) for pair in distances.values())
    bins = np.linspace(0, largest * 1.02, 32)
    others = {"facecolor": "#D9D9D9", "hatch": "//", "edgecolor": "#777777"}
    for axis, (method, pair) in zip(axes, distances.items(), strict=True):
        own = {"facecolor": LOOKS[method].colour, "edgecolor": "white"}
        for values, look in ((pair["own"], own), (pair["others"], others)):
            sns.histplot(np.asarray(values), bins=bins, ax=axis, lw=0.5, alpha=0.85, **look)
            axis.axvline(np.mean(np.asarray(values)), color=INK, ls="--", lw=1.5)
        axis.set(title=LOOKS[method].name, xlabel="1 − cosine", xlim=(0, bins[-1]))
        axis.set_ylabel("queries")
        axis.label_outer()
    label = "to the own gallery pictures (in the method's colour)"
    handles = [Patch(facecolor="#666666", label=label), Patch(**others, label="to other people's")]
    legend_below(figure, handles)
    return figure


def draw_sensitivity(table: Mapping[str, Mapping], space: Mapping[str, float]) -> Figure:
    """Own / others and trust of other starts and perplexities, a dot for each picture.

    table: `embedding_study.sensitivity` of each method. Short lines at the left edge are the ratios
    in `space`, from which nobody drew anything.
    """
    figure, axes = row_of_panels(2, (6.25, 4.6), sharey=False)
    perplexities = list(next(iter(table.values())))
    handles = []
    shifts = side_by_side(len(table), 0.16)
    for (method, by_perplexity), shift in zip(table.items(), shifts, strict=True):
        look = LOOKS[method]
        dots = {"marker": look.marker, "color": look.colour, "ms": 13 if look.size > 10 else 9}
        for x, scores in enumerate(by_perplexity.values()):
            for axis, score in zip(axes, ("ratio", "trust"), strict=True):
                across = np.full(len(scores[score]), x + shift)
                axis.plot(across, scores[score], mew=0.5, alpha=0.85, ls="", **dots)
        axes[0].hlines(space[method], -0.95, -0.6, color=look.colour, lw=4)
        handles.append(dot(look.name, **dots))
    axes[0].set_xticks([-0.78, *range(len(perplexities))], ["space", *perplexities])
    axes[1].set_xticks(range(len(perplexities)), perplexities)
    axes[0].axvline(-0.5, color=FAINT, lw=1)
    axes[0].set(title="Own / others, as drawn", ylim=(0, None))
    axes[1].set_title("Trustworthiness")
    for axis in axes:
        axis.set_xlabel("perplexity")
        axis.grid(axis="x", visible=False)
    legend_below(figure, handles)
    return figure


def draw_moments(numbers: Mapping[str, Mapping], guess: float) -> Figure:
    """Four numbers of each network at moments of its training, means over streets, in percent.

    numbers: method -> percent -> `analysis.spaces.space_numbers`. A dotted line marks the purity
    that guessing gives.
    """
    figure, axes = row_of_panels(len(MOMENTS), (3.7, 4.3), sharey=False)
    for axis, (title, quantity) in zip(axes, MOMENTS.items(), strict=True):
        for method, rows in numbers.items():
            means = [100 * np.mean(row[quantity]) for row in rows.values()]
            axis.plot(range(len(means)), means, ms=11, **method_line(method))
        if quantity == "purity":
            axis.axhline(100 * guess, color=FAINT, ls=":")
        axis.set(title=title, xlabel="of the training")
        axis.set_xticks(range(len(rows)), [f"{percent} %" for percent in rows])
    legend_below(figure, axes[0])
    return figure
