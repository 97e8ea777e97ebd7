"""Figure 5's report: its intervals, its signs, and what was committed of it."""

import pytest
import torch

from metabin.analysis import gradient_study as study
from metabin.experiments import lesson_streets, pictures, read_results


def test_an_interval_is_students_over_the_first_dimension():
    samples = torch.tensor([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    first, second = study.intervals(samples)
    half = 4.3027 / 3**0.5  # t at 97.5 %, 2 degrees
    assert first == pytest.approx([2.0, 2 - half, 2 + half], abs=1e-3)
    assert second == [5.0, 5.0, 5.0]


def test_an_interval_leaves_out_batches_in_which_a_gradient_has_no_direction():
    one, none = torch.tensor([3.0, 4.0]), torch.zeros(2)
    assert study.cosine(one, 2 * one).item() == pytest.approx(1)
    assert study.cosine(one, none).isnan() and study.cosine(none, none).isnan()
    known = torch.tensor([0.1, 0.5, 0.3])
    with_gaps = torch.stack([study.cosine(none, one), *known, study.cosine(one, none)])
    assert study.intervals(with_gaps) == study.intervals(known)


def test_signs_are_those_that_intervals_allow():
    assert study.signs([[1, 0.5, 2], [-1, -2, -0.1], [0.1, -0.1, 0.3]]) == [1, -1, 0]


@pytest.mark.parametrize("moment", ["10 %", "end"])
def test_the_committed_gradients_are_those_of_the_committed_networks(moment):
    images = lesson_streets().train_set()
    network = pictures.figure5_network(moment, images)
    found = study.directions(network, study.batches_of(images, study.BATCHES, study.SEED))
    for loss, rows in read_results("figure5")["moments"][moment]["layers"].items():
        committed = torch.tensor([mean for mean, *_ in rows])
        apart = (found[loss]["mean"].mean(0) - committed).abs().max()
        assert apart < 0.05 * committed.abs().max(), loss


def test_figure5_counts_layers_and_compares_with_the_papers_signs():
    below, above, undecided = [-1, -2, -0.5], [1, 0.5, 2], [1, -1, 3]
    layers = {"scatter": [below] * 2, "shuffle": [above] * 2, "triplet": [below, undecided]}
    found = {"layers": layers}
    found["positive"] = dict.fromkeys(layers, [[0.25, 0, 1]] * 2)
    found["agreement"] = dict.fromkeys(layers, [0.5, 0, 1])
    moments = {"end": found}
    text = pictures.figure5_text({"interval_over": "batches", "moments": moments})
    assert "| end | scatter | 0 | 2 | 0 | 25 % | 0.5 | no |" in text
    assert "| end | shuffle | 2 | 0 | 0 | 25 % | 0.5 | yes |" in text
    assert "| end | triplet | 0 | 1 | 1 | 25 % | 0.5 | partly |" in text
    verdict = pictures.figure5_verdict(moments)
    assert verdict.startswith("partly") and verdict.endswith("scatter 0, shuffle 2, triplet 1")
