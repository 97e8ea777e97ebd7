"""Exercises of lesson 01: Q queries, G gallery images, D feature channels."""

import torch
from torch import Tensor

from metabin.course.answers import Exercise
from metabin.course.exercises.numbers import random_numbers
from metabin.evaluate.retrieval import retrieval


def _counted_cmc(first_hit: Tensor, K: int) -> list[float]:
    counts = torch.bincount(first_hit.clamp(max=K + 1), minlength=K + 2)
    return (counts[1 : K + 1].cumsum(0) / len(first_hit)).tolist()


CMC = Exercise(
    _counted_cmc,
    {
        "one query, right at once": (torch.tensor([1]), 3),
        "four queries": (torch.tensor([2, 1, 5, 2]), 4),
        "nobody among the first K": (torch.tensor([9, 7]), 5),
    },
    (
        "Rank-k counts the queries whose first hit is at k or before",
        "the first number of the list is Rank-1",
    ),
)


def _five_pictures(camids: list[int]) -> tuple[Tensor, ...]:
    """A query of person 7 by camera 0 and section 3's gallery: features, pids, camids of both."""
    cosines = torch.tensor([0.96, 0.90, 0.70, 0.50, 0.20]).double()
    gallery = torch.stack([cosines, (1 - cosines.square()).sqrt()], dim=1)  # (5, 2)
    people = torch.tensor([7]), torch.tensor([7, 3, 7, 7, 5])
    return torch.tensor([[1.0, 0.0]]).double(), gallery, *people, torch.tensor([0]), camids


def _ten_people(seed: int) -> tuple[Tensor, ...]:
    """Ten people by three cameras: camera 0's pictures are the queries, all are the gallery."""
    features = torch.nn.functional.normalize(random_numbers(30, 4, seed=seed))
    people, cameras = torch.arange(30) // 3, torch.arange(30) % 3
    return features[::3], features, people[::3], people, cameras[::3], cameras


_SEARCHES = {
    "the person's picture by the query's camera is the nearest": [0, 1, 1, 2, 1],
    "somebody else by the query's camera is nearer than the person": [0, 0, 1, 2, 1],
}
_SEARCHES = {case: _five_pictures(torch.tensor(cameras)) for case, cameras in _SEARCHES.items()}
_SEARCHES |= {f"ten people by three cameras, {seed}": _ten_people(seed) for seed in (0, 1)}

FILTERED_RANK_ONE = Exercise(
    lambda *sets: retrieval(*sets).rank1,
    _SEARCHES,
    (
        "does masked_fill change the tensor that it is called on?",
        "which pictures by the query's camera does the rule drop, and which stay?",
    ),
)


def _wilson_by_scipy(found: int, people: int, z: float = 1.959964) -> tuple[float, float]:
    from scipy.stats import binomtest, norm

    interval = binomtest(found, people).proportion_ci(2 * norm.cdf(z) - 1, method="wilson")
    return interval.low, interval.high


WILSON = Exercise(
    _wilson_by_scipy,
    {"half of 20": (10, 20), "3 of 100": (3, 100), "all of 20": (20, 20), "nobody": (0, 60)},
    (
        "square both sides, and sort by the powers of p",
        "(1 + z²/n) p² − (2p̂ + z²/n) p + p̂² = 0; the smaller solution comes first",
    ),
)


def _ap_by_sklearn(scores, query_pids, gallery_pids, query_camids, gallery_camids) -> Tensor:
    from sklearn.metrics import average_precision_score

    values = []
    for row, pid, camid in zip(scores, query_pids, query_camids, strict=True):
        same = gallery_pids == pid  # (G,)
        kept = ~(same & (gallery_camids == camid))
        values.append(average_precision_score(same[kept].numpy(), row[kept].numpy()))
    return torch.tensor(values)


AVERAGE_PRECISIONS = Exercise(
    _ap_by_sklearn,
    {case: (query @ gallery.T, *rest) for case, (query, gallery, *rest) in _SEARCHES.items()},
    (
        "the i-th right picture, at rank r, adds i / r",
        "give what is dropped the score −∞, so that it comes last",
        "what was dropped is not a right picture, wherever it stands",
    ),
)
