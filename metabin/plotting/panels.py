"""A panel for each norm layer, with rho from IN to BN upward."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure


def grid(count: int) -> tuple[int, int]:
    """Rows and columns for so many panels, four in a row."""
    columns = min(count, 4)
    return -(-count // columns), columns


def layer_panels(figure: Figure | SubFigure, count: int, label: str) -> list[Axes]:
    """So many panels, in rows of four, whose y axis is rho; the lowest of each column say what lies across."""
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
