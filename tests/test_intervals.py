"""intervals.py against scipy, the normal distribution and its own promise: to cover the truth as often as it says."""

import pytest
import scipy.stats
import torch

from metabin.evaluate.intervals import bootstrap_interval, paired_difference, paired_interval
from metabin.evaluate.retrieval import retrieval


def a_problem(num_query: int, num_gallery: int, num_ids: int) -> tuple[torch.Tensor, ...]:
    """Features of queries and gallery around a centre for each identity, and their identities."""
    generator = torch.Generator().manual_seed(0)
    pids = [torch.randint(num_ids, (n,), generator=generator) for n in (num_query, num_gallery)]
    centres = torch.randn(num_ids, 32, generator=generator)
    features = [centres[p] + 2 * torch.randn(len(p), 32, generator=generator) for p in pids]
    return *features, *pids


def test_the_bootstrap_over_identities_covers_the_truth_and_one_over_queries_does_not():
    generator = torch.Generator().manual_seed(0)
    covered = {"identities": 0, "queries": 0}
    for _ in range(200):
        size = torch.randint(1, 12, (60,), generator=generator)  # images of each of 60 people
        pids = torch.arange(60).repeat_interleave(size)
        values = torch.randn(60, generator=generator)[pids] + 0.3 * torch.randn(
            len(pids), generator=generator
        )  # mean 0
        for name, groups in {"identities": pids, "queries": torch.arange(len(pids))}.items():
            low, high = bootstrap_interval(values, groups, num=400, generator=generator)
            covered[name] += low <= 0 <= high
    assert 0.89 <= covered["identities"] / 200 <= 0.99
    assert covered["queries"] / 200 < 0.75


def test_the_bootstrap_of_many_equal_groups_agrees_with_the_normal_interval():
    values = torch.randn(1000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    mean, half = values.mean().item(), 1.6449 * values.std().item() / 1000**0.5
    low, high = bootstrap_interval(values, torch.arange(1000), num=10_000, level=0.9)
    assert (low, high) == pytest.approx(
        (mean - half, mean + half), abs=0.05 * half
    )  # 4 standard errors of 10,000 draws


def test_the_bootstrap_of_equal_values_has_no_width_however_unequal_the_groups():
    assert bootstrap_interval(torch.ones(9), torch.tensor([0, 1, 1, 2, 2, 2, 2, 2, 2])) == (1, 1)


def test_the_bootstrap_repeats_itself_and_leaves_the_global_generator_alone():
    values, groups = (
        torch.rand(50, generator=torch.Generator().manual_seed(0)),
        torch.arange(50) // 2,
    )
    state = torch.get_rng_state()
    assert bootstrap_interval(values, groups) == bootstrap_interval(values, groups + 1000)
    other = bootstrap_interval(values, groups, generator=torch.Generator().manual_seed(1))
    assert other != bootstrap_interval(values, groups)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_paired_comparison_sees_what_two_intervals_cannot():
    query, gallery, *labels = a_problem(num_query=300, num_gallery=300, num_ids=40)
    noise = torch.randn(query.shape, generator=torch.Generator().manual_seed(9))
    better, worse = (
        retrieval(query, gallery, *labels),
        retrieval(query + 1.0 * noise, gallery, *labels),
    )
    difference, low, high = paired_difference(better, worse, metric="mAP")
    assert difference == pytest.approx(better.mAP - worse.mAP) and 0 < low < difference < high
    (low_a, _), (_, high_b) = (bootstrap_interval(r.ap, r.pids) for r in (better, worse))
    assert low_a < high_b  # alone, the two intervals overlap
    mirrored = paired_difference(worse, better, metric="mAP")
    assert mirrored == pytest.approx((-difference, -high, -low))
    assert paired_difference(better, worse, metric="rank1")[0] == pytest.approx(
        better.rank1 - worse.rank1
    )
    assert paired_difference(better, better) == (0, 0, 0)


def test_models_on_other_queries_cannot_be_paired():
    query, gallery, query_pids, gallery_pids = a_problem(num_query=40, num_gallery=150, num_ids=12)
    result = retrieval(query, gallery, query_pids, gallery_pids)
    for other in (retrieval(query[:-1], gallery, query_pids[:-1], gallery_pids),
                  retrieval(query, gallery, query_pids.flip(0), gallery_pids)):  # fmt: skip
        with pytest.raises(ValueError, match="same queries"):
            paired_difference(result, other)


def test_the_interval_over_runs_equals_scipys():
    differences = [2.1, 0.4, 3.3, 1.2, -0.5]
    expected = scipy.stats.ttest_1samp(differences, 0).confidence_interval(0.9)
    assert paired_interval(differences, level=0.9) == pytest.approx(
        (1.3, expected.low, expected.high)
    )


@pytest.mark.parametrize(
    "interval",
    [
        lambda: paired_interval([1.0]),
        lambda: paired_interval([1.0, float("nan")]),
        lambda: bootstrap_interval(torch.rand(3), torch.zeros(3)),
        lambda: bootstrap_interval(torch.rand(3), torch.arange(4)),
        lambda: bootstrap_interval(torch.tensor([0, torch.nan]), torch.arange(2)),
    ],
)
def test_an_interval_of_too_little_raises(interval):
    with pytest.raises(ValueError, match="at least two"):
        interval()
