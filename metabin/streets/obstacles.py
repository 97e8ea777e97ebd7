"""Things that stand or walk before a person: passers-by, cars, bins, posts."""

import numpy as np

from metabin.streets.drawing import Canvas, Record, column, fade, mix, paint_some, stripes
from metabin.streets.people import draw_people

PASSER_BY, CAR, BIN, POST = 0.10, 0.05, 0.04, 0.05  # how often


def draw_obstacles(canvas: Canvas, identities: dict, pose: dict, rng: np.random.Generator) -> None:
    """Put something before some of the people; a passer-by is someone else of the same block."""
    chance, side, shift, size = rng.random((4, canvas.pixels.shape[1])).astype(np.float32)
    tint = rng.random((3, len(chance))).astype(np.float32)
    other = (np.arange(len(chance)) + 1 + (size * 17).astype(int)) % len(chance)
    side = np.where(side < 0.5, np.float32(-1), np.float32(1))
    spots = Record(dict(side=side, shift=shift, size=size, tint=tint, other=other))

    def draw_passer_by(canvas: Canvas, spots: Record) -> None:
        """Nearer to the camera, half outside the box, with empty hands."""
        passer_by = {name: values[..., spots.other] for name, values in identities.items()}
        for name in ("hat", "bag", "shoes"):
            passer_by[name] = np.zeros_like(passer_by[name])
        canvas.x = canvas.x - column(spots.side * (0.36 + 0.16 * spots.shift))
        canvas.y = canvas.y + 0.12
        walk = {name: values[..., spots.other] for name, values in pose.items()}
        draw_people(canvas, passer_by, walk)

    start = 0.0
    kinds = (PASSER_BY, draw_passer_by), (CAR, draw_car), (BIN, draw_bin), (POST, draw_post)
    for share, draw in kinds:
        paint_some(canvas, spots, (chance >= start) & (chance < start + share), draw)
        start += share


def draw_car(canvas: Canvas, spots: Record) -> None:
    """The end of a parked car."""
    x, top = spots.side * (0.75 + 0.2 * spots.shift), 0.62 + 0.2 * spots.size
    colour = 0.15 + 0.6 * mix(spots.tint.mean(0), spots.tint, 0.4)
    wheel = x - spots.side * 0.3, top - 0.62
    canvas.ellipse(wheel, (0.17 + 0 * x, 0.2 + 0 * x), 0.06 + 0 * colour)
    levels = [top, top - 0.03, top - 0.15, top - 0.5, top - 0.56]
    widths = [half + 0 * x for half in (0.45, 0.52, 0.6, 0.62, 0.55)]
    box, alpha, _, down = canvas.body(x, levels, widths)
    window = 0.75 + 0.35 * fade((0.18 - down) / 0.1)
    shine = window - 0.3 * stripes(down - 0.28, np.float32(9), 0.02, canvas.pixel)
    canvas.paint(box, alpha, column(colour) * shine)
    lamp = np.float32([[0.9], [0.85], [0.7]]) + 0 * colour
    canvas.ellipse((x - spots.side * 0.52, top - 0.24), (0.05 + 0 * x, 0.045 + 0 * x), lamp)


def draw_bin(canvas: Canvas, spots: Record) -> None:
    """A rubbish bin with a lid."""
    x, top = spots.side * (0.2 + 0.2 * spots.shift), 0.65 + 0.25 * spots.size
    levels = [top, top - 0.02, top - 0.07, top - 0.071, top - 1.2]
    widths = [half + 0 * x for half in (0.17, 0.22, 0.22, 0.19, 0.15)]
    box, alpha, across, down = canvas.body(x, levels, widths)
    lid = 1 - 0.3 * (down > 0.07)
    canvas.paint(box, alpha, column(0.12 + 0.3 * spots.tint) * canvas.shade(across) * lid)


def draw_post(canvas: Canvas, spots: Record) -> None:
    """A post, taller than the picture."""
    x, half = spots.side * 0.32 * spots.shift, 0.025 + 0.035 * spots.size
    box, alpha, across, _ = canvas.body(x, [4 + 0 * x, -2 + 0 * x], [half, half])
    grey = 0.15 + 0.4 * spots.tint.mean(0, keepdims=True) + 0 * spots.tint
    canvas.paint(box, alpha, column(grey) * canvas.shade(across))
