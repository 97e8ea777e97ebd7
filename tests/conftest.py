"""What several test files share: tiny sets of random people, short trainings, refused commands."""

import os
from pathlib import Path

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

from metabin.__main__ import main
from metabin.config import METHODS, Config, demo
from metabin.data.images import ImageSet
from metabin.datasets import write_market1501
from metabin.streets import World, make_streets
from metabin.train import Run, train

matplotlib.use("Agg")
# No test times anything; every run is the same.
settings.register_profile("metabin", deadline=None, derandomize=True)
settings.load_profile("metabin")
SMALL = dict(size=(32, 16), ids_per_domain=2, images_per_id=2)
SMALL_WORDS = "--size 32 16 --ids-per-domain 2 --images-per-id 2 --crop-pad 1".split()


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


def assert_same(one, other):
    """Nested dicts and lists are equal, their tensors to the bit."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert torch.equal(one, other) if torch.is_tensor(one) else one == other


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file of a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def refusal(capsys):
    """Call a command that stops early; returns its exit code and its last line."""

    def call(*words: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        return stop.value.code, capsys.readouterr().err.splitlines()[-1]

    return call


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
def roots(people, tmp_path_factory) -> list[str]:
    """Two folders whose people are not numbered in one piece, a domain each."""
    folder = tmp_path_factory.mktemp("pictures")
    for domain in range(2):
        odd = people[(people.domains == domain) & (people.pids % 2 == 1)]
        write_market1501(odd, folder / f"street {domain}")
    return [str(folder / f"street {domain}") for domain in range(2)]


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
