"""How far chance moves a rate: the closed form, and simulations whose truth is known."""

import math
from itertools import product

import pytest
import torch

from metabin.evaluate.certainty import (
    LOSS_ABLATION,
    half_width,
    half_width_of_mean,
    simulate_differences,
    simulate_splits,
)


def seeded():
    return torch.Generator().manual_seed(0)


def test_half_widths_are_those_of_known_targets():
    assert 100 * half_width(0.569, 316) == pytest.approx(5.46, abs=0.005)
    assert 100 * half_width(0.797, 60) == pytest.approx(10.18, abs=0.005)
    assert half_width(0, 10) == half_width(1, 10) == 0


def test_the_mean_of_equal_sets_is_surer_by_the_root_of_their_number():
    assert half_width_of_mean([0.5] * 4, [100] * 4) == pytest.approx(half_width(0.5, 100) / 2)


def test_the_interval_holds_what_it_promises():
    draws = (
        torch.binomial(torch.full((20_000,), 500.0), torch.full((20_000,), 0.6), generator=seeded())
        / 500
    )
    inside = ((draws - 0.6).abs() <= half_width(0.6, 500)).double().mean().item()
    assert inside == pytest.approx(0.95, abs=0.01)


def test_one_split_spreads_as_its_queries_and_ten_as_the_whole_crowd():
    one, ten = simulate_splits(0.6, people=120, tested=60, splits=10, num=2000, generator=seeded())
    everybody = math.sqrt(0.24 / 120)
    assert one.mean().item() == pytest.approx(0.6, abs=0.01) and ten.mean().item() == pytest.approx(
        0.6, abs=0.01
    )
    assert one.std().item() == pytest.approx(math.sqrt(0.24 / 60), rel=0.06)
    # a split of half the crowd adds as much variance as the crowd itself has: a tenth of that is left in the mean
    assert ten.std().item() == pytest.approx(everybody * math.sqrt(1.1), rel=0.06)


def test_a_split_of_everybody_is_the_crowd():
    one, ten = simulate_splits(0.3, people=40, tested=40, splits=3, num=50, generator=seeded())
    torch.testing.assert_close(one, ten)


def test_differences_have_the_mean_and_spread_of_paired_answers():
    draws = simulate_differences(0.05, 0.2, (100, 25), 20_000, seeded())
    variance = (
        (0.2 - 0.05**2) / 4 * (1 / 100 + 1 / 25)
    )  # of (wins − losses) / n, and the mean of two sets
    assert draws.mean().item() == pytest.approx(0.05, abs=0.002)
    assert draws.var().item() == pytest.approx(variance, rel=0.05)


@pytest.mark.parametrize("difference, disagreement", product((-0.1, 0.1), (0.1,)))
def test_a_network_that_is_never_behind_never_loses(difference, disagreement):
    draws = simulate_differences(difference, disagreement, (50,), 500, seeded())
    assert (draws * difference >= 0).all() and draws.abs().max() > 0


def test_networks_that_differ_disagree():
    with pytest.raises(ValueError, match="disagree on at least as many"):
        simulate_differences(0.1, 0.05, (100,), 10, seeded())


def test_the_ablation_rises_from_row_to_row_by_a_tenth_to_twelve_tenths():
    rates = list(LOSS_ABLATION.values())
    steps = [round(b - a, 1) for a, b in zip(rates, rates[1:], strict=False)]
    assert min(steps) == 0.1 and max(steps) == 1.2
