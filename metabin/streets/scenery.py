"""Streets behind the people: a ground that runs up to the foot of a wall, of two colours each."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from metabin.streets.camera import Camera
from metabin.streets.drawing import Canvas, column, fade, fraction, mix, noise, stripes

# Share of mid grey in a background: else the street, not the person, sets a picture's statistics.
CALM = 0.38


# Grounds and walls. Each takes metres across (u) and away or up (v) and the pixel's size in both,
# and returns brightness and the share of the second colour.


def tone_of(i, j):
    """A tone of its own for every tile, from its number."""
    return noise(np.floor(i) * 37, np.floor(j) * 59, 1)


def slabs(u, v, du, dv, size=0.6):
    joint = np.maximum(stripes(u, size, 0.03, du), stripes(v, size, 0.03, dv))
    return 0.90 + 0.18 * tone_of(u / size, v / size), joint


def cobbles(u, v, du, dv):
    u = u + 0.09 * (np.floor(v / 0.18) % 2)
    return slabs(u, v, du, dv, 0.18)


def asphalt(u, v, du, dv):
    return 0.88 + 0.24 * noise(u * 70, v * 50, 2), stripes(u, np.float32(4), 0.12, du)


def zebra(u, v, du, dv):
    return 0.90 + 0.20 * noise(u * 70, v * 50, 2), stripes(u, 1.0, 0.5, du)


def lawn(u, v, du, dv):
    return 0.72 + 0.5 * noise(u * 90, v * 25, 3), noise(u * 20 + 70, v * 12, 12)


def platform(u, v, du, dv):
    strip = fade(0.5 + (0.2 - np.abs(fraction(v / 5) * 5 - 2.5)) / dv)
    return slabs(u, v, du, dv, 0.4)[0] - 0.08 * stripes(u, 0.4, 0.02, du), strip


def plaster(u, v, du, dv):
    window = np.maximum(np.abs(fraction(u / 1.5) - 0.5) * 1.5 - 0.34, np.abs(v - 1.45) - 0.5)
    plinth = 0.18 * fade(0.5 + (0.25 - v) / dv)
    return 0.93 + 0.14 * noise(u * 25, v * 25, 12) - plinth, fade(0.5 - window / du)


def bricks(u, v, du, dv):
    u = u + 0.15 * (np.floor(v / 0.1) % 2)
    joint = np.maximum(stripes(u, 0.3, 0.02, du), stripes(v, 0.1, 0.02, dv))
    return 0.80 + 0.40 * tone_of(u / 0.3, v / 0.1), joint


def shop(u, v, du, dv):
    frame = np.maximum(stripes(u, 1.3, 0.09, du), fade(0.5 + np.maximum(0.3 - v, v - 1.8) / dv))
    goods = tone_of(u / 0.16 + 9, v / 0.22) * fade((1.2 - v) / 0.3)
    return 0.75 + 0.5 * goods * (1 - frame) - 0.15 * fade(0.5 + (0.3 - v) / dv), frame


def panels(u, v, du, dv):
    door = np.maximum(np.abs(fraction(u / 2.1) - 0.5) * 2.1 - 0.42, v - 1.9)
    rail = fade(0.5 + (0.04 - np.abs(v - 0.95)) / dv)
    return 1 - 0.2 * rail - 0.12 * fade(0.5 + (0.95 - v) / dv), fade(0.5 - door / du)


def leaves(u, v, du, dv):
    clumps = 0.5 + 0.5 * noise(u * 25, v * 25, 12)
    return 0.45 + 0.85 * noise(u * 60, v * 60, 4) * clumps, noise(u * 40, v * 40, 4)


def tiles(u, v, du, dv):
    joint = np.maximum(stripes(u, 0.2, 0.012, du), stripes(v, 0.2, 0.012, dv))
    return 1 - 0.25 * joint, fade(0.5 + (0.12 - np.abs(v - 1.1)) / dv)


class Scene(NamedTuple):
    """A kind of street: its ground, its wall, and where the wall begins.

    `foot` says from where to where, in metres above the person's feet in the picture.
    """

    ground: Callable
    wall: Callable
    foot: tuple[float, float]


SCENES = {
    "paving": Scene(slabs, plaster, (0.5, 1.6)),
    "park": Scene(lawn, leaves, (0.7, 1.7)),
    "brick wall": Scene(cobbles, bricks, (0.3, 1.0)),
    "road": Scene(asphalt, plaster, (1.0, 2.2)),
    "shop front": Scene(slabs, shop, (0.3, 0.9)),
    "corridor": Scene(slabs, panels, (0.3, 1.0)),
    "crossing": Scene(zebra, plaster, (1.3, 2.4)),
    "station": Scene(platform, tiles, (0.4, 1.3)),
}
COLOURS = {  # the ground's two, the wall's two
    "paving": ((0.56, 0.55, 0.53), (0.38, 0.37, 0.36), (0.68, 0.62, 0.53), (0.25, 0.29, 0.34)),
    "park": ((0.30, 0.42, 0.18), (0.42, 0.47, 0.22), (0.20, 0.36, 0.16), (0.36, 0.46, 0.18)),
    "brick wall": ((0.45, 0.43, 0.42), (0.30, 0.29, 0.28), (0.52, 0.28, 0.21), (0.60, 0.56, 0.50)),
    "road": ((0.33, 0.33, 0.35), (0.78, 0.78, 0.75), (0.55, 0.56, 0.58), (0.30, 0.33, 0.38)),
    "shop front": ((0.60, 0.57, 0.52), (0.45, 0.42, 0.40), (0.42, 0.40, 0.36), (0.16, 0.26, 0.24)),
    "corridor": ((0.62, 0.62, 0.60), (0.52, 0.52, 0.51), (0.74, 0.73, 0.68), (0.45, 0.38, 0.30)),
    "crossing": ((0.30, 0.30, 0.32), (0.68, 0.68, 0.66), (0.50, 0.47, 0.43), (0.30, 0.30, 0.32)),
    "station": ((0.50, 0.50, 0.51), (0.80, 0.66, 0.20), (0.80, 0.81, 0.79), (0.20, 0.36, 0.50)),
}
BACKGROUNDS = tuple(SCENES)


def draw_background(canvas: Canvas, camera: Camera, rng: np.random.Generator) -> None:
    """Fill the pictures, each with another stretch of the street that the camera looks at."""
    scene = SCENES[camera.background]
    colours = np.float32(COLOURS[camera.background]) * np.exp(camera.tones)
    colours = column(np.clip(colours, 0.03, 0.95)[:, :, None])
    chance = rng.random((8, canvas.pixels.shape[1])).astype(np.float32)
    foot = scene.foot[0] + (scene.foot[1] - scene.foot[0]) * chance[0]
    endless = np.full_like(foot, 99)
    rows, _ = canvas.box(-endless, endless, -endless, foot)
    brightness, share = ground_seen(canvas.x, canvas.y[:, rows], canvas.pixel, camera, chance)
    canvas.pixels[:, :, rows] = mix(colours[0], colours[1], share) * brightness

    box = canvas.box(-endless, endless, foot, endless)
    up = canvas.y[:, box[0]] - column(foot)
    u, v = canvas.x + column(chance[5] * 20) + 0 * up, np.maximum(up, 0) + 0 * canvas.x
    tone, share = scene.wall(u, v, canvas.pixel, canvas.pixel)
    tone = tone * (0.75 + 0.25 * fade(up / 0.15))  # darker where it meets the ground
    canvas.paint(box, canvas.inside(-up) + 0 * canvas.x, mix(colours[2], colours[3], share) * tone)
    canvas.pixels[:] = mix(canvas.pixels, np.float32(0.5), np.float32(CALM))


def ground_seen(x, y, pixel, camera: Camera, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and share of the second colour of the ground at x, y of the pictures.

    The camera sees it from above and turned; the shadow of something tall may lie on it.
    """
    flat = 1.5 * camera.tilt
    stretch = 1 + 0.25 * (y + 0.2)  # what is farther away looks smaller
    across, away = x * stretch, y * stretch / flat
    cos, sin = np.float32(np.cos(camera.turn)), np.float32(np.sin(camera.turn))
    u = across * cos - away * sin + column(chance[1] * 40)
    v = across * sin + away * cos + column(chance[2] * 40)
    du = pixel * stretch * np.float32(1 + (1 / flat - 1) * abs(sin))
    dv = pixel * stretch * np.float32(1 + (1 / flat - 1) * abs(cos))
    tone, share = SCENES[camera.background].ground(u, v, du, dv)
    shadow = noise(across * 18 + column(chance[4] * 256), away * 6, 32)
    shadow = column(chance[3] < 0.5) * fade(4 * shadow - 1.6)
    return tone * (1 - 0.3 * shadow), share
