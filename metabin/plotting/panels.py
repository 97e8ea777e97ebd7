"""Figures of several panels in a row, and the legend below them."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from matplotlib import pyplot as plt
from matplotlib.artist import Artist

Content = TypeVar("Content")


def row_of_panels(
    count: int, size: tuple[float, float], sharey: bool = True, **options
) -> tuple[plt.Figure, list[plt.Axes]]:
    """So many panels side by side, each of this size in inches; more options of `plt.subplots`."""
    size = size[0] * count, size[1]
    figure, axes = plt.subplots(1, count, figsize=size, sharey=sharey, squeeze=False, **options)
    return figure, list(axes[0])


def titled_panels(
    contents: Mapping[str, Content],
    size: tuple[float, float],
    sharex: bool = False,
    sharey: bool = True,
    ylabel: str = "",
    **settings,
) -> tuple[plt.Figure, list[tuple[plt.Axes, Content]]]:
    """A row with a panel for each title; each comes with what it is to show.

    `settings` are all panels', as `Axes.set` takes them; `ylabel` stands at the first alone.
    """
    figure, axes = row_of_panels(len(contents), size, sharey, sharex=sharex)
    for axis, title in zip(axes, contents, strict=True):
        axis.set(title=title, **settings)
    axes[0].set_ylabel(ylabel)
    return figure, list(zip(axes, contents.values(), strict=True))


def legend_below(
    figure: plt.Figure, handles: Sequence[Artist] = (), columns: int = 0, **style
) -> None:
    """One legend for all panels, in a row below them: of these artists, or of the first panel's."""
    handles = handles or figure.axes[0].get_legend_handles_labels()[0]
    columns = columns or len(handles)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, **style)
