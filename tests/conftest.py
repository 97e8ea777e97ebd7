"""What several test files share: tiny sets of random people and a short configuration."""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # before torch starts, as every door does

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import settings
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from torch.nn.functional import interpolate

from metabin.config import METHODS, Config, demo
from metabin.data.images import ImageSet
from metabin.streets import World, make_streets
from metabin.train import Run, train

matplotlib.use("Agg")
# No test times anything; every run is the same.
settings.register_profile("metabin", deadline=None, derandomize=True)
settings.load_profile("metabin")
SMALL = dict(size=(32, 16), ids_per_domain=2, images_per_id=2)


def make_people(
    num_domains: int = 4,
    ids: int = 8,
    images: int = 4,
    size: tuple[int, int] = (32, 16),
    seed: int = 0,
) -> ImageSet:
    """People who differ in coarse patterns, domains in a colour cast, images in noise.

    Two cameras; identities and domains are numbered from 0. 32 x 16 is the least that StreetNet's
    stride of 8 leaves enough of for instance normalization.
    """
    draw = torch.Generator().manual_seed(seed)
    pids = torch.arange(num_domains * ids).repeat_interleave(images)  # (N,)
    domains = pids // ids  # (N,)
    patterns = torch.rand(num_domains * ids, 3, 4, 2, generator=draw)
    clothes = interpolate(patterns, size=size)  # (ids, 3, H, W)
    casts = torch.rand(num_domains, 3, 1, 1, generator=draw) * 0.5 + 0.5
    noise = torch.randn(len(pids), 3, *size, generator=draw) * 0.05
    pictures = (clothes[pids] * casts[domains] + noise).clamp(0, 1)  # (N, 3, H, W)
    camids = torch.arange(len(pids)) % 2
    names = tuple(f"street {d}" for d in range(num_domains))
    return ImageSet((pictures * 255).to(torch.uint8), pids, camids, domains, names)


def drawn_points(axis: Axes) -> set[tuple[float, float]]:
    """Every point of a panel's lines and the ends of its bars, rounded to five digits."""
    paths = [line.get_xydata() for line in axis.lines]
    for collection in axis.collections:
        if isinstance(collection, LineCollection):
            paths += collection.get_segments()
    return {(round(float(x), 5), round(float(y), 5)) for x, y in np.concatenate(paths)}


def title_of(axis: Axes) -> str:
    """A panel's title, left as in the house style, or in the middle."""
    return axis.get_title(loc="left") or axis.get_title()


@pytest.fixture(scope="session")
def people() -> ImageSet:
    """4 domains x 8 ids x 4 images of 32 x 16."""
    return make_people()


@pytest.fixture(scope="session")
def quick() -> Config:
    """MetaBIN on batches of 2 ids x 2 images a domain, for a few iterations."""
    return demo(**SMALL, iterations=6, crop_pad=1)


@pytest.fixture(scope="module")
def small_run():
    """A MetaBIN run on small streets, after an iteration."""
    images = make_streets(World(height=32, width=16), [0, 1, 2], num_ids=4)
    config = demo(**METHODS["metabin"], **SMALL, outer_lr=5.0, inner_lr_high=1.0)
    run = Run(config, images, "cpu")
    next(train(run))
    return run


@pytest.fixture(autouse=True)
def the_drawing_style_is_put_back():
    """A test that draws leaves neither the house style nor its figures to the next."""
    with matplotlib.rc_context():
        yield
    plt.close("all")
