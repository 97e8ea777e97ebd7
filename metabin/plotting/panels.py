"""Figures of several panels: in a row, or one for each norm layer."""

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from metabin.plotting.style import LOOKS


def row_of_panels(count: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """So many panels side by side, each of this size in inches, with one scale upward."""
    figure, axes = plt.subplots(
        1, count, figsize=(size[0] * count, size[1]), sharey=True, squeeze=False
    )
    return figure, list(axes[0])


def legend_below(figure: Figure, axis: Axes) -> None:
    """One legend for all panels, of one panel's labels, in a row below them."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


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


def draw_rho_band(
    axis: Axes, iterations: Sequence[int], mean: Sequence, low: Sequence, high: Sequence
) -> None:
    """rho over the iterations: its mean, and the band that holds half of the channels."""
    colour = LOOKS["metabin"].colour
    axis.fill_between(iterations, low, high, color=colour, alpha=0.25, lw=0)
    axis.plot(iterations, mean, color=colour)
