"""Exercises of lesson 11: N pictures, Q queries, D feature channels."""

from collections.abc import Callable
from functools import cache
from itertools import product

import torch
from torch import Tensor

from metabin.course.answers import Exercise
from metabin.course.drawn_sets import drawn_people
from metabin.datasets.published import PublishedRow, published
from metabin.datasets.splits import DESIGNS
from metabin.evaluate.certainty import half_width
from metabin.evaluate.retrieval import extract_features, retrieval
from metabin.experiments import load_network
from metabin.experiments.results import markdown
from metabin.streets import Streets


def _counted_up(rate: float, points: float) -> int:
    """By trying."""
    n = 1
    while half_width(rate, n) > points:
        n += 1
    return n


PEOPLE_NEEDED = Exercise(
    _counted_up,
    {
        "VIPeR's width": (0.569, 0.055),
        "one point": (0.7, 0.01),
        "an easy target": (0.95, 0.02),
        "a coin": (0.5, 0.5),
    },
    (
        "square both sides, and solve for n",
        "the smallest whole number that is large enough: which way is n rounded?",
    ),
)


# ---- which average precision ---------------------------------------------------------

BINS = ((1, 1), (2, 5), (6, 10), (11, 10**9))  # ranks; the last one could be anywhere
SLACK = 0.1  # points: rates were rounded before they were printed


def _step(rank: int) -> float:
    return 1 / rank


def _trapezoid(rank: int) -> float:
    return 1.0 if rank == 1 else 1 / (2 * rank)


def _by_corners(rank1: float, rank5: float, rank10: float, ap: Callable) -> tuple[float, float]:
    """Everybody of a bin stands at one of its ends, in all 16 ways."""
    shares = (rank1, rank5 - rank1, rank10 - rank5, 1 - rank10)
    sums = []
    for ranks in product(*BINS):
        sums.append(sum(share * ap(rank) for share, rank in zip(shares, ranks, strict=True)))
    return min(sums), max(sums)


POSSIBLE_MAP = Exercise(
    _by_corners,
    {
        "MetaBIN on VIPeR": (0.569, 0.767, 0.82, _step),
        "by trapezoids": (0.569, 0.767, 0.82, _trapezoid),
        "all right": (1, 1, 1, _step),
    },
    (
        "Rank-5 counts who stands in ranks 1 to 5: how many stand in 2 to 5?",
        "which rank of its bin is worst, and which is best? ap falls with the rank",
    ),
)


def readings_of_table1() -> dict[str, list[str]]:
    """Rows of the paper's Table 1 by the average precision that they can have been printed with."""
    readings = {"step only": [], "trapezoid only": [], "either": [], "neither": []}
    names = {(True, False): "step only", (False, True): "trapezoid only", (True, True): "either"}
    for target in DESIGNS:
        for row in published("original", target):
            if None not in (row.rank5, row.rank10, row.mAP):
                fitting = _fits(row, _step), _fits(row, _trapezoid)
                readings[names.get(fitting, "neither")].append(f"{row.method} on {target}")
    return readings


def _fits(row: PublishedRow, ap: Callable) -> bool:
    low, high = _by_corners(row.rank1 / 100, row.rank5 / 100, row.rank10 / 100, ap)
    return 100 * low - SLACK <= row.mAP <= 100 * high + SLACK


# ---- the bug hunt --------------------------------------------------------------------

SEARCHES = ("the crowd", "people seen by one camera", "one camera asks")


@cache
def _crowd() -> tuple[Tensor, Streets]:
    """Features (N, D) by MetaBIN of the people in i-LIDS' folders, and who they are."""
    crowd = drawn_people("ilids")
    return extract_features(load_network("metabin"), crowd).double(), crowd


def _search(case: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (N, D), pids (N,), camids (N,) and which of the pictures are queries (Q,)."""
    f, crowd = _crowd()
    kept = torch.ones(len(crowd), dtype=torch.bool)
    if case == "people seen by one camera":
        kept = ~((crowd.pids < 30) & (crowd.camids == 1))  # 30 people are
    camids = crowd.camids[kept]
    rows = torch.arange(0, len(camids), 2)
    if case == "one camera asks":
        rows = rows[camids[rows] == 1]
    return f[kept], crowd.pids[kept], camids, rows


def on_the_crowd(function: Callable) -> Callable:
    """What a function finds in one of SEARCHES."""
    return lambda case: function(*_search(case))


def _by_package(f: Tensor, pids: Tensor, camids: Tensor, rows: Tensor) -> float:
    return retrieval(f[rows], f, pids[rows], pids, camids[rows], camids).rank1


def beside_the_package(function: Callable) -> str:
    """Rank-1 by a function and by the package in each of SEARCHES, as a Markdown table."""
    lines = []
    for case in SEARCHES:
        rates = [f"{on_the_crowd(f)(case):.1%}" for f in (function, _by_package)]
        lines.append([case, *rates])
    return markdown(["Rank-1", "colleague", "package"], lines)


MENDED_RANK1 = Exercise(
    on_the_crowd(_by_package),
    {case: (case,) for case in SEARCHES},
    (
        "whom does the camera rule drop?",
        "which pictures lie on the diagonal of (Q, N)?",
        "who has a match left?",
    ),
    measured=on_the_crowd,
)
