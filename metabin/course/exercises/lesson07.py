"""Exercises of lesson 07: features (N, D) of pictures, and how near they lie."""

from types import SimpleNamespace

import torch
from sklearn.manifold import trustworthiness
from torch import Tensor

from metabin.analysis.embedding_study import embed_in_plane, plane_distances
from metabin.analysis.spaces import cosine_distances, own_and_others
from metabin.course.answers import Exercise
from metabin.course.exercises.numbers import random_numbers


def _ratio_by_the_package(q: Tensor, own: Tensor, others: Tensor) -> float:
    pids = torch.tensor([0] * (1 + len(own)) + [1] * len(others))
    camids = torch.tensor([0] + [1] * (len(own) + len(others)))
    labels = SimpleNamespace(pids=pids, camids=camids, domains=torch.zeros_like(pids))
    distance = cosine_distances(torch.cat([q[None], own, others]))
    return own_and_others(distance, labels)["ratio"].item()


def _one_query(seed: int, own: int, others: int) -> tuple[Tensor, Tensor, Tensor]:
    rows = random_numbers(1 + own + others, 8, seed=seed)
    return 3 * rows[0], rows[1 : 1 + own], rows[1 + own :]


RATIO = Exercise(
    _ratio_by_the_package,
    {
        "two pictures of one's own": _one_query(0, 2, 5),
        "one picture": _one_query(1, 1, 5),
        "a crowd": _one_query(2, 3, 40),
    },
    (
        "what does a feature's length do to 1 − cosine?",
        "a mean over the own pictures, a mean over the others', and then the ratio",
    ),
)


def _trust_by_sklearn(space: Tensor, plane: Tensor, k: int) -> float:
    return trustworthiness(space.numpy(), plane.numpy(), n_neighbors=k)


_PLANE = random_numbers(20, 2, seed=3)

TRUST = Exercise(
    _trust_by_sklearn,
    {
        "random": (random_numbers(20, 5), random_numbers(20, 2, seed=1), 5),
        "one neighbour": (random_numbers(20, 5, seed=2), _PLANE, 1),
        "a perfect plane": (_PLANE, _PLANE, 4),
    },
    (
        "ranks come from sorting twice: the argsort of the argsort",
        "a point is its own nearest, with rank 0: it is no neighbour",
        "which of the k nearest in the plane have a rank above k in space?",
    ),
)


def _two_streets(seed: int, length: float) -> tuple[Tensor, SimpleNamespace]:
    """Features of two streets with six people each, two pictures by either camera."""
    pids = torch.arange(12).repeat_interleave(4)
    camids = torch.arange(48) // 2 % 2
    domains = pids // 6
    parts = random_numbers(16, 8, seed=seed)
    features = parts[pids] + 2 * parts[12 + domains] + parts[14 + camids]
    features = features + random_numbers(48, 8, seed=seed + 1)
    lengths = length * (1 + random_numbers(48, 1, seed=seed + 2).abs())
    labels = SimpleNamespace(pids=pids, camids=camids, domains=domains)
    return lengths * features, labels


def _mean_ratio(features: Tensor, streets) -> Tensor:
    return own_and_others(cosine_distances(features), streets)["ratio"].mean()


HONEST_DISTANCE = Exercise(
    _mean_ratio,
    {"short features": _two_streets(0, 0.1), "long features": _two_streets(3, 10.0)},
    (
        "how far is a picture from itself?",
        "what if all features were twice as long?",
        "who is a query (here: camera 0), and whom may it find?",
        "the others of a query are on its own street, by the other camera",
    ),
)


def _nearest_in_one_plane(query: Tensor, gallery: Tensor) -> Tensor:
    plane = embed_in_plane(torch.cat([query, gallery]), perplexity=10)
    return plane_distances(plane)[: len(query), len(query) :].argmin(1)


def _two_cameras(seed: int) -> tuple[Tensor, Tensor]:
    """Features of 24 people by two cameras."""
    people = random_numbers(24, 8, seed=seed)
    noise = random_numbers(2, 24, 8, seed=seed + 1)
    return people + noise[0], people + noise[1]


ONE_PLANE = Exercise(
    _nearest_in_one_plane,
    {"24 people": _two_cameras(0), "24 others": _two_cameras(2)},
    (
        "can coordinates of two separate pictures be compared?",
        "one call of embed_in_plane can place both cameras' features",
    ),
)
