"""What is asked for: a world, some of its streets, so many people; and how it is put together."""

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

from metabin.data.images import ImageSet
from metabin.streets.camera import STYLE, Camera, through_camera
from metabin.streets.drawing import Canvas
from metabin.streets.identities import ATTRIBUTES, as_float32, draw_identities
from metabin.streets.obstacles import draw_obstacles
from metabin.streets.people import draw_people
from metabin.streets.scenery import BACKGROUNDS, draw_background

STYLE_NAMES = (*STYLE, "background")
BLOCK = 20  # people are drawn in blocks of this size
PEOPLE, POSES, STREETS, CAMERAS = range(1, 5)  # kinds of random streams
LIMITS = {  # of the fields of a World
    "seed": (0, 2**63),
    "height": (16, 2048),
    "width": (8, 1024),
    "style": (0, 10),
    "camera_style": (0, 10),
    "colour_identity": (0, 1),
    "shape_identity": (0, 1),
}


@dataclass(frozen=True)
class World:
    """A world of streets; equal fields give equal pictures.

    Pictures come from random streams that are keyed by seed, street, block of people, camera and
    picture: asking for more streets, people, cameras or pictures changes none of the others.
    Raises ValueError when a field is out of its range.
    """

    seed: int = 0
    height: int = 64  # pixels
    width: int = 32
    style: float = 1.0  # how far streets differ in style and colours; 0: all look the same
    camera_style: float = 0.6  # how far a camera departs from its street, relative to `style`
    colour_identity: float = 1.0  # how far people differ in colour, 0 … 1; 0: all dress alike
    shape_identity: float = 1.0  # in build, garments, pattern, bag, hair and hat, 0 … 1

    def __post_init__(self):
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"World.{name} must be from {low} to {high}, got {value}")

    def stream(self, kind: int, *key: int) -> np.random.Generator:
        """The random stream of one thing of this world."""
        seeds = np.random.SeedSequence(self.seed, spawn_key=(kind, *key))
        return np.random.Generator(np.random.PCG64(seeds))


@dataclass(frozen=True, eq=False, repr=False)
class Streets(ImageSet):
    """Images with their ground truth: `attributes` (N, A) float32 and `styles` (N, S) float32.

    Columns of `attributes` are `ATTRIBUTES` in order, the number of an option or a measure; those
    of `styles` are `STYLE_NAMES`. Cameras count from 0 on every street.
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
    """Pictures of `num_ids` people on each of the streets `domains`.

    Every camera sees everyone `images_per_camera` times. Pictures are ordered by street, person,
    camera, picture; pids count on from street to street, nobody walks on two. `cache` is a folder
    where the pictures are kept. Raises ValueError for no or negative counts and for streets that
    are named twice.
    """
    counts = dict(num_ids=num_ids, cameras=cameras, images_per_camera=images_per_camera)
    domains = tuple(int(domain) for domain in domains)
    if min(counts.values()) < 1:
        raise ValueError(f"make_streets needs at least one of each, got {counts}")
    if not domains or min(domains) < 0 or len(set(domains)) < len(domains):
        raise ValueError(f"domains must be different numbers from 0, got {domains}")
    if cache is None:
        return render(world, domains, **counts)
    key = repr((renderer_version(), asdict(world), domains, counts))
    path = Path(cache) / f"streets-{sha256(key.encode()).hexdigest()[:20]}.safetensors"
    if not path.exists():
        render(world, domains, **counts).save(path)
    return Streets.load(path)


@functools.cache
def renderer_version() -> str:
    """Hash of this room's source files: a cache never gives the pictures of another renderer."""
    sources = [file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))]
    return sha256(b"".join(sources)).hexdigest()


def render(
    world: World, domains: tuple[int, ...], num_ids: int, cameras: int, images_per_camera: int
) -> Streets:
    """Draw all pictures, a block of people, a camera and a picture at a time."""
    shape = (len(domains), num_ids, cameras, images_per_camera)
    images = np.empty((*shape, 3, world.height, world.width), np.uint8)
    attributes = np.empty((*shape, len(ATTRIBUTES)), np.float32)
    styles = np.empty((*shape, len(STYLE_NAMES)), np.float32)

    def draw(job: tuple[int, int, int, int]) -> None:
        street, block, camera, picture = job
        people = slice(block * BLOCK, min((block + 1) * BLOCK, num_ids))
        count = people.stop - people.start
        drawn = render_block(world, domains[street], block, camera, picture)
        for array, values in zip((images, attributes, styles), drawn, strict=True):
            array[street, people, camera, picture] = values[:count]

    blocks = range(-(-num_ids // BLOCK))
    jobs = product(range(len(domains)), blocks, range(cameras), range(images_per_camera))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        list(pool.map(draw, jobs))
    numbers = torch.from_numpy(np.indices(shape)).flatten(1)  # (4, N)
    street, person, camera, _ = numbers.clone()
    return Streets(
        images=torch.from_numpy(images).flatten(0, 3),
        pids=street * num_ids + person,
        camids=camera,
        domains=street,
        names=tuple(f"street {domain}" for domain in domains),
        attributes=torch.from_numpy(attributes).flatten(0, 3),
        styles=torch.from_numpy(styles).flatten(0, 3),
    )


def render_block(world: World, domain: int, block: int, camera: int, picture: int):
    """BLOCK people once by one camera.

    Returns images (BLOCK, 3, H, W) uint8, attributes (BLOCK, A), styles (BLOCK, S).
    """
    people = world.stream(PEOPLE, domain, block)
    identities, attributes = draw_identities(
        people, BLOCK, world.colour_identity, world.shape_identity
    )
    eye = place_camera(world, domain, camera)
    rng = world.stream(POSES, domain, block, camera, picture)
    pose, box = draw_poses(eye, rng)
    pixels = np.zeros((3, BLOCK, world.height, world.width), np.float32)
    tall = identities["height"] * box["tall"]  # metres from the box's bottom to its top
    top = identities["height"] * (0.49 + box["up"]) + 0.5 * tall
    left = box["right"] * tall - 0.5 * tall * world.width / world.height
    canvas = Canvas(pixels, left, top, tall / world.height, pose["light"])
    draw_background(canvas, eye, rng)
    draw_people(canvas, identities, pose)
    draw_obstacles(canvas, identities, pose, rng)
    images = through_camera(pixels, eye.style, rng).swapaxes(0, 1)
    style = np.float32([*eye.style.values(), BACKGROUNDS.index(eye.background)])
    return images, attributes, np.tile(style, (BLOCK, 1))


def place_camera(world: World, domain: int, camera: int) -> Camera:
    """A camera of a street: the street's style, its own departure from it, and how it looks."""
    street, own = world.stream(STREETS, domain), world.stream(CAMERAS, domain, camera)
    style = {}
    for name, (neutral, spread, low, high) in STYLE.items():
        z = street.standard_normal() + world.camera_style * own.standard_normal()
        style[name] = float(np.clip(neutral + world.style * spread * z, low, high))
    # Neighbouring streets are of different kinds.
    kinds = world.stream(STREETS).permutation(len(BACKGROUNDS))
    kind = kinds[domain % len(kinds)] if street.random() < world.style else 0
    tones = 0.16 * street.standard_normal((4, 1)) + 0.05 * street.standard_normal((4, 3))
    return Camera(
        style,
        BACKGROUNDS[kind],
        tones=(world.style * tones).astype(np.float32),
        tilt=0.1 + 0.15 * own.random(),
        turn=1.2 * (own.random() - 0.5),
        heading=2 * np.pi * own.random(),
    )


def draw_poses(
    camera: Camera, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """How BLOCK people hold themselves and where they walk; how the detector's box sits on them.

    The box relative to the person's height: how `tall` it is, how far `up` and `right` its centre
    is shifted.
    """
    uniform = rng.random((16, BLOCK)).astype(np.float32)
    normal = rng.standard_normal((16, BLOCK)).astype(np.float32)
    # Most walk along the street, in one direction or the other.
    along = camera.heading + np.pi * (uniform[0] < 0.5) + 0.45 * normal[0]
    standing, phone, cut = uniform[3] < 0.2, uniform[6:8] < 0.09, uniform[10] < 0.07
    pose = dict(
        yaw=np.where(uniform[1] < 0.6, along, 2 * np.pi * uniform[2]),
        tilt=np.full(BLOCK, camera.tilt),
        phase=2 * np.pi * uniform[8],
        stride=np.where(standing, 0.06, 0.28 + 0.18 * uniform[9]),
        arm=np.where(phone, 0.45, 0.05 * normal[1:3]),
        elbow=np.where(phone, 1.7, 0.2 + 0.3 * uniform[4:6]),
        gaze=0.35 * normal[3],
        light=np.clip(0.7 * normal[4], -1, 1),
    )
    box = dict(
        tall=1.12 * np.exp(0.05 * normal[5]) * np.where(cut, 0.75, 1),
        up=0.02 * normal[7] + np.where(cut, 0.16, 0),  # where the legs are cut off
        right=0.035 * normal[6],
    )
    return as_float32(pose), as_float32(box)


def query_gallery(streets: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Query: what the first camera saw; gallery: what the others saw.

    Raises ValueError where there is one camera.
    """
    first = streets.camids == streets.camids.min()
    if first.all():
        raise ValueError("query and gallery come from different cameras: the images are all of one")
    return streets[first], streets[~first]
