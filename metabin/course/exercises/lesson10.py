"""Exercises of lesson 10: n worlds, queries, checkpoints of a training."""

import torch
from scipy.stats import ttest_ind
from torch import Tensor

from metabin.course.answers import Exercise
from metabin.evaluate.intervals import paired_interval
from metabin.experiments.results import read_results, worlds_needed


def _half_widths(a: list[float], b: list[float]) -> tuple[float, float]:
    middle, low, _ = paired_interval([x - y for x, y in zip(a, b, strict=True)])
    unpaired = ttest_ind(a, b).confidence_interval()
    return middle - low, float(unpaired.high - unpaired.low) / 2


def _rank1(method: str) -> list[float]:
    rows = {row["name"]: row["metrics"]["rank1"] for row in read_results("table1")["rows"]}
    return rows[method]


HALF_WIDTHS = Exercise(
    _half_widths,
    {
        "the same ups and downs": ([0.5, 0.6, 0.7], [0.41, 0.5, 0.6]),
        "opposite": ([0.5, 0.6, 0.7, 0.8], [0.8, 0.7, 0.61, 0.5]),
        "Table 1": (_rank1("MetaBIN"), _rank1("DualNorm [17]")),
    },
    (
        "is the deviation that of the differences, divided by n − 1?",
        "the mean's deviation is smaller by √n; and which t has how many degrees of freedom?",
    ),
)


def no_difference(generator: torch.Generator, queries: int = 600) -> tuple[Tensor, Tensor, Tensor]:
    """Five worlds where a new and an old network are equally good on average.

    Whether the new one's eight checkpoints find each query (5, 8, queries), whether the old one
    does (5, queries), and the checkpoints' rates on people of the source streets (5, 8).
    """
    level = 0.6 + 0.05 * torch.randn(5, 1, generator=generator)
    rates = level + 0.03 * torch.randn(5, 9, generator=generator)
    hits = (torch.rand(5, 9, queries, generator=generator) < rates[..., None]).double()
    return hits[:, 1:], hits[:, 0], 0.7 + 0.02 * torch.randn(5, 8, generator=generator)


def _fair_test(new: Tensor, old: Tensor, validation: Tensor) -> tuple[float, float, float]:
    return paired_interval((new[range(len(new)), validation.argmax(1)] - old).mean(1))


FAIR_TEST = Exercise(
    _fair_test,
    {f"trial {i}": no_difference(torch.Generator().manual_seed(i), 60) for i in range(3)},
    ("who may choose the checkpoint?", "what was drawn anew, queries or trainings?"),
)

WORLDS_NEEDED = Exercise(
    worlds_needed,
    {
        "large": (2.0, 5.0, 0.8),
        "as large as the spread": (1.0, 1.0, 0.8),
        "small": (2.0, 0.5, 0.9),
        "a coin": (2.0, 1.0, 0.5),
    },
    (
        "what must the mean exceed, in units of s/√n? a width alone answers power ½ only",
        "the quantile is Student's with n − 1 degrees of freedom; 1.96 is for many worlds",
    ),
)
