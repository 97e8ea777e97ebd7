"""How far chance moves a printed rate, and whether a test on so many people can see a difference of so many points."""

from collections.abc import Sequence

import torch
from torch import Tensor

NORMAL = 1.959964  # 95 % of a normal distribution lie within so many standard deviations
LOSS_ABLATION = {  # Table 3 of the paper: average Rank-1 in percent over the four targets, inner step fixed
    "triplet": 62.8,
    "+ scatter": 63.0,
    "+ shuffle": 63.1,
    "+ both": 63.5,
    "+ both, cyclic": 64.7,
}
# Size letters: T target sets, R repetitions of a test, S splits.


def half_width(rate: float, queries: int) -> float:
    """Half of the 95 % interval of a rate that so many independent queries gave: 1.96 √(p (1 − p) / n)."""
    return NORMAL * (rate * (1 - rate) / queries) ** 0.5


def half_width_of_mean(rates: Sequence[float], queries: Sequence[int]) -> float:
    """The same for the mean rate of several sets, each with its own people."""
    return sum(half_width(*pair) ** 2 for pair in zip(rates, queries, strict=True)) ** 0.5 / len(
        rates
    )


def simulate_splits(
    rate: float, people: int, tested: int, splits: int, num: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The rate on one split, and its mean over all, of `num` crowds of `people` each found with chance `rate`: (R,) each.

    A split tests `tested` of the people; splits of one crowd share people, which is why ten are not ten tests.
    """
    found = (torch.rand(num, people, generator=generator) < rate).double()  # (R, people)
    order = torch.rand(splits, num, people, generator=generator).argsort(dim=2)  # (S, R, people)
    rates = torch.stack([found.gather(1, rows[:, :tested]).mean(dim=1) for rows in order])  # (S, R)
    return rates[0], rates.mean(dim=0)


def simulate_differences(
    difference: float,
    disagreement: float,
    queries: Sequence[int],
    num: int,
    generator: torch.Generator,
) -> Tensor:
    """What `num` tests of two networks on the same queries would show, averaged over sets of so many queries, (R,).

    For a share `disagreement` of people only one network is right, more often the first, by `difference` in all.
    Raises ValueError when they can't disagree that rarely.
    """
    if not abs(difference) <= disagreement <= 1:
        raise ValueError(
            f"networks that differ by {difference} disagree on at least as many people, not {disagreement}"
        )
    ahead, behind = (disagreement + difference) / 2, (disagreement - difference) / 2
    count = torch.tensor(queries, dtype=torch.float64).expand(num, -1)  # (R, T)
    wins = torch.binomial(count, torch.full_like(count, ahead), generator=generator)  # (R, T)
    rest = behind / (1 - ahead) if ahead < 1 else 0.0
    losses = torch.binomial(
        count - wins, torch.full_like(count, rest), generator=generator
    )  # (R, T)
    return ((wins - losses) / count).mean(dim=1)  # (R,)
