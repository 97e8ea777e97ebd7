"""Figures of several panels: in a row, or one for each norm layer."""

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure


def row_of_panels(
    count: int, size: tuple[float, float], sharey: bool = True, **options
) -> tuple[Figure, list[Axes]]:
    """So many panels side by side, each of this size in inches; more options of `plt.subplots`."""
    size = size[0] * count, size[1]
    figure, axes = plt.subplots(1, count, figsize=size, sharey=sharey, squeeze=False, **options)
    return figure, list(axes[0])


def legend_below(
    figure: Figure, entries: Axes | Sequence[Artist], columns: int = 0, **style
) -> None:
    """One legend for all panels, in a row below them: of these artists, or of one panel's."""
    if isinstance(entries, Axes):
        entries, _ = entries.get_legend_handles_labels()
    columns = columns or len(entries)
    figure.legend(handles=entries, loc="outside lower center", ncols=columns, **style)


def grid(count: int) -> tuple[int, int]:
    """Rows and columns for so many panels, four in a row."""
    columns = min(count, 4)
    return -(-count // columns), columns


def layer_panels(figure: Figure | SubFigure, count: int, label: str) -> list[Axes]:
    """So many panels, four in a row, whose y axis is rho; `label` stands below each column."""
    rows, columns = grid(count)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for i, axis in enumerate(axes.flat):
        axis.set_visible(i < count)
        axis.set_yticks((0, 0.5, 1))
        if i + columns >= count:  # nothing below it
            axis.set_xlabel(label)
            axis.tick_params(labelbottom=True)
    for axis in axes[:, 0]:
        axis.set_ylabel("ρ")
    return list(axes.flat[:count])
