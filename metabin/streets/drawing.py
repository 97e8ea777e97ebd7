"""Paints shapes on a whole batch of pictures at once; a shape is a distance, softened over a pixel.

Lengths are metres in the plane through the person that faces the camera: x to the right, y up
from the ground. Sizes: B images in a batch, H x W pixels, h x w pixels of the box that a shape
covers. Arrays are float32 and every step works element by element, so the bytes do not depend on
the thread count.
"""

from collections.abc import Callable
from copy import copy
from functools import cache
from typing import Self

import numpy as np


def column(values: np.ndarray | float) -> np.ndarray:
    """Numbers per image (…, B) as (…, B, 1, 1), to go with pixels."""
    return np.asarray(values, np.float32)[..., None, None]


def clamp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.minimum(np.maximum(x, np.float32(low)), np.float32(high))


def fade(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, straight between."""
    return clamp(x, 0, 1)


def mix(a: np.ndarray, b: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    return a + (b - a) * share


def fraction(x: np.ndarray) -> np.ndarray:
    return x - np.floor(x)


def stripes(t: np.ndarray, period, width, pixel) -> np.ndarray:
    """1 on lines of this width at every multiple of the period, softened over `pixel`; metres."""
    distance = np.abs(fraction(t / period + 0.5) - 0.5) * period
    return fade(0.5 + (0.5 * width - distance) / pixel)


@cache
def noise_tile(smooth: int) -> np.ndarray:
    """A seamless tile of noise in 0 … 1, 256 x 256 cells; grains are about `smooth` cells wide."""
    rng = np.random.Generator(np.random.PCG64(smooth))
    tile = rng.standard_normal((256, 256)).astype(np.float32)
    for axis in (0, 0, 1, 1):  # two running means an axis: near enough to a bell
        tile = sum(np.roll(tile, k, axis) for k in range(smooth))
    ranks = np.empty(tile.size, np.float32)
    order = np.argsort(tile, axis=None, kind="stable")
    ranks[order] = np.linspace(0, 1, tile.size, dtype=np.float32)
    return ranks.reshape(256, 256)


def noise(u: np.ndarray, v: np.ndarray, smooth: int = 8) -> np.ndarray:
    """Noise in 0 … 1 at coordinates counted in cells of the tile."""
    return noise_tile(smooth)[v.astype(np.int32) & 255, u.astype(np.int32) & 255]


class Record:
    """Arrays by name that all end in B, one entry per image: `record.name`."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        self.__dict__.update(arrays)

    def only(self, rows: np.ndarray | slice) -> Self:
        """The record of these images alone; an array is copied when it is first asked for."""
        record = object.__new__(type(self))
        record._whole, record._rows = self, rows
        return record

    def __getattr__(self, name: str) -> np.ndarray:
        """Take an array that is not there yet from the whole record."""
        if name.startswith("_"):
            raise AttributeError(name)
        values = getattr(self._whole, name)[..., self._rows]
        setattr(self, name, values)
        return values


class Canvas:
    """B pictures of one size: `pixels` (3, B, H, W), and where each one's box lies in metres.

    `left`, `top` and the size of a `pixel` are (B,) in metres; `light` (B,) runs from -1, from the
    left, to 1, from the right.
    """

    def __init__(self, pixels: np.ndarray, left, top, pixel, light):
        _, count, height, width = pixels.shape
        rows = np.arange(height, dtype=np.float32)[:, None] + 0.5
        columns = np.arange(width, dtype=np.float32) + 0.5
        self.pixels, self.rows = pixels, np.arange(count)
        self.pixel = column(pixel)  # (B, 1, 1)
        self.x = column(left) + columns * self.pixel  # (B, 1, W)
        self.y = column(top) - rows * self.pixel  # (B, H, 1)
        self.light = column(light)  # (B, 1, 1)

    def only(self, rows: np.ndarray) -> Self:
        """The same pictures, of which only these are painted on."""
        canvas = copy(self)
        for name in ("rows", "pixel", "x", "y", "light"):
            setattr(canvas, name, getattr(self, name)[rows])
        return canvas

    def box(self, left, right, bottom, top) -> tuple[slice, slice]:
        """Rows and columns that hold [left, right] x [bottom, top] (B,) in every image."""
        edge = self.pixel[:, 0, 0] * 1.5
        rows = _span(self.y[:, :, 0], bottom - edge, top + edge)
        columns = _span(self.x[:, 0], left - edge, right + edge)
        return rows, columns

    def inside(self, distance: np.ndarray) -> np.ndarray:
        """How much of each pixel lies inside a shape, from its signed distance in metres."""
        return fade(0.5 - distance / self.pixel)

    def shade(self, across: np.ndarray) -> np.ndarray:
        """Brightness of a round surface; `across` is -1 at its left edge and 1 at its right one."""
        across = clamp(across, -1, 1)
        return 0.45 + 0.53 * np.sqrt(1 - across * across) + (0.22 * self.light) * across

    def paint(self, box: tuple[slice, slice], alpha: np.ndarray, colour: np.ndarray) -> None:
        """Lay `colour` (3, B, 1 or h, 1 or w) over the box, as opaque as `alpha` (B, h, w)."""
        rows = slice(None) if len(self.rows) == self.pixels.shape[1] else self.rows
        region = (slice(None), rows, *box)
        under = self.pixels[region]
        self.pixels[region] = under + alpha * (colour - under)

    def capsule(self, start, end, radii, flat=False):
        """A rounded limb between two points, each (x, y) (B,), thick at its ends as `radii` say.

        `flat` cuts its far end straight. Returns its box, alpha (B, h, w), how far along (0 … 1)
        and across (-1 … 1).
        """
        (x0, y0), (x1, y1) = start, end
        widest = np.maximum(*radii)
        low, high = np.minimum(y0, y1) - widest, np.maximum(y0, y1) + widest
        box = self.box(np.minimum(x0, x1) - widest, np.maximum(x0, x1) + widest, low, high)
        x, y = self.x[:, :, box[1]] - column(x0), self.y[:, box[0]] - column(y0)
        dx, dy = column(x1 - x0), column(y1 - y0)
        square = np.maximum(dx * dx + dy * dy, np.float32(1e-6))
        past = (x * dx + y * dy) / square  # (B, h, w)
        along = fade(past)
        radius = mix(column(radii[0]), column(radii[1]), along)
        off_x, off_y = x - along * dx, y - along * dy
        alpha = self.inside(np.sqrt(off_x * off_x + off_y * off_y) - radius)
        if flat:
            alpha = alpha * self.inside((past - 1) * np.sqrt(square))
        return box, alpha, along, off_x / radius

    def limb(self, start, end, radii, colour, flat=False) -> None:
        """Paint a capsule of one colour (3, B), shaded."""
        box, alpha, _, across = self.capsule(start, end, radii, flat)
        self.paint(box, alpha, column(colour) * self.shade(across))

    def oval(self, centre, radii):
        """An ellipse: its box, alpha (B, h, w), and coordinates that are -1 … 1 inside.

        The coordinates are (B, 1, w) and (B, h, 1).
        """
        (x, y), (a, b) = centre, radii
        box = self.box(x - a, x + a, y - b, y + b)
        u = (self.x[:, :, box[1]] - column(x)) / column(a)
        v = (self.y[:, box[0]] - column(y)) / column(b)
        distance = (np.sqrt(u * u + v * v) - 1) * column(np.minimum(a, b))
        return box, self.inside(distance), u, v

    def ellipse(self, centre, radii, colour) -> None:
        """Paint an ellipse of one colour (3, B), shaded."""
        box, alpha, u, _ = self.oval(centre, radii)
        self.paint(box, alpha, column(colour) * self.shade(u))

    def body(self, x, levels, widths):
        """An upright body round `x` (B,), of half `widths` (K, B) at falling heights `levels`.

        Returns its box, alpha (B, h, w), how far across (-1 … 1), and how far below its top in
        metres (B, h, 1).
        """
        levels, widths = np.stack(levels), np.stack(widths)  # (K, B)
        widest = widths.max(0)
        box = self.box(x - widest, x + widest, levels[-1], levels[0])
        y = self.y[:, box[0]]  # (B, h, 1)
        width = column(widths[0]) + 0 * y
        for k in range(len(levels) - 1):
            height = np.maximum(column(levels[k] - levels[k + 1]), np.float32(1e-3))
            share = fade((column(levels[k]) - y) / height)
            width = width + share * column(widths[k + 1] - widths[k])
        across = self.x[:, :, box[1]] - column(x)
        ends = self.inside(y - column(levels[0])) * self.inside(column(levels[-1]) - y)
        alpha = self.inside(np.abs(across) - width) * ends
        return box, alpha, across / np.maximum(width, np.float32(1e-3)), column(levels[0]) - y


def _span(positions: np.ndarray, low: np.ndarray, high: np.ndarray) -> slice:
    """The slice of positions (B, n) that lie in [low, high] (B,) in any image."""
    inside = (positions >= low[:, None]) & (positions <= high[:, None])
    numbers = np.flatnonzero(inside.any(0))
    return slice(numbers[0], numbers[-1] + 1) if len(numbers) else slice(0, 0)


def paint_some(
    canvas: Canvas, record: Record, mask: np.ndarray, draw: Callable[[Canvas, Record], None]
) -> None:
    """Let `draw` paint on the images of the mask (B,) only."""
    rows = np.flatnonzero(mask)
    if len(rows):
        draw(canvas.only(rows), record.only(rows))
