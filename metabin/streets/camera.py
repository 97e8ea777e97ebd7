"""Cameras: their style, how they look at a street, and what they do to a picture."""

from dataclasses import dataclass

import numpy as np

from metabin.streets.drawing import mix

STYLE = {  # name: (neutral value, spread between streets where World.style is 1, lowest, highest)
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
EXPOSURE = 0.06  # spread from one picture of a camera to the next


@dataclass(frozen=True)
class Camera:
    """One camera and the street before it."""

    style: dict[str, float]  # a value for every name in STYLE
    background: str  # what kind of street
    tones: np.ndarray  # (4, 3) how the street's colours differ from its kind's, log
    tilt: float  # how far it looks down: what one metre towards it takes off in height
    turn: float  # of the ground's lines, radians
    heading: float  # in which direction most people walk, radians


def through_camera(
    pixels: np.ndarray, style: dict[str, float], rng: np.random.Generator
) -> np.ndarray:
    """Pictures (3, B, H, W) in 0 … 1 as a camera of this style delivers them: uint8, same shape."""
    power = np.float32(np.exp(style["gamma"]))
    contrast = np.float32(np.exp(style["contrast"]))
    saturation = np.float32(np.exp(style["saturation"]))
    gains = np.float32([style["gain_red"], style["gain_green"], style["gain_blue"]])
    gains = np.exp(gains).reshape(3, 1, 1, 1)
    exposure = 1 + EXPOSURE * rng.standard_normal((1, pixels.shape[1], 1, 1), dtype=np.float32)

    pixels = mix(np.clip(pixels, 0, 1), np.float32(0.72), np.float32(style["haze"])) ** power
    pixels = mix(pixels.mean(0, keepdims=True), pixels, saturation)
    pixels = ((pixels - 0.45) * contrast + 0.45) * (gains * exposure)
    pixels = pixels + np.float32(style["brightness"])
    pixels = blur(pixels, style["blur"] * pixels.shape[2] / 64)
    pixels = coarsen(pixels, style["resolution"])
    grain = rng.standard_normal(pixels.shape, dtype=np.float32)
    pixels = pixels + np.float32(style["noise"]) * grain
    return np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of `sigma` pixels along rows and columns; the border is repeated.

    The sum has a fixed order, so that every machine gets the same bytes.
    """
    if sigma < 0.2:  # nothing that a pixel could show
        return pixels
    radius = int(np.ceil(2.5 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (2, 3):
        size = pixels.shape[axis]
        margins = [(0, 0)] * 4
        margins[axis] = (radius, radius)
        padded = np.moveaxis(np.pad(pixels, margins, mode="edge"), axis, 0)
        blurred = sum(weight * padded[k : k + size] for k, weight in enumerate(weights))
        pixels = np.moveaxis(blurred, 0, axis)
    return pixels


def coarsen(pixels: np.ndarray, share: float) -> np.ndarray:
    """Keep only a share of the rows and columns, and stretch them back along straight lines."""
    for axis in (2, 3):
        size = pixels.shape[axis]
        kept = max(2, round(size * share))
        if kept == size:
            continue
        centres = np.arange(size) + 0.5
        rows = np.round((np.arange(kept) + 0.5) * size / kept - 0.5).astype(int)
        positions = np.clip(centres * kept / size - 0.5, 0, kept - 1)
        below = np.minimum(positions.astype(int), kept - 2)
        step = np.expand_dims((positions - below).astype(np.float32), tuple(range(1, 4 - axis)))
        low, high = np.take(pixels, rows[below], axis), np.take(pixels, rows[below + 1], axis)
        pixels = mix(low, high, step)
    return pixels
