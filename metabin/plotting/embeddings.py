"""How pictures by t-SNE are drawn, and beside them distances, doubts and moments of a training."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.patches import Patch

from metabin.plotting.marks import dot, method_dot, side_by_side
from metabin.plotting.panels import legend_below, titled_panels
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
    axis: plt.Axes,
    plane: Sequence,
    groups: Sequence[int],
    query: Sequence[bool],
    linked: bool = False,
) -> None:
    """Points (N, 2) in their groups' colours; `linked` joins queries to their group's gallery."""
    points, groups, query = np.asarray(plane), np.asarray(groups), np.asarray(query, dtype=bool)
    palette = PEOPLE if linked else GROUPS
    edge = {"mew": 0.9, "mec": INK} if linked else {"mew": 0.5, "mec": "white"}
    size = 5.5 if len(points) > 150 and not linked else 8
    for i, group in enumerate(np.unique(groups)):
        colour, here = palette[i % len(palette)], groups == group
        queries, gallery = points[here & query], points[here & ~query]
        if linked:
            lines = list(product(queries, gallery))
            axis.add_collection(LineCollection(lines, colors=colour, lw=1.8, zorder=1))
        for chosen, marker in zip((queries, gallery), SHAPES.values(), strict=True):
            axis.plot(*chosen.T, marker, color=colour, ms=size, **edge)
    axis.set(xticks=[], yticks=[])  # the axes of t-SNE have no meaning and no unit
    axis.set_box_aspect(1)
    axis.set_aspect("equal", adjustable="datalim")
    axis.grid(visible=False)
    axis.spines[:].set_visible(True)


def _legend(figure: plt.Figure, names: Sequence[str], shapes: bool, columns: int = 0) -> None:
    """Groups by their colour and, where there are both, queries and gallery by their shape."""
    pairs = zip(names, GROUPS, strict=False)
    handles = [Patch(facecolor=colour, label=name) for name, colour in pairs]
    for role, marker in SHAPES.items() if shapes else ():
        handles.append(dot(role, marker=marker, ms=9, color=FAINT))
    if handles:
        legend_below(figure, handles, columns, columnspacing=1.0, handlelength=1.2)


def draw_planes(
    planes: Mapping[str, Sequence],
    groups: Sequence[int],
    query: Sequence[bool],
    notes: Sequence[str] = (),
    names: Sequence[str] = (),
    linked: bool = False,
) -> plt.Figure:
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
    _legend(figure, names, len(np.unique(query)) > 1, max(2, 2 * columns - 2))
    return figure


def note(scores: Mapping[str, float]) -> str:
    """What must stand below a picture: how far its neighbourhoods can be trusted."""
    right, space = 100 * scores["right"], 100 * scores["right_space"]
    return f"trust {scores['trust']:.3f}\nnearest is right: {right:.0f} %\nin space: {space:.0f} %"


def draw_figure3(report: Mapping) -> plt.Figure:
    """Figure 3 on streets, of figures/results/figure3.json: each network's pictures.

    Above, colour is the street. Below, on the first street, colour is the person, and lines join
    queries to their gallery.
    """
    views = report["all_streets"], report["one_street"]
    methods = list(views[0]["planes"])
    figure, axes = plt.subplots(2, len(methods), figsize=(3.35 * len(methods), 9.2), squeeze=False)
    for row, view, group in zip(axes, views, ("streets", "pids"), strict=True):
        for axis, method in zip(row, methods, strict=True):
            plane, linked = view["planes"][method], group == "pids"
            _draw_plane(axis, plane, view[group], view["query"], linked)
            axis.set_xlabel(note(view["scores"][method]), fontsize=12)
    for axis, method in zip(axes[0], methods, strict=True):
        axis.set_title(LOOKS[method].name)
    axes[0, 0].set_ylabel("colour: unseen street")
    axes[1, 0].set_ylabel(f"{report['streets'][0]}, colour: person")
    _legend(figure, report["streets"], shapes=True)
    return figure


def draw_distances(distances: Mapping[str, Mapping[str, Sequence[float]]]) -> plt.Figure:
    """Queries' mean distance to gallery pictures of their person ("own") and to "others".

    A panel for each method. Dashed lines are the means.
    """
    titles = {LOOKS[method].name: pair for method, pair in distances.items()}
    labels = {"xlabel": "1 − cosine", "ylabel": "queries"}
    figure, panels = titled_panels(titles, (3.4, 3.9), **labels)
    largest = max(max(*pair["own"], *pair["others"]) for pair in distances.values())
    bins = np.linspace(0, largest * 1.02, 32)
    others = {"facecolor": "#D9D9D9", "hatch": "//", "edgecolor": "#777777"}
    for (axis, pair), method in zip(panels, distances, strict=True):
        own = {"facecolor": LOOKS[method].colour, "edgecolor": "white"}
        for name, look in (("own", own), ("others", others)):
            values = np.asarray(pair[name])
            sns.histplot(values, bins=bins, ax=axis, lw=0.5, alpha=0.85, **look)
            axis.axvline(values.mean(), color=INK, ls="--", lw=1.5)
        axis.set_xlim(0, bins[-1])
        axis.label_outer()
    label = "to the own gallery pictures (in the method's colour)"
    handles = [Patch(facecolor="#666666", label=label), Patch(**others, label="to other people's")]
    legend_below(figure, handles)
    return figure


def draw_sensitivity(table: Mapping[str, Mapping], space: Mapping[str, float]) -> plt.Figure:
    """Own / others and trust of other starts and perplexities, a dot for each picture.

    table: `embedding_study.sensitivity` of each method. Short lines at the left edge are the ratios
    in `space`, from which nobody drew anything.
    """
    titles = {"Own / others, as drawn": "ratio", "Trustworthiness": "trust"}
    figure, axes = titled_panels(titles, (6.25, 4.6), sharey=False, xlabel="perplexity")
    (ratio, _), _ = axes
    perplexities = list(next(iter(table.values())))
    for method, shift in zip(table, side_by_side(len(table), 0.16), strict=True):
        look = LOOKS[method]
        dots = look.marks | {"ls": "", "ms": look.size, "mew": 0.5, "alpha": 0.85}
        for axis, score in axes:
            values = np.array([scores[score] for scores in table[method].values()])  # (P, starts)
            axis.plot(np.arange(len(values)) + shift, values, **dots)
        ratio.hlines(space[method], -0.95, -0.6, color=look.colour, lw=4)
    for axis, _ in axes:
        axis.set_xticks(range(len(perplexities)), perplexities)
        axis.grid(axis="x", visible=False)
    ratio.set_xticks([-0.78, *range(len(perplexities))], ["space", *perplexities])
    ratio.axvline(-0.5, color=FAINT, lw=1)
    ratio.set_ylim(0, None)
    legend_below(figure, [method_dot(method) for method in table])
    return figure


def draw_moments(numbers: Mapping[str, Mapping], guess: float) -> plt.Figure:
    """Four numbers of each network at moments of its training, means over streets, in percent.

    numbers: method -> percent -> `analysis.spaces.space_numbers`. A dotted line marks the purity
    that guessing gives.
    """
    figure, axes = titled_panels(MOMENTS, (3.7, 4.3), sharey=False, xlabel="of the training")
    for axis, quantity in axes:
        for method, rows in numbers.items():
            means = [100 * np.mean(row[quantity]) for row in rows.values()]
            axis.plot(range(len(means)), means, ms=11, **LOOKS[method].curve)
        if quantity == "purity":
            axis.axhline(100 * guess, color=FAINT, ls=":")
        axis.set_xticks(range(len(rows)), [f"{percent} %" for percent in rows])
    legend_below(figure)
    return figure
