"""What several drawings put into their panels: lines, intervals, rows, words, pictures."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from seaborn.utils import relative_luminance
from torch import Tensor

from metabin.plotting.style import FAINT, INK, LOOKS, to_picture

# Behind words that stand on something.
BOX = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none"}
# Colour, line and width of lines that are no method's, in their order.
LINES = (INK, "-", 3.2), ("#AA4499", "--", 2.6), ("#999933", "-.", 2.6), ("#332288", ":", 3.0)


def write_beside(axis: plt.Axes, text: str, point: tuple, shift: tuple, **style) -> None:
    """Write a text so many points (across, up) from a point of the panel."""
    axis.annotate(text, point, shift, textcoords="offset points", **style)


def ask(axis: plt.Axes, y: float = 0.5, colour: str = FAINT) -> None:
    """A question mark at this height of the panel, for what the lesson is about to find."""
    style = {"ha": "center", "va": "center", "fontsize": 60, "color": colour}
    axis.text(0.5, y, "?", transform=axis.transAxes, **style)


def without_frame(axis: plt.Axes) -> None:
    """Take away grid, spines and ticks; labels stay."""
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)


def name_rows(axis: plt.Axes, names: Iterable[str]) -> None:
    """Name the rows 0, 1, ... from top to bottom, without lines through them."""
    names = list(names)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)


def side_by_side(count: int, gap: float) -> np.ndarray:
    """Shifts of so many marks that stand beside each other at one place of the axis."""
    return gap * (np.arange(count) - (count - 1) / 2)


def draw_rates(
    axis: plt.Axes, rates: Mapping[str, Sequence[float]], x: Sequence | None = None
) -> None:
    """Rates (fractions) over x (None: 1, 2, ...) in percent, a line for each method."""
    for method, values in rates.items():
        across = range(1, len(values) + 1) if x is None else x
        axis.plot(across, 100 * np.asarray(values), **LOOKS[method].curve)


def draw_band(
    axis: plt.Axes, x: Sequence, middle: Sequence, ends: tuple[Sequence, Sequence], look: Mapping
) -> None:
    """A line over x, in the band between its lower and its upper ends."""
    axis.fill_between(x, *ends, color=look["color"], alpha=0.2, lw=0)
    axis.plot(x, middle, **look)


def draw_lines_by_name(
    axis: plt.Axes, lines: Mapping[str, Sequence[float]], x: Sequence | None = None
) -> None:
    """A line for each name over x (None: 0, 1, ...), each in the next look of LINES."""
    for (name, values), (colour, line, width) in zip(lines.items(), LINES, strict=False):
        across = range(len(values)) if x is None else x
        axis.plot(across, values, color=colour, ls=line, lw=width, label=name)


def draw_intervals(
    axis: plt.Axes,
    at: Sequence[float],
    intervals: Sequence[Sequence[float]],
    look: Mapping,
    across: bool = False,
    open_at_zero: bool = False,
) -> None:
    """Estimates with their intervals, (estimate, low, high) at each of these positions.

    They lie along x where `across`, else along y. look: colour ("color") and marker as `Axes.plot`
    takes them. With `open_at_zero` a marker is open where its interval holds 0.
    """
    middle, low, high = np.asarray(intervals, dtype=float).reshape(-1, 3).T  # (N,) each
    at, colour = np.asarray(at), look["color"]
    draw_bars = axis.hlines if across else axis.vlines
    draw_bars(at, low, high, color=colour, lw=2.5, zorder=1.9)
    undecided = (low <= 0) & (high >= 0) & open_at_zero
    for chosen, face in ((~undecided, colour), (undecided, "white")):
        points = (middle, at) if across else (at, middle)
        style = {"ls": "", "ms": 10, "mec": colour, "mew": 1.6} | look | {"mfc": face}
        if chosen.any():
            axis.plot(*(values[chosen] for values in points), **style)


def draw_tiles(
    axis: plt.Axes, values: np.ndarray, words: np.ndarray, font: Mapping, **options
) -> None:
    """A heat map of seaborn's, with these options, and words on its tiles.

    They are white on dark tiles, and grey where a value is masked or missing.
    """
    sns.heatmap(values, ax=axis, **options)
    tiles = axis.collections[0]
    tiles.update_scalarmappable()
    colours = tiles.get_facecolors().reshape(*words.shape, 4)
    for row, column in np.argwhere(words != ""):
        *colour, alpha = colours[row, column]
        ink = "white" if relative_luminance(colour) < 0.25 else INK
        style = {"ha": "center", "va": "center", "color": ink if alpha else "#666666"} | font
        axis.text(column + 0.5, row + 0.5, words[row, column], **style)
    axis.tick_params(labelrotation=0)
    without_frame(axis)


def draw_picture(axis: plt.Axes, image: Tensor, top: float, left: float) -> None:
    """A uint8 image (3, H, W) at a place of the panel, in pixels; set the panel's limits after."""
    height, width = image.shape[-2:]
    extent = left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5
    axis.imshow(to_picture(image), extent=extent)


def draw_picture_rows(
    axis: plt.Axes, rows: Mapping[str, Tensor], lefts: Sequence[int], gap: int
) -> None:
    """Rows of pictures (N, 3, H, W) with their names; `lefts` in pixels."""
    height, width = next(iter(rows.values())).shape[-2:]
    for row, images in enumerate(rows.values()):
        for image, left in zip(images, lefts, strict=False):
            draw_picture(axis, image, row * (height + gap), left)
    bottom = len(rows) * (height + gap) - gap
    axis.set(xlim=(-0.5, max(lefts) + width - 0.5), ylim=(bottom - 0.5, -0.5), xticks=[])
    middles = [row * (height + gap) + height / 2 for row in range(len(rows))]
    axis.set_yticks(middles, list(rows))
    without_frame(axis)


def dot(label: str, **look) -> Line2D:
    """A marker for a legend."""
    return Line2D([], [], label=label, **{"ls": "", "marker": "o", "ms": 11} | look)


def method_dot(method: str) -> Line2D:
    """A method's marker for a legend."""
    look = LOOKS[method]
    return dot(look.name, ms=look.size, **look.marks)
