"""What several drawings put into their panels: lines, intervals, rows, words, pictures."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from seaborn.utils import relative_luminance
from torch import Tensor

from metabin.plotting.style import INK, LOOKS, to_picture

# Colour, line and width of lines that are no method's, in their order.
LINES = (INK, "-", 3.2), ("#AA4499", "--", 2.6), ("#999933", "-.", 2.6), ("#332288", ":", 3.0)


def write_beside(axis: Axes, text: str, point: tuple, shift: tuple, **style) -> None:
    """Write a text so many points (across, up) from a point of the panel."""
    axis.annotate(text, point, shift, textcoords="offset points", **style)


def without_frame(axis: Axes) -> None:
    """Take away grid, spines and ticks; labels stay."""
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)


def name_rows(axis: Axes, names: Iterable[str]) -> None:
    """Name the rows 0, 1, ... from top to bottom, without lines through them."""
    names = list(names)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)


def side_by_side(count: int, gap: float) -> np.ndarray:
    """Shifts of so many marks that stand beside each other at one place of the axis."""
    return gap * (np.arange(count) - (count - 1) / 2)


def method_line(method: str) -> dict:
    """Colour, marker, line and name of a method, as `Axes.plot` takes them."""
    look = LOOKS[method]
    return {"color": look.colour, "marker": look.marker, "ls": look.line, "label": look.name}


def draw_rates(axis: Axes, x: Sequence, rates: Mapping[str, Sequence[float]]) -> None:
    """Rates (fractions) over x in percent, a line for each method."""
    for method, values in rates.items():
        axis.plot(x, 100 * np.asarray(values), **method_line(method))


def draw_band(
    axis: Axes, x: Sequence, middle: Sequence, ends: tuple[Sequence, Sequence], look: Mapping
) -> None:
    """A line over x, in the band between its lower and its upper ends."""
    axis.fill_between(x, *ends, color=look["color"], alpha=0.2, lw=0)
    axis.plot(x, middle, **look)


def draw_lines_by_name(
    axis: Axes, lines: Mapping[str, Sequence[float]], x: Sequence | None = None
) -> None:
    """A line for each name over x (None: 0, 1, ...), each in the next look of LINES."""
    for (name, values), (colour, line, width) in zip(lines.items(), LINES, strict=False):
        across = range(len(values)) if x is None else x
        axis.plot(across, values, color=colour, ls=line, lw=width, label=name)


def draw_intervals(
    axis: Axes,
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


def draw_tiles(axis: Axes, values: np.ndarray, words: np.ndarray, font: Mapping, **options) -> None:
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


def draw_picture_rows(
    axis: Axes, rows: Mapping[str, Tensor], lefts: Sequence[int], gap: int
) -> None:
    """Rows of pictures (N, 3, H, W) with their names, on one canvas; `lefts` in pixels."""
    height, width = next(iter(rows.values())).shape[-2:]
    canvas = white_canvas(len(rows) * (height + gap) - gap, max(lefts) + width)
    for row, images in enumerate(rows.values()):
        for image, left in zip(images, lefts, strict=False):
            paste(canvas, image, row * (height + gap), left)
    axis.imshow(canvas)
    middles = [row * (height + gap) + height / 2 for row in range(len(rows))]
    axis.set_yticks(middles, list(rows))
    axis.set_xticks([])
    without_frame(axis)


def white_canvas(height: int, width: int) -> np.ndarray:
    """White pixels, (height, width, 3)."""
    return np.full((height, width, 3), 255, np.uint8)


def paste(canvas: np.ndarray, image: Tensor, top: int, left: int) -> None:
    """Put a uint8 image (3, H, W) on a canvas."""
    height, width = image.shape[-2:]
    canvas[top : top + height, left : left + width] = to_picture(image)


def dot(label: str, **look) -> Line2D:
    """A marker for a legend."""
    return Line2D([], [], label=label, **{"ls": "", "marker": "o", "ms": 11} | look)
