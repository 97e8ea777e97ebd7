"""How far chance moves a rate, and whether a test on so many people can see a difference."""

from collections.abc import Sequence

import torch
from torch import Tensor

NORMAL = 1.959964  # 95 % of a normal distribution lie within so many standard deviations
# Table 3 of the paper: average Rank-1 in percent over the four targets, inner step fixed.
LOSS_ABLATION = {
    "triplet": 62.8,
    "+ scatter": 63.0,
    "+ shuffle": 63.1,
    "+ both": 63.5,
    "+ both, cyclic": 64.7,
}
# Size letters: T target sets, R repetitions of a test, S splits.


def half_width(rate: float, queries: int) -> float:
    """Half of the 95 % interval of a rate of independent queries: 1.96 √(p (1 − p) / n)."""
    return NORMAL * (rate * (1 - rate) / queries) ** 0.5


def half_width_of_mean(rates: Sequence[float], queries: Sequence[int]) -> float:
    """Half of the 95 % interval of the mean rate of several sets, each with its own people."""
    pairs = zip(rates, queries, strict=True)
    return sum(half_width(*pair) ** 2 for pair in pairs) ** 0.5 / len(rates)


def simulate_splits(
    rate: float, people: int, tested: int, splits: int, num: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Rates on one split, and means over all splits, of `num` crowds of `people`: (R,) each.

    Each person is recognized with chance `rate`, and a split tests `tested` of them. Splits of one
    crowd share people, which is why ten are not ten tests.
    """
    right = (torch.rand(num, people, generator=generator) < rate).double()  # (R, people)
    order = torch.rand(splits, num, people, generator=generator).argsort(dim=2)  # (S, R, people)
    rates = [right.gather(1, rows[:, :tested]).mean(dim=1) for rows in order]  # S times (R,)
    return rates[0], torch.stack(rates).mean(dim=0)


def simulate_differences(
    difference: float,
    disagreement: float,
    queries: Sequence[int],
    num: int,
    generator: torch.Generator,
) -> Tensor:
    """What `num` tests of two networks on the same queries show, averaged over target sets, (R,).

    For a share `disagreement` of people only one network is right, more often the first, by
    `difference` in all. Raises ValueError when they can't disagree that rarely.
    """
    if not abs(difference) <= disagreement <= 1:
        raise ValueError(
            f"networks that differ by {difference} disagree on at least as many people, not "
            f"{disagreement}"
        )
    ahead, behind = (disagreement + difference) / 2, (disagreement - difference) / 2
    rest = behind / (1 - ahead) if ahead < 1 else 0.0
    count = torch.tensor(queries, dtype=torch.float64).expand(num, -1)  # (R, T)
    wins = torch.binomial(count, torch.full_like(count, ahead), generator=generator)  # (R, T)
    left = count - wins  # (R, T)
    losses = torch.binomial(left, torch.full_like(count, rest), generator=generator)  # (R, T)
    return ((wins - losses) / count).mean(dim=1)
