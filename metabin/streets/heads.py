"""Heads: neck, hair, a hint of a face, hats."""

import numpy as np

from metabin.streets.bodies import People
from metabin.streets.drawing import Canvas, column, fade, mix, noise, paint_some

LIPS = np.float32([[0.78], [0.42], [0.42]])  # relative to the skin


def draw_head(canvas: Canvas, p: People) -> None:
    """Neck, hair, head and hat; a head may look to a side."""
    p = p.only(slice(None))
    p.cos, p.sin = np.cos(p.yaw + p.gaze), np.sin(p.yaw + p.gaze)
    zero, (low, high) = np.zeros_like(p.size), p.heights(1.45, 1.55)
    neck_radii = 0.053 * p.size, 0.046 * p.size
    canvas.limb((zero, low), (zero, high), neck_radii, p.skin_rgb * np.float32(0.85))
    x, (y,) = 0.022 * p.sin, p.heights(1.635)
    a, b = p.breadth(0.077, 0.094), 0.118 * p.size
    paint_some(canvas, p, p.has("hair", "bun"), draw_bun)
    volume = np.select([p.has("hair", "shaved"), p.has("hair", "curly")], [1.0, 1.38], 1.09)
    volume = np.where(p.hat > 0, np.minimum(volume, 1.12), volume)
    lift = np.where(volume > 1.2, 0.035, 0.014)
    hair_centre = x - 0.014 * p.sin, y + lift * p.size
    canvas.ellipse(hair_centre, (a * volume, b * np.minimum(volume, 1.25)), p.hair_rgb)
    paint_some(canvas, p, ~p.has("hair", "long", "curly"), draw_ears)
    bridge, tip = (x + 0.085 * p.sin, y), (x + 0.098 * p.sin, y - 0.018)  # of the nose
    canvas.limb(bridge, tip, (0.012 + zero, 0.016 + zero), p.skin_rgb)
    box, alpha, u, v = canvas.oval((x, y), (a, b))
    colours = face_colours(p, u, v, canvas.pixel / column(b))
    canvas.paint(box, alpha, colours * canvas.shade(u * 0.9))
    paint_some(canvas, p, p.hat > 0, draw_hat)


def face_colours(p: People, u: np.ndarray, v: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Colours (3, B, h, w) of a head: skin, hair, eyes, mouth, what is under a hat.

    u is across and v up, -1 … 1. The head is a ball: what shows of its face depends on where it
    looks.
    """
    out = np.sqrt(np.maximum(1 - u * u - v * v, 0))  # how much the surface faces the camera
    front = out * column(p.cos) + u * column(p.sin)  # 1 at the nose … -1 at the back of the head
    side = np.abs(u * column(p.cos) - out * column(p.sin))  # 0 mid-face, 1 at the ears
    shown = fade(front * 3 - 0.6)

    def spot(across, up, half_width, half_height):
        """How much of a pixel lies on a spot that both halves of the face have."""
        horizontal = np.square((side - across) / half_width)
        return shown * fade(1.4 - horizontal - np.square((v - up) / half_height))

    skin, hair = column(p.skin_rgb), column(p.hair_rgb)
    chin, nose, brow_light = fade(-v - 0.75), spot(0, -0.2, 0.12, 0.16), spot(0, 0.05, 0.1, 0.3)
    colour = skin * (1 - 0.44 * chin - 0.12 * nose + 0.06 * brow_light)
    colour = mix(colour, np.float32(0.08), 0.8 * spot(0.36, 0.02, 0.12, 0.07))  # eyes
    colour = mix(colour, hair, 0.7 * spot(0.37, 0.19, 0.18, 0.04))  # brows
    colour = mix(colour, skin * column(LIPS), 0.8 * spot(0, -0.5, 0.22, 0.055))

    # Hair grows above this line.
    line = -0.55 + 0.45 * fade((front + 0.2) / 0.35) + 0.6 * fade((front - 0.15) / 0.3)
    fringe = 0.7 * (1 - fade((front - 0.25) / 0.3)) + 0.08
    line = line - column(p.has("hair", "long", "curly")) * fringe
    scalp = fade(0.5 + (v - line) / pixel) * column(np.where(p.has("hair", "shaved"), 0.25, 1.0))
    shine = 1 + 0.35 * fade(1 - np.abs(v - 0.55) / 0.25)
    colour = mix(colour, hair * shine, scalp)
    hat_line = np.select([p.has("hat", "none"), p.has("hat", "beanie")], [9.0, 0.22], 0.34)
    return mix(colour, column(p.hat_rgb), fade(0.5 + (v - column(hat_line)) / pixel))


def draw_bun(canvas: Canvas, p: People) -> None:
    centre = -0.08 * p.sin, p.heights(1.735)[0]
    canvas.ellipse(centre, (0.05 * p.size, 0.048 * p.size), p.hair_rgb)


def draw_ears(canvas: Canvas, p: People) -> None:
    for side in (-0.077, 0.077):
        centre = 0.022 * p.sin + side * p.cos * p.size, p.heights(1.625)[0]
        canvas.ellipse(centre, (0.016 * p.size, 0.027 * p.size), p.skin_rgb * np.float32(0.9))


def draw_long_hair(canvas: Canvas, p: People) -> None:
    """Hair over the shoulders, from the crown or from under a hat."""
    x, _ = p.point(0.0, -0.04, 0.0)
    half = p.breadth(0.105, 0.075)
    levels = p.heights(np.where(p.hat > 0, 1.63, 1.70), 1.55, 1.34, 1.31)
    box, alpha, across, down = canvas.body(x, levels, [half * 0.8, half, half, half * 0.7])
    strands = 0.85 + 0.3 * noise(across * 60, down * 20)
    canvas.paint(box, alpha, column(p.hair_rgb) * canvas.shade(across) * strands)


def draw_ponytail(canvas: Canvas, p: People) -> None:
    (x0, _), (x1, _) = p.point(0.0, -0.09, 0.0), p.point(0.0, -0.13, 0.0)
    high, low = p.heights(1.67, 1.45)
    canvas.limb((x0, high), (x1, low), (0.034 * p.size, 0.02 * p.size), p.hair_rgb)


def draw_hat(canvas: Canvas, p: People) -> None:
    """What stands out from the head: dome, peak or brim."""
    centre = 0.022 * p.sin, p.heights(1.67)[0]
    box, alpha, u, v = canvas.oval(centre, (p.breadth(0.082, 0.1), 0.098 * p.size))
    upper_half = fade(0.5 + v * 0.1 / canvas.pixel)
    canvas.paint(box, alpha * upper_half, column(p.hat_rgb) * canvas.shade(u))
    paint_some(canvas, p, p.has("hat", "cap") & (p.cos > -0.3), draw_peak)
    paint_some(canvas, p, p.has("hat", "brim hat"), draw_brim)


def draw_peak(canvas: Canvas, p: People) -> None:
    centre = 0.115 * p.sin, p.heights(1.672)[0] - 0.012 * p.cos
    radii = p.breadth(0.068, 0.06), (0.013 + 0.014 * np.abs(p.cos)) * p.size
    canvas.ellipse(centre, radii, p.hat_rgb * np.float32(0.8))


def draw_brim(canvas: Canvas, p: People) -> None:
    radii = 0.165 * p.size, (0.016 + 0.1 * p.tilt) * p.size
    canvas.ellipse((0.022 * p.sin, p.heights(1.682)[0]), radii, p.hat_rgb * np.float32(0.8))
