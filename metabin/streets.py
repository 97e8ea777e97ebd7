"""Synthetic streets: a Re-ID world whose identities and styles we know because we drew them.

A *street* is a domain: a style (what its cameras do to colours and sharpness) and a family of backgrounds. People walk
through it and are seen by several cameras. Every picture comes from random streams of its own, keyed by seed, street,
block of people, camera and picture number: asking for more streets, people, cameras or pictures changes no other.
"""

import functools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metabin.drawing import Canvas
from metabin.images import ImageSet
from metabin.people import BAGS, BOTTOMS, HAIR, HATS, PATTERNS, SHOES, TOPS, draw_people
from metabin.scenery import BACKGROUNDS, STYLE, draw_background, draw_occluders, through_camera

BLOCK = 20  # people are drawn in blocks of this size
PEOPLE, POSES, STREETS, CAMERAS, GRAIN = range(1, 6)  # kinds of random streams

COLOURS = {  # name: (red, green, blue, how often it is worn above, below)
    "black": (0.09, 0.09, 0.10, 16, 22),
    "charcoal": (0.22, 0.23, 0.25, 9, 12),
    "grey": (0.48, 0.49, 0.50, 9, 9),
    "light grey": (0.70, 0.70, 0.70, 5, 4),
    "white": (0.90, 0.90, 0.88, 10, 4),
    "navy": (0.12, 0.16, 0.33, 10, 10),
    "denim": (0.27, 0.38, 0.55, 3, 16),
    "light blue": (0.55, 0.70, 0.85, 5, 4),
    "blue": (0.13, 0.30, 0.68, 5, 2),
    "teal": (0.08, 0.45, 0.47, 3, 1),
    "green": (0.15, 0.45, 0.22, 3, 1),
    "olive": (0.36, 0.36, 0.20, 4, 4),
    "beige": (0.78, 0.69, 0.54, 5, 6),
    "brown": (0.38, 0.25, 0.16, 4, 4),
    "burgundy": (0.42, 0.09, 0.15, 3, 1),
    "red": (0.74, 0.12, 0.13, 5, 1),
    "orange": (0.86, 0.43, 0.12, 2, 0),
    "yellow": (0.90, 0.76, 0.23, 2, 0),
    "pink": (0.88, 0.55, 0.64, 3, 1),
    "purple": (0.42, 0.25, 0.56, 2, 1),
}
SKINS = np.float32([[0.93, 0.76, 0.66], [0.85, 0.65, 0.52], [0.70, 0.50, 0.37], [0.50, 0.33, 0.23], [0.34, 0.22, 0.16]])
HAIR_COLOURS = {
    "black": (0.07, 0.06, 0.06, 35),
    "dark brown": (0.19, 0.12, 0.08, 30),
    "brown": (0.36, 0.23, 0.14, 15),
    "blond": (0.75, 0.60, 0.36, 10),
    "red": (0.55, 0.23, 0.11, 3),
    "grey": (0.62, 0.62, 0.62, 7),
}
RGB = np.float32([c[:3] for c in COLOURS.values()])  # (C, 3)
HAIR_RGB = np.float32([c[:3] for c in HAIR_COLOURS.values()])
ABOVE, BELOW = ([c[k] for c in COLOURS.values()] for k in (3, 4))
COMMON = {  # what everyone wears where colour_identity is 0
    "top": (0.30, 0.36, 0.46),
    "second": (0.72, 0.70, 0.66),
    "bottom": (0.20, 0.21, 0.25),
    "shoe": (0.13, 0.12, 0.12),
    "bag": (0.22, 0.19, 0.17),
    "hat": (0.25, 0.25, 0.28),
    "inner": (0.72, 0.70, 0.66),
    "skin": tuple(SKINS[1]),
    "hair": (0.19, 0.12, 0.08),
}
# Shape: options and how often each is met. The first is what everyone is where shape_identity is 0.
SHAPES = {
    "top": (TOPS, (22, 24, 16, 20, 11, 7)),
    "bottom": (BOTTOMS, (34, 24, 14, 16, 12)),
    "pattern": (PATTERNS, (52, 10, 5, 8, 4, 8, 6, 7)),
    "hair": (HAIR, (40, 7, 24, 13, 7, 9)),
    "hat": (HATS, (76, 11, 8, 5)),
    "bag": (BAGS, (44, 24, 18, 14)),
    "shoes": (SHOES, (48, 34, 18)),
}
TINTS = {"top_colour": ABOVE, "second_colour": ABOVE, "bottom_colour": BELOW, "bag_colour": BELOW, "shoe_colour": BELOW}
TINTS |= {"hat_colour": ABOVE, "hair_colour": [c[3] for c in HAIR_COLOURS.values()], "skin": [30, 28, 18, 14, 10]}
BUILD = ("height", "width", "shoulders")  # metres; and relative to the average
ATTRIBUTES: dict[str, tuple[str, ...]] = {name: options for name, (options, _) in SHAPES.items()}
ATTRIBUTES |= {name: tuple(COLOURS) for name in TINTS}
ATTRIBUTES |= {"hair_colour": tuple(HAIR_COLOURS), "skin": ("fair", "light", "tan", "brown", "dark")}
ATTRIBUTES |= dict.fromkeys(BUILD, ())  # no options: a number
STYLE_NAMES = (*STYLE, "background")


@dataclass(frozen=True)
class World:
    """A world of streets. The same fields give the same pictures."""

    seed: int = 0
    height: int = 64  # pixels
    width: int = 32
    style: float = 1.0  # how far streets differ in style; 0: all look the same
    camera_style: float = 0.6  # how far a camera departs from its street's style, as a share of `style`
    colour_identity: float = 1.0  # how far people differ in colour, 0 … 1; 0: all wear the same colours
    shape_identity: float = 1.0  # how far they differ in build, garments, pattern, bag, hair, hat, 0 … 1

    def stream(self, kind: int, *key: int) -> np.random.Generator:
        """The random stream of one thing in this world."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=(kind, *key))))


@dataclass(frozen=True, eq=False, repr=False)
class Streets(ImageSet):
    """Images of streets with their ground truth: ``attributes`` (N, A) float32, ``styles`` (N, S) float32.

    Columns of ``attributes`` are ``ATTRIBUTES`` in order: the number of an option, or a measure. Columns of ``styles``
    are ``STYLE_NAMES``. Cameras count from 0 within each street.
    """

    attributes: Tensor
    styles: Tensor

    def attribute(self, name: str) -> Tensor:
        """One attribute (N,) by name."""
        return self.attributes[:, list(ATTRIBUTES).index(name)]


def make_streets(
    world: World,
    domains: Sequence[int],
    num_ids: int,
    cameras: int = 2,
    images_per_camera: int = 4,
    cache: Path | str | None = None,
) -> Streets:
    """Pictures of ``num_ids`` people on each of the streets ``domains``, seen by each camera that many times.

    Ordered by street, person, camera, picture. No person walks on two streets. ``cache`` is a folder to keep them in.
    """
    key = repr((renderer_version(), asdict(world), tuple(domains), num_ids, cameras, images_per_camera))
    path = cache and Path(cache) / f"streets-{sha256(key.encode()).hexdigest()[:20]}.safetensors"
    if path and path.exists():
        return Streets.load(path)
    blocks = range(-(-num_ids // BLOCK))
    jobs = list(product(domains, blocks, range(cameras), range(images_per_camera)))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        results = list(pool.map(lambda job: render_block(world, *job), jobs))
    shape = (len(domains), len(blocks), cameras, images_per_camera, BLOCK)

    def arrange(part: int) -> Tensor:
        values = np.stack([r[part] for r in results]).reshape(*shape, *results[0][part].shape[1:])
        values = np.moveaxis(values, 4, 2)  # (D, blocks, BLOCK, cameras, images, …)
        values = values.reshape(len(domains), len(blocks) * BLOCK, cameras, images_per_camera, *values.shape[5:])
        return torch.from_numpy(np.ascontiguousarray(values[:, :num_ids]).reshape(-1, *values.shape[4:]))

    grid = np.indices((len(domains), num_ids, cameras, images_per_camera)).reshape(4, -1)
    where, person, camera = (torch.from_numpy(index) for index in grid[:3])
    names = tuple(f"street {domain}" for domain in domains)
    streets = Streets(arrange(0), where * num_ids + person, camera, where, names, arrange(1), arrange(2))
    if path:
        streets.save(path)
    return streets


@functools.cache
def renderer_version() -> str:
    """A hash of the code that makes the pictures, so that a cache never holds pictures of an older renderer."""
    names = ("streets.py", "people.py", "scenery.py", "drawing.py")
    return sha256(b"".join((Path(__file__).parent / name).read_bytes() for name in names)).hexdigest()


def pick(uniform: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Numbers of options drawn as often as their weights say, from uniform numbers."""
    edges = np.cumsum(weights) / np.sum(weights)
    return np.minimum(np.searchsorted(edges, uniform, side="right"), len(weights) - 1)


def draw_identities(world: World, domain: int, block: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Who walks there: what ``draw_people`` needs, and the attributes (BLOCK, A)."""
    rng = world.stream(PEOPLE, domain, block)
    uniform = iter(rng.random((64, BLOCK)).astype(np.float32))
    normal = iter(rng.standard_normal((32, BLOCK)).astype(np.float32))
    who: dict[str, np.ndarray] = {}
    for name, (_, weights) in SHAPES.items():
        kind, own = pick(next(uniform), weights), next(uniform) < world.shape_identity
        who[name] = np.where(own, kind, 0)
    shape = world.shape_identity
    who["height"] = 1.72 + shape * np.clip(0.085 * next(normal), -0.2, 0.2)
    who["width"] = np.exp(shape * np.clip(0.11 * next(normal), -0.2, 0.28))
    who["shoulders"] = who["width"] ** 0.5 * np.exp(shape * np.clip(0.05 * next(normal), -0.1, 0.1))
    who["pattern_scale"] = 0.11 + shape * 0.07 * (next(uniform) - 0.4)
    who["opening"] = 0.02 + shape * 0.13 * (next(uniform) - 0.5)
    who["skirt_length"] = 0.60 + shape * 0.24 * (next(uniform) - 0.6)
    tint = {name: pick(next(uniform), weights) for name, weights in TINTS.items()}
    seen = world.colour_identity > 0
    attributes = [who[name] for name in SHAPES] + [tint[name] * seen for name in TINTS] + [who[name] for name in BUILD]

    def dye(part: str, colours: np.ndarray) -> np.ndarray:
        """Colours (BLOCK, 3) made a little personal, pulled towards what everyone wears; (3, BLOCK)."""
        personal = np.clip(colours.T * (1 + 0.09 * next(normal)) + 0.018 * rng.standard_normal((3, BLOCK)), 0.03, 0.97)
        common = np.float32(COMMON[part])[:, None]
        return (common + world.colour_identity * (personal - common)).astype(np.float32)

    for part in ("top", "second", "bottom", "shoe", "bag", "hat"):
        colours = RGB[tint[f"{part}_colour"]]
        if part == "second":  # a pattern must be seen: black or white when it would be too close to the garment
            top = RGB[tint["top_colour"]]
            close = np.abs(colours - top).sum(1) < 0.6
            other = np.where(top.mean(1) > 0.45, 0, 4)
            colours = np.where(close[:, None], RGB[other], colours)
        who[f"{part}_rgb"] = dye(part, colours)
    who["inner_rgb"] = dye("inner", RGB[pick(next(uniform), ABOVE)])
    who["skin_rgb"] = dye("skin", SKINS[tint["skin"]])
    who["hair_rgb"] = dye("hair", HAIR_RGB[tint["hair_colour"]])
    block_top = (who["pattern"] == PATTERNS.index("block")) & (next(uniform) < 0.6)
    who["sleeve_rgb"] = np.where(block_top, who["second_rgb"], who["top_rgb"])
    tights = next(uniform) < 0.35
    who["leg_rgb"] = np.where(tights, np.float32([[0.12], [0.11], [0.12]]), who["skin_rgb"])
    who = {name: v.astype(np.float32) if v.dtype == np.float64 else v for name, v in who.items()}
    return who, np.stack(attributes, 1).astype(np.float32)


def street_style(world: World, domain: int, camera: int) -> tuple[dict[str, float], dict]:
    """The style of one camera, its street's and its own departure from it; and how the camera looks at the street."""
    street, own = world.stream(STREETS, domain), world.stream(CAMERAS, domain, camera)
    style = {}
    for name, (neutral, spread, low, high) in STYLE.items():
        z = street.standard_normal() + world.camera_style * own.standard_normal()
        style[name] = float(np.clip(neutral + world.style * spread * z, low, high))
    families, own_family = world.stream(STREETS).permutation(len(BACKGROUNDS)), street.random() < world.style
    style["background"] = int(families[domain % len(families)]) if own_family else 0
    shift = world.style * (0.16 * street.standard_normal((4, 1)) + 0.05 * street.standard_normal((4, 3)))
    look = dict(tilt=0.1 + 0.15 * own.random(), turn=1.2 * (own.random() - 0.5), heading=2 * np.pi * own.random())
    return style, look | dict(shift=shift.astype(np.float32))


def draw_poses(look: dict, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """How BLOCK people hold themselves, where they are heading, and how the detector's box sits around them."""
    uniform = rng.random((16, BLOCK))
    normal = rng.standard_normal((16, BLOCK))
    along = look["heading"] + np.pi * (uniform[0] < 0.5) + 0.45 * normal[0]  # most walk along the street
    standing, phone, cut = uniform[3] < 0.2, uniform[6:8] < 0.09, uniform[10] < 0.07
    pose = dict(
        yaw=np.where(uniform[1] < 0.6, along, 2 * np.pi * uniform[2]),
        tilt=np.full(BLOCK, look["tilt"]),
        phase=2 * np.pi * uniform[8],
        stride=np.where(standing, 0.06, 0.28 + 0.18 * uniform[9]),
        arm=np.where(phone, 0.45, 0.05 * normal[1:3]),
        elbow=np.where(phone, 1.7, 0.2 + 0.3 * uniform[4:6]),
        look=0.35 * normal[3],
        light=np.clip(0.7 * normal[4], -1, 1),
        reach=np.exp(0.05 * normal[5]) * np.where(cut, 0.75, 1),  # of the box, relative to the person
        shift_x=0.035 * normal[6],
        shift_y=0.02 * normal[7] + np.where(cut, 0.16, 0),
    )
    return {name: values.astype(np.float32) for name, values in pose.items()}


def render_block(world: World, domain: int, block: int, camera: int, image: int):
    """BLOCK people once by one camera: images (BLOCK, 3, H, W) uint8, attributes (BLOCK, A), styles (BLOCK, S)."""
    who, attributes = draw_identities(world, domain, block)
    style, look = street_style(world, domain, camera)
    rng = world.stream(POSES, domain, block, camera, image)
    pose = draw_poses(look, rng)
    pixels = np.zeros((3, BLOCK, world.height, world.width), np.float32)
    tall = who["height"] * 1.12 * pose["reach"]  # metres from the box's bottom to its top
    top = who["height"] * (0.49 + pose["shift_y"]) + 0.5 * tall
    left = pose["shift_x"] * tall - 0.5 * tall * world.width / world.height
    canvas = Canvas(pixels, left, top, tall / world.height, pose["light"])
    draw_background(canvas, BACKGROUNDS[style["background"]], look["shift"], look, rng)
    draw_people(canvas, who, pose)
    draw_occluders(canvas, who, pose, rng)
    seen = through_camera(pixels, style, rng)
    vector = np.float32([style[name] for name in STYLE_NAMES])
    return np.ascontiguousarray(seen.transpose(1, 0, 2, 3)), attributes, np.tile(vector, (BLOCK, 1))


def query_gallery(streets: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Query: the first camera's pictures; gallery: those of all others."""
    first = streets.camids == streets.camids.min()
    return streets[first], streets[~first]
