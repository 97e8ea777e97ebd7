"""What each phase of an iteration moves, and that the phases are the training loop's own."""

import copy

import pytest
import torch

from metabin.analysis.trace import group_of, moves, trace_iteration
from metabin.train import train


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("extractor.0.bn.rho", "ρ"),
        ("extractor.0.bn.in_weight", "weights θ_f"),
        ("extractor.0.bn.running_var", "running statistics"),
        ("neck.weight", "classifier φ"),
        ("neck.num_batches_tracked", "running statistics"),
        ("classifier.weight", "classifier φ"),
    ],
)
def test_names_are_sorted_into_the_papers_letters(name, group):
    assert group_of(name) == group


def test_moves_count_the_numbers_that_changed_and_measure_their_way():
    before = {"extractor.a.weight": torch.zeros(4), "extractor.b.weight": torch.zeros(2)}
    after = {"extractor.a.weight": torch.tensor([0.0, 3, 0, 0])}
    after["extractor.b.weight"] = torch.tensor([4.0, 0])
    rho = {"a.rho": torch.ones(3)}
    assert moves(before | rho, after | rho) == {"weights θ_f": (2, 5.0)}


def test_a_traced_iteration_moves_what_algorithm_1_says_and_nothing_else(small_run):
    run = copy.deepcopy(small_run)
    phases = {phase.lines: phase for phase in trace_iteration(run, inner_lr=0.5)}
    base, inner, meta = (phases[lines] for lines in ("3, 5, 6", "9, 11, 12", "13, 15"))
    assert set(base.moved) == {"weights θ_f", "classifier φ", "running statistics"}
    assert set(meta.moved) == {"ρ"}
    assert [phase for phase in phases.values() if phase.moved] == [base, meta]
    assert set(base.losses) == {"base/id", "base/triplet"}
    assert inner.virtual > 0 and inner.losses.items() <= meta.losses.items()  # one inner step
    assert sorted(int(n) for n in ",".join(phases).split(",")) == list(range(3, 16))


def test_a_traced_iteration_is_the_training_loops_own(small_run):
    by_hand, by_loop = copy.deepcopy(small_run), copy.deepcopy(small_run)
    step = next(train(by_loop))
    for group in by_hand.optimizer.param_groups:
        group["lr"] = step.lr * group["scale"]
    trace_iteration(by_hand, step.inner_lr)
    state = by_hand.model.state_dict()
    for name, tensor in by_loop.model.state_dict().items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-5, atol=1e-6, msg=name)
