"""What each phase of an iteration moves, and that the iteration taken apart is the training loop's own."""

import copy

import torch

from metabin.analysis.trace import group_of, moves, trace_iteration
from metabin.train import train


def test_names_are_sorted_into_the_papers_letters():
    names = (
        "extractor.0.bn.rho",
        "extractor.0.bn.in_weight",
        "extractor.0.bn.running_var",
        "neck.weight",
    )
    assert [group_of(name) for name in (*names, "neck.num_batches_tracked", "classifier.weight")] == [
        "ρ", "weights θ_f", "running statistics", "classifier φ", "running statistics", "classifier φ",
    ]  # fmt: skip


def test_moves_count_the_numbers_that_changed_and_measure_their_way():
    before = {
        "extractor.a.weight": torch.zeros(4),
        "extractor.b.weight": torch.zeros(2),
        "a.rho": torch.ones(3),
    }
    after = {
        "extractor.a.weight": torch.tensor([0.0, 3, 0, 0]),
        "extractor.b.weight": torch.tensor([4.0, 0]),
    }
    assert moves(before, after | {"a.rho": torch.ones(3)}) == {"weights θ_f": (2, 5.0)}


def test_a_traced_iteration_moves_what_algorithm_1_says_and_nothing_else(small_run):
    run = copy.deepcopy(small_run)
    phases = {phase.lines: phase for phase in trace_iteration(run, inner_lr=0.5)}
    moved = {lines: set(phase.moved) for lines, phase in phases.items() if phase.moved}
    assert moved == {
        "3, 5, 6": {"weights θ_f", "classifier φ", "running statistics"},
        "13, 15": {"ρ"},
    }
    lines = sorted(int(n) for key in phases for n in key.split(","))
    assert lines == list(range(3, 16))
    assert phases["9, 11, 12"].virtual > 0 and set(phases["3, 5, 6"].losses) == {
        "base/id",
        "base/triplet",
    }
    inner = phases["9, 11, 12"].losses
    assert inner.items() <= phases["13, 15"].losses.items(), (
        "the same inner step, shown by itself and within meta_step"
    )


def test_a_traced_iteration_is_the_training_loops_own(small_run):
    by_hand, by_loop = copy.deepcopy(small_run), copy.deepcopy(small_run)
    step = next(train(by_loop))
    for group in by_hand.optimizer.param_groups:
        group["lr"] = step.lr * group["scale"]
    trace_iteration(by_hand, step.inner_lr)
    for name, tensor in by_loop.model.state_dict().items():
        torch.testing.assert_close(
            by_hand.model.state_dict()[name], tensor, rtol=1e-5, atol=1e-6, msg=name
        )
