"""The toy by pencil, and the measurements of lesson 05 against independent numbers."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from metabin.analysis import meta_study as study
from metabin.analysis.guard import RUNNING
from metabin.analysis.toy import (
    NO_IMAGES,
    TOY_TEST,
    TOY_TRAIN,
    Tiny,
    Toy,
    losses_of,
    plain_meta_step,
    tiny_batch,
    toy_step,
    toy_walk,
    vectors,
)
from metabin.analysis.trace import snapshot
from metabin.losses import BASE, META_TEST, META_TRAIN
from metabin.meta import MetaOptions, meta_step
from metabin.norm import balancing_parameters

# ---- the toy --------------------------------------------------------------------------------------------------------


def test_the_toys_meta_step_is_the_lessons_pencil_arithmetic():
    step = toy_step(0.6, inner_lr=0.5, outer_lr=0.25)
    found = step.virtual, step.slope_train, step.slope_test, step.after
    assert found == pytest.approx((0.4, 0.4, -0.4, 0.7))
    train_losses, test_losses = step.losses(torch.tensor([0.6, 0.4]).double())
    assert train_losses == pytest.approx([0.08, 0.02]) and test_losses == pytest.approx(
        [0.02, 0.02]
    )


def test_in_second_order_the_toys_move_is_shorter_by_one_minus_beta_times_curvature():
    first, second = (toy_step(0.6, 0.5, 0.25, order).after - 0.6 for order in (1, 2))
    assert second == pytest.approx(first * (1 - 0.5 * 1.0))


@pytest.mark.parametrize("order", [1, 2])
def test_the_toy_rests_where_the_pushed_rho_is_best(order):
    assert toy_walk(0.6, 100, 0.5, 0.25, order)[-1] == pytest.approx(0.8)
    assert toy_walk(0.6, 100, 0.0, 0.1, order)[-1] == pytest.approx(0.5)


@pytest.mark.parametrize(("inner_lr", "ends"), [(0.25, 0.6), (0.625, 1.0), (1.0, 1.0), (2.0, 1.0)])
def test_a_longer_inner_move_makes_the_toy_rest_higher_up_to_the_end(inner_lr, ends):
    goal = min((0.5 - 0.2 * inner_lr) / (1 - inner_lr), 1) if inner_lr < 1 else 1
    assert goal == pytest.approx(ends)
    assert toy_walk(0.6, 200, inner_lr, 0.25)[-1] == pytest.approx(ends)


# ---- two layers -----------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Tiny()


@pytest.mark.parametrize(("inner_lr", "outer_lr"), [(0.05, 0.1), (0.5, 0.1), (0.05, 5.0)])
def test_the_meta_step_in_its_plain_form_is_the_packages(tiny, inner_lr, outer_lr):
    X_B, X_S, X_T = map(tiny_batch, (1, 2, 3))
    _, L_mtr, L_mte = losses_of(tiny, X_B, X_S, X_T)
    rho = vectors(tiny)[1].requires_grad_()
    plain = plain_meta_step(rho, L_mtr, L_mte, inner_lr, outer_lr)
    meta_step(tiny.extractor, X_S, X_T, inner_lr, outer_lr)
    torch.testing.assert_close(plain, vectors(tiny)[1])
    assert (plain - rho).abs().max() > 1e-3


def test_a_tiny_networks_losses_are_functions_of_vectors_and_leave_it_as_it_is(tiny):
    batches, before = [tiny_batch(number) for number in (1, 2, 3)], snapshot(tiny)
    functions = losses_of(tiny, *batches)
    theta_f, rho, phi = vectors(tiny)
    found = functions[0](theta_f, rho, phi), functions[1](rho), functions[2](rho)
    moved = functions[0](theta_f, rho, 2 * phi), functions[1](rho / 2), functions[2](rho / 2)
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny.state_dict().items())
    criteria = BASE, META_TRAIN, META_TEST
    for batch, criterion, loss, other in zip(batches, criteria, found, moved, strict=True):
        torch.testing.assert_close(loss, criterion(*tiny(batch.images), batch)[0].detach())
        assert not torch.isclose(loss, other)


# ---- orders ---------------------------------------------------------------------------------------------------------


def test_the_outer_gradient_is_what_the_meta_step_follows_and_moves_nothing(small_run):
    extractor = copy.deepcopy(small_run.model.extractor)
    ((meta_train, meta_test),) = study.draw_sides(
        copy.deepcopy(small_run.meta_batches), 1, num_meta_train=2
    )
    rho = balancing_parameters(extractor)
    for r in rho.values():
        nn.init.constant_(r, 0.5)
    gradient = study.outer_gradient(extractor, meta_train, meta_test, 0.1)
    assert all((r == 0.5).all() for r in rho.values())
    meta_step(extractor, meta_train, meta_test, 0.1, 1e-3)
    torch.testing.assert_close(
        torch.cat(list(rho.values())).detach(), 0.5 - 1e-3 * gradient, rtol=0, atol=1e-6
    )


def test_the_gap_between_orders_is_that_of_the_chain_rule_on_the_toy():
    toy, options = Toy(0.6), MetaOptions(meta_train=TOY_TRAIN, meta_test=TOY_TEST)
    for size in (0.0, 0.5):
        first, second = (
            study.outer_gradient(toy, NO_IMAGES, NO_IMAGES, size, replace(options, order=order))
            for order in (1, 2)
        )
        assert second.item() == pytest.approx(first.item() * (1 - size))


def test_the_orders_agree_without_an_inner_step_and_differ_with_a_long_one(small_run):
    sides = study.draw_sides(copy.deepcopy(small_run.meta_batches), 2, num_meta_train=2)
    gap = study.order_gap(small_run.model.extractor, sides, (0.0, 10.0))
    assert gap["cosine"].shape == gap["length"].shape == (2, 2)
    torch.testing.assert_close(gap["cosine"][:, 0], torch.ones(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(gap["length"][:, 0], torch.ones(2), atol=1e-4, rtol=0)
    assert (gap["cosine"][:, 1] < 0.999).all()


def test_second_order_keeps_more(small_run):
    sides = study.draw_sides(copy.deepcopy(small_run.meta_batches), 1, num_meta_train=2)[0]
    cost = study.order_cost(small_run.model.extractor, sides, 0.1, rounds=1)
    assert cost[2]["bytes"] > cost[1]["bytes"] > 0 and cost[1]["seconds"] > 0


# ---- running statistics ---------------------------------------------------------------------------------------------


def test_held_statistics_follow_the_base_batches_and_free_ones_see_three_times_as_many(small_run):
    extractor = small_run.model.extractor
    before = snapshot(extractor)
    nets, history = study.statistics_over(extractor, small_run, 2, inner_lr=1.0)
    counts = {
        kind: next(v for k, v in net.state_dict().items() if k.endswith("tracked"))
        for kind, net in nets.items()
    }
    start = next(v for k, v in before.items() if k.endswith("tracked"))
    assert (counts["held"] - start, counts["free"] - start, counts["all"]) == (2, 6, 2)
    for kind, net in nets.items():
        changed = {name for name, t in net.state_dict().items() if not torch.equal(t, before[name])}
        assert changed and all(
            name.endswith(tuple(p.strip("*") for p in RUNNING)) for name in changed
        ), kind
    assert all(torch.equal(before[name], tensor) for name, tensor in extractor.state_dict().items())
    assert [len(history[kind]) for kind in ("held", "free", "all")] == [2, 2, 1]


def test_drift_is_measured_in_deviations_and_ratios():
    def stats(mean, var):
        return [(torch.tensor(mean), torch.tensor(var))]

    history = {"held": [stats([0.0, 2.0], [4.0, 1.0])], "free": [stats([4.0, 3.0], [16.0, 1.0])]}
    found = study.drift(history | {"all": [stats([0.0, 2.0], [4.0, 1.0])]})
    assert found["held"] == {"mean": torch.zeros(1, 1), "var": torch.ones(1, 1)}
    assert found["free"]["mean"].tolist() == [[1.5]] and found["free"]["var"].tolist() == [[2.0]]
