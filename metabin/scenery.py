"""What surrounds the people: grounds and walls, things in front of them, and the camera that sees it all."""

import numpy as np

from metabin.drawing import Canvas, column, fade, fraction, mix, noise, stripes
from metabin.people import draw_people

# Style of a camera: its neutral value, its spread between streets where World.style is 1, and its limits.
STYLE = {
    "gain_red": (0.0, 0.12, -0.7, 0.7),  # log
    "gain_green": (0.0, 0.12, -0.7, 0.7),
    "gain_blue": (0.0, 0.12, -0.7, 0.7),
    "brightness": (0.0, 0.05, -0.25, 0.25),  # added, in units of white
    "gamma": (0.0, 0.13, -0.8, 0.8),  # log
    "contrast": (0.0, 0.13, -0.7, 0.5),  # log
    "saturation": (0.0, 0.14, -1.5, 0.6),  # log
    "blur": (0.2, 0.12, 0.1, 1.6),  # standard deviation, in pixels of a picture 64 high
    "noise": (0.006, 0.006, 0.002, 0.08),  # standard deviation, in units of white
    "haze": (0.02, 0.04, 0.0, 0.40),  # share of grey light
    "resolution": (0.98, 0.06, 0.45, 1.0),  # share of the rows and columns that are kept
}


# Grounds and walls. Each takes metres across (u) and away or up (v) and the pixel's size in both, and returns
# brightness and the share of the second colour. A hash of a tile's number gives every tile a tone of its own.
def tone_of(i, j):
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
    return 0.45 + 0.85 * noise(u * 60, v * 60, 4) * (0.5 + 0.5 * noise(u * 25, v * 25, 12)), noise(u * 40, v * 40, 4)


def tiles(u, v, du, dv):
    joint = np.maximum(stripes(u, 0.2, 0.012, du), stripes(v, 0.2, 0.012, dv))
    return 1 - 0.25 * joint, fade(0.5 + (0.12 - np.abs(v - 1.1)) / dv)


# ground, its two colours; wall, its two colours; where the wall's foot is seen, metres above the person's feet
FAMILIES = {
    "paving": (
        slabs,
        (0.56, 0.55, 0.53),
        (0.38, 0.37, 0.36),
        plaster,
        (0.68, 0.62, 0.53),
        (0.25, 0.29, 0.34),
        0.5,
        1.6,
    ),
    "park": (lawn, (0.30, 0.42, 0.18), (0.42, 0.47, 0.22), leaves, (0.20, 0.36, 0.16), (0.36, 0.46, 0.18), 0.7, 1.7),
    "brick wall": (
        cobbles,
        (0.45, 0.43, 0.42),
        (0.3, 0.29, 0.28),
        bricks,
        (0.52, 0.28, 0.21),
        (0.6, 0.56, 0.5),
        0.3,
        1.0,
    ),
    "road": (asphalt, (0.33, 0.33, 0.35), (0.78, 0.78, 0.75), plaster, (0.55, 0.56, 0.58), (0.3, 0.33, 0.38), 1.0, 2.2),
    "shop front": (slabs, (0.60, 0.57, 0.52), (0.45, 0.42, 0.4), shop, (0.42, 0.4, 0.36), (0.16, 0.26, 0.24), 0.3, 0.9),
    "corridor": (
        slabs,
        (0.62, 0.62, 0.60),
        (0.52, 0.52, 0.51),
        panels,
        (0.74, 0.73, 0.68),
        (0.45, 0.38, 0.3),
        0.3,
        1.0,
    ),
    "crossing": (zebra, (0.30, 0.30, 0.32), (0.68, 0.68, 0.66), plaster, (0.5, 0.47, 0.43), (0.3, 0.3, 0.32), 1.3, 2.4),
    "station": (platform, (0.50, 0.50, 0.51), (0.80, 0.66, 0.2), tiles, (0.80, 0.81, 0.79), (0.2, 0.36, 0.5), 0.4, 1.3),
}
BACKGROUNDS = tuple(FAMILIES)
CALM = 0.38  # share of mid grey in a background: else the street and not the person sets a picture's statistics


def draw_background(canvas: Canvas, family: str, shift: np.ndarray, camera: dict, rng: np.random.Generator) -> None:
    """Fill the pictures with a street's ground and wall; ``shift`` (4, 3) moves its four colours.

    Every picture shows another stretch of the street; ``camera`` holds its tilt and the direction it looks.
    """
    ground, ground_1, ground_2, wall, wall_1, wall_2, near, far = FAMILIES[family]
    colours = np.clip(np.float32([ground_1, ground_2, wall_1, wall_2]) * np.exp(shift), 0.03, 0.95)[:, :, None]
    place = rng.random((8, canvas.pixels.shape[1])).astype(np.float32)
    foot = near + (far - near) * place[0]
    y, pixel = canvas.y, canvas.pixel
    box = canvas.box(foot - 99, foot + 99, foot - 99, foot)  # rows with ground
    stretch = 1 + 0.25 * (y[:, box[0]] + 0.2)  # what is farther away looks smaller
    across, away = canvas.x * stretch, y[:, box[0]] * stretch / (1.5 * camera["tilt"])
    cos, sin = np.float32(np.cos(camera["turn"])), np.float32(np.sin(camera["turn"]))
    u, v = across * cos - away * sin + column(place[1] * 40), across * sin + away * cos + column(place[2] * 40)
    size = (
        pixel * stretch * (1 + (1 / (1.5 * camera["tilt"]) - 1) * np.float32([abs(sin), abs(cos)])[:, None, None, None])
    )
    tone, share = ground(u, v, size[0], size[1])
    sun = column(place[3] < 0.5) * fade(4 * noise(across * 18 + column(place[4] * 256), away * 6, 32) - 1.6)
    tone = tone * (1 - 0.3 * sun)
    canvas.pixels[:, :, box[0]] = mix(column(colours[0]), column(colours[1]), share) * tone
    box = canvas.box(foot - 99, foot + 99, foot, foot + 99)  # rows with wall
    up = y[:, box[0]] - column(foot)
    tone, share = wall(canvas.x + column(place[5] * 20) + 0 * up, np.maximum(up, 0) + 0 * canvas.x, pixel, pixel)
    tone = tone * (0.75 + 0.25 * fade(up / 0.15))
    back = mix(column(colours[2]), column(colours[3]), share) * tone
    canvas.paint(box, canvas.inside(-up) + 0 * canvas.x, back)
    canvas.pixels[:] = mix(canvas.pixels, np.float32(0.5), np.float32(CALM))


def draw_occluders(canvas: Canvas, who: dict, pose: dict, rng: np.random.Generator) -> None:
    """Put something before some of the people: a passer-by, a car, a bin, a post."""
    chance, side, place, size = rng.random((4, canvas.pixels.shape[1])).astype(np.float32)
    tint = rng.random((3, len(chance))).astype(np.float32)
    side = np.where(side < 0.5, np.float32(-1), np.float32(1))
    edges = np.cumsum([0.10, 0.05, 0.04, 0.05])
    for low, high, draw in zip((0, *edges), edges, (draw_passer_by, draw_car, draw_bin, draw_post), strict=False):
        rows = np.flatnonzero((chance >= low) & (chance < high))
        if len(rows):
            draw(canvas.only(rows), rows, side[rows], place[rows], size[rows], tint[:, rows], who, pose)


def draw_passer_by(canvas, rows, side, place, size, tint, who, pose) -> None:
    """Someone else of the street, half outside the box and nearer to the camera."""
    others = (rows + 1 + (size * 17).astype(int)) % len(who["height"])
    who = {name: values[..., others] for name, values in who.items()}
    who |= {name: np.zeros_like(who[name]) for name in ("hat", "bag", "shoes")}
    pose = {name: values[..., others] for name, values in pose.items()}
    canvas.x = canvas.x - column(side * (0.36 + 0.16 * place))
    canvas.y = canvas.y + 0.12
    draw_people(canvas, who, pose)


def draw_car(canvas, rows, side, place, size, tint, who, pose) -> None:
    """The end of a parked car."""
    x, top, colour = side * (0.75 + 0.2 * place), 0.62 + 0.2 * size, 0.15 + 0.6 * mix(tint.mean(0), tint, 0.4)
    levels, half = [top, top - 0.03, top - 0.15, top - 0.5, top - 0.56], [0.45, 0.52, 0.6, 0.62, 0.55]
    canvas.ellipse((x - side * 0.3, top - 0.62), (0.17 + 0 * x, 0.2 + 0 * x), 0.06 + 0 * tint)
    box, alpha, across, down = canvas.body(x, levels, [h + 0 * x for h in half])
    shine = 0.75 + 0.35 * fade((0.18 - down) / 0.1) - 0.3 * stripes(down - 0.28, np.float32(9), 0.02, canvas.pixel)
    canvas.paint(box, alpha, column(colour) * shine)
    lamp = (x - side * 0.52, top - 0.24)
    canvas.ellipse(lamp, (0.05 + 0 * x, 0.045 + 0 * x), np.float32([[0.9], [0.85], [0.7]]) + 0 * tint)


def draw_bin(canvas, rows, side, place, size, tint, who, pose) -> None:
    x, top, colour = side * (0.2 + 0.2 * place), 0.65 + 0.25 * size, 0.12 + 0.3 * tint
    levels, half = [top, top - 0.02, top - 0.07, top - 0.071, top - 1.2], [0.17, 0.22, 0.22, 0.19, 0.15]
    box, alpha, across, down = canvas.body(x, levels, [h + 0 * x for h in half])
    canvas.paint(box, alpha, column(colour) * canvas.shade(across) * (1 - 0.3 * (down > 0.07)))


def draw_post(canvas, rows, side, place, size, tint, who, pose) -> None:
    x, half = side * 0.32 * place, 0.025 + 0.035 * size
    box, alpha, across, _ = canvas.body(x, [4 + 0 * x, -2 + 0 * x], [half, half])
    canvas.paint(box, alpha, column(0.15 + 0.4 * tint.mean(0, keepdims=True) + 0 * tint) * canvas.shade(across))


def blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur along rows and columns; the border is repeated. Summed in a fixed order."""
    if sigma < 0.2:  # nothing that a pixel could show
        return pixels
    radius = int(np.ceil(2.5 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (2, 3):
        size = pixels.shape[axis]
        padded = np.pad(pixels, [(radius, radius) if a == axis else (0, 0) for a in range(4)], mode="edge")
        windows = [padded[(slice(None),) * axis + (slice(k, k + size),)] for k in range(2 * radius + 1)]
        pixels = sum(weight * window for weight, window in zip(weights, windows, strict=True))
    return pixels


def coarsen(pixels: np.ndarray, share: float) -> np.ndarray:
    """Keep only a share of the rows and columns, and stretch them back along straight lines."""
    for axis in (2, 3):
        size = pixels.shape[axis]
        kept = max(2, round(size * share))
        if kept == size:
            continue
        rows = np.round((np.arange(kept) + 0.5) * size / kept - 0.5).astype(int)
        place = np.clip((np.arange(size) + 0.5) * kept / size - 0.5, 0, kept - 1)
        low = np.minimum(place.astype(int), kept - 2)
        step = (place - low).astype(np.float32).reshape([size if a == axis else 1 for a in range(4)])
        pixels = mix(np.take(pixels, rows[low], axis), np.take(pixels, rows[low + 1], axis), step)
    return pixels


def through_camera(pixels: np.ndarray, style: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    """Pictures (3, B, H, W) in 0 … 1 as a camera of this style delivers them: uint8 of the same shape."""
    share = {name: np.float32(np.exp(style[name])) for name in ("gamma", "contrast", "saturation")}
    gains = np.exp(np.float32([style[f"gain_{c}"] for c in ("red", "green", "blue")])).reshape(3, 1, 1, 1)
    exposure = 1 + 0.06 * rng.standard_normal((1, pixels.shape[1], 1, 1), dtype=np.float32)
    pixels = mix(np.clip(pixels, 0, 1), np.float32(0.72), np.float32(style["haze"])) ** share["gamma"]
    pixels = mix(pixels.mean(0, keepdims=True), pixels, share["saturation"])
    pixels = ((pixels - 0.45) * share["contrast"] + 0.45) * (gains * exposure) + np.float32(style["brightness"])
    pixels = coarsen(blur(pixels, style["blur"] * pixels.shape[2] / 64), style["resolution"])
    pixels = pixels + np.float32(style["noise"]) * rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
