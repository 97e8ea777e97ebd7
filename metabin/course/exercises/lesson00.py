"""Exercises of lesson 00: N images, C channels, D feature channels."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from metabin.course.answers import Exercise
from metabin.course.exercises.numbers import random_numbers
from metabin.data.images import ImageSet
from metabin.evaluate.retrieval import retrieval
from metabin.norm import BatchInstanceNorm2d


def _search(seed: int) -> tuple[Tensor, ...]:
    """Unit features of six queries and 20 gallery pictures (D = 8), and who is in them."""
    features = normalize(random_numbers(26, 8, seed=seed))
    pids = torch.arange(26) % 6
    return features[:6], features[6:], pids[:6], pids[6:]


RANK_ONE = Exercise(
    lambda *sets: retrieval(*sets).rank1,
    {f"random features {seed}": _search(seed) for seed in range(3)},
    (
        "the cosine of two vectors of length 1 is their dot product",
        "which gallery row has the largest dot product with the query?",
    ),
)


def _package_mix(x: Tensor, rho: Tensor, eps: float = 1e-5) -> Tensor:
    layer = BatchInstanceNorm2d(x.shape[1], eps).double()
    layer.load_state_dict(layer.state_dict() | {"rho": rho})
    return layer(x)


_BATCH = random_numbers(4, 3, 5, 2) + 1

MIX = Exercise(
    _package_mix,
    {
        "all BN": (_BATCH, torch.ones(3).double()),
        "all IN": (_BATCH, torch.zeros(3).double()),
        "mixed": (_BATCH, torch.tensor([0.2, 0.5, 0.9]).double()),
    },
    (
        "rho has one number per channel: view it as (C, 1, 1)",
        "the variance divides by the count, not by the count minus one",
    ),
)


def _before_and_after(change: Callable) -> Callable:
    """The pixels of the changed pictures, and of the original as it is afterwards."""

    def measured(images):
        return change(images).images, images.images

    return measured


def _half_the_red(images: ImageSet) -> tuple[Tensor, Tensor]:
    pixels = images.images.clone()  # (N, 3, H, W)
    pixels[:, 0] //= 2
    return pixels, images.images


def _some_pictures(count: int) -> ImageSet:
    generator = torch.Generator().manual_seed(count)
    pixels = torch.randint(256, (count, 3, 8, 4), generator=generator, dtype=torch.uint8)
    numbers = torch.arange(count)
    return ImageSet(pixels, numbers, 0 * numbers, 0 * numbers, ("a street",))


LESS_RED = Exercise(
    _half_the_red,
    {"three pictures": (_some_pictures(3),), "fifty pictures": (_some_pictures(50),)},
    ("which channel is red?", "the original must stay as it is", "pixels are whole numbers, uint8"),
    measured=_before_and_after,
)
