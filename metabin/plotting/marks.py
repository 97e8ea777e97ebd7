"""What several drawings put into their panels: words, pictures, frames, lines."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from metabin.plotting.style import LOOKS, RIGHT, WRONG, to_picture


def write_beside(axis: Axes, text: str, point: tuple, shift: tuple, **style) -> None:
    """Write a text so many points (across, up) from a point of the panel."""
    axis.annotate(text, point, shift, textcoords="offset points", **style)


def without_frame(axis: Axes) -> None:
    """Take away grid, spines and ticks; labels stay."""
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)


def white_canvas(height: int, width: int) -> np.ndarray:
    """White pixels, (height, width, 3)."""
    return np.full((height, width, 3), 255, np.uint8)


def paste(canvas: np.ndarray, image: Tensor, top: int, left: int) -> None:
    """Put a uint8 image (3, H, W) on a canvas."""
    height, width = image.shape[-2:]
    canvas[top : top + height, left : left + width] = to_picture(image)


def rank_frame(hit: bool) -> dict:
    """A solid green frame for a right picture of a rank list, a dashed vermilion one else."""
    colour, line = (RIGHT, "-") if hit else (WRONG, (0, (2, 1)))
    return {"edgecolor": colour, "linestyle": line, "facecolor": "none"}


def method_line(method: str) -> dict:
    """Colour, marker, line and name of a method, as `Axes.plot` takes them."""
    look = LOOKS[method]
    return {"color": look.colour, "marker": look.marker, "ls": look.line, "label": look.name}


def draw_lines_by_name(
    axis: Axes, x: Sequence | None, lines: Mapping[str, Sequence], looks: Sequence[tuple]
) -> None:
    """A line for each name over x (None: 0, 1, ...), each in the next look: colour, line, width."""
    for (name, values), (colour, line, width) in zip(lines.items(), looks, strict=False):
        across = range(len(values)) if x is None else x
        axis.plot(across, values, color=colour, ls=line, lw=width, label=name)
