"""Exercises of lesson 04: N images, M people."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from metabin.analysis.plane import eighteen_points, push
from metabin.course.answers import Exercise
from metabin.course.exercises.numbers import random_numbers
from metabin.losses import scatter_loss, shuffle_loss


def _lowest_loss_by_trying(M: int, eps: float) -> float:
    """The lowest of a fine grid of leads, narrowed three times."""
    low, high = 0.0, 40.0
    for _ in range(4):
        leads = torch.linspace(low, high, 201).double()
        total = torch.logaddexp(leads, torch.tensor(math.log(M - 1)).double())
        losses = total - (1 - eps + eps / M) * leads
        best = int(losses.argmin())
        low, high = leads[max(best - 1, 0)].item(), leads[min(best + 1, 200)].item()
    return losses[best].item()


LOWEST_LOSS = Exercise(
    _lowest_loss_by_trying,
    {"two people": (2, 0.1), "four": (4, 0.1), "the paper's": (18_530, 0.1), "strong": (10, 0.5)},
    (
        "which probabilities does the network give where the loss is smallest?",
        "all M people have a part in the loss, not the right one alone",
    ),
    tolerance=1e-4,
)


def _value_and_gradient(loss: Callable) -> Callable:
    def measured(x, y, k):
        return loss(x, y, k).detach(), push(lambda features: loss(features, y, k), x)

    return measured


_POINTS, _WHO, _WHERE = eighteen_points()

MENDED_SHUFFLE = Exercise(
    _value_and_gradient(shuffle_loss),
    {
        "the eighteen points": (_POINTS, _WHO, _WHERE),
        "people on several streets": (_POINTS, _WHO % 4, _WHERE),
        "one street has one person": (_POINTS, _WHO.clamp(min=1), _WHERE),
        "one street only": (_POINTS, _WHO, 0 * _WHERE),
        "two equal pictures": (_POINTS.index_fill(0, torch.tensor([0, 1]), 1.0), _WHO, _WHERE),
    },
    (
        "what stands where a product's mask is false, and what does a minimum make of it?",
        "n⁻ is a negative: whom may it not show?",
        "which anchors have both pictures that the loss compares?",
        "what is the slope of a root at zero?",
    ),
    measured=_value_and_gradient,
)


def _share_by_counting(sizes: list[int], p: int) -> float:
    """By walking through the sets: the ways to choose p people with at least one from each."""
    ways = [1] + [0] * p
    for size in sizes:
        longer = []
        for taken in range(p + 1):
            longer.append(sum(ways[taken - j] * math.comb(size, j) for j in range(1, taken + 1)))
        ways = longer
    return 1 - ways[p] / math.comb(sum(sizes), p)


MISSING_SHARE = Exercise(
    _share_by_counting,
    {
        "two sets of two": ([2, 2], 2),
        "three": ([5, 3, 8], 4),
        "the paper's five": ([1816, 1467, 1501, 1812, 11934], 20),
    },
    (
        "in how many ways can all p people come from outside one set?",
        "P(A or B missing) = P(A missing) + P(B missing) − P(both missing), and so on with more",
    ),
)


def _scatter_gradient_of_torch(x: Tensor) -> Tensor:
    return -push(lambda features: scatter_loss(features, torch.zeros(len(x)).long()), x)


SCATTER_GRADIENT = Exercise(
    _scatter_gradient_of_torch,
    {f"{n} features": (random_numbers(n, 3, seed=n) + 1,) for n in (2, 5, 9)},
    (
        "the derivative of cos(a, b) by a is (b/|b| − cos · a/|a|) / |a|",
        "the centroid's part is the same for every feature: a mean over all cosines",
    ),
)
