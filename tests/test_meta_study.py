"""The toy by pencil, and the measurements of lesson 05 against independent numbers."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from metabin.analysis import meta_study as study
from metabin.analysis import toy
from metabin.analysis.guard import RUNNING, changes_only
from metabin.losses import BASE, META_TEST, META_TRAIN
from metabin.meta import MetaOptions, meta_step
from metabin.norm import balancing_parameters

# ---- the toy -------------------------------------------------------------------------


def test_the_toys_meta_step_is_the_lessons_pencil_arithmetic():
    step = toy.toy_step(0.6, inner_lr=0.5, outer_lr=0.25)
    found = step.virtual, step.slope_train, step.slope_test, step.after
    assert found == pytest.approx((0.4, 0.4, -0.4, 0.7))
    train_losses, test_losses = step.losses(torch.tensor([0.6, 0.4]).double())
    assert train_losses == pytest.approx([0.08, 0.02])
    assert test_losses == pytest.approx([0.02, 0.02])


def test_in_second_order_the_toys_move_is_shorter_by_one_minus_beta_times_curvature():
    first, second = (toy.toy_step(0.6, 0.5, 0.25, order).after - 0.6 for order in (1, 2))
    assert second == pytest.approx(first * (1 - 0.5 * 1.0))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("inner_lr", "outer_lr", "ends"), [(0.5, 0.25, 0.8), (0.0, 0.1, 0.5)])
def test_the_toy_rests_where_the_pushed_rho_is_best(order, inner_lr, outer_lr, ends):
    assert toy.toy_walk(0.6, 100, inner_lr, outer_lr, order)[-1] == pytest.approx(ends)


@pytest.mark.parametrize(("inner_lr", "ends"), [(0.25, 0.6), (0.625, 1.0), (1.0, 1.0), (2.0, 1.0)])
def test_a_longer_inner_move_makes_the_toy_rest_higher_up_to_the_end(inner_lr, ends):
    goal = min((0.5 - 0.2 * inner_lr) / (1 - inner_lr), 1) if inner_lr < 1 else 1
    assert goal == pytest.approx(ends)
    assert toy.toy_walk(0.6, 200, inner_lr, 0.25)[-1] == pytest.approx(ends)


# ---- two layers ----------------------------------------------------------------------


@pytest.fixture
def tiny():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return toy.Tiny()


@pytest.mark.parametrize(("inner_lr", "outer_lr"), [(0.05, 0.1), (0.5, 0.1), (0.05, 5.0)])
def test_the_meta_step_in_its_plain_form_is_the_packages(tiny, inner_lr, outer_lr):
    X_B, X_S, X_T = map(toy.tiny_batch, (1, 2, 3))
    _, L_mtr, L_mte = toy.losses_of(tiny, X_B, X_S, X_T)
    rho = toy.vectors(tiny)[1].requires_grad_()
    plain = toy.plain_meta_step(rho, L_mtr, L_mte, inner_lr, outer_lr)
    meta_step(tiny.extractor, X_S, X_T, inner_lr, outer_lr)
    torch.testing.assert_close(plain, toy.vectors(tiny)[1])
    assert (plain - rho).abs().max() > 1e-3


def test_a_tiny_networks_losses_are_functions_of_vectors_and_leave_it_as_it_is(tiny):
    batches = [toy.tiny_batch(number) for number in (1, 2, 3)]
    L_base, L_mtr, L_mte = toy.losses_of(tiny, *batches)
    theta_f, rho, phi = toy.vectors(tiny)
    with changes_only(tiny):
        found = L_base(theta_f, rho, phi), L_mtr(rho), L_mte(rho)
        moved = L_base(theta_f, rho, 2 * phi), L_mtr(rho / 2), L_mte(rho / 2)
    criteria = BASE, META_TRAIN, META_TEST
    for batch, criterion, loss, other in zip(batches, criteria, found, moved, strict=True):
        torch.testing.assert_close(loss, criterion(*tiny(batch.images), batch)[0].detach())
        assert not torch.isclose(loss, other)


# ---- orders --------------------------------------------------------------------------


def sides_of(run, count: int):
    """Meta-train and meta-test batches of a run, which keeps its random stream."""
    return study.draw_sides(copy.deepcopy(run.meta_batches), count, num_meta_train=2)


def test_the_outer_gradient_is_what_the_meta_step_follows_and_moves_nothing(small_run):
    extractor = copy.deepcopy(small_run.model.extractor)
    [sides] = sides_of(small_run, 1)
    rho = balancing_parameters(extractor)
    for r in rho.values():
        nn.init.constant_(r, 0.5)
    with changes_only(extractor):
        gradient = study.outer_gradient(extractor, *sides, 0.1)
    meta_step(extractor, *sides, 0.1, 1e-3)
    moved = torch.cat(list(rho.values())).detach()
    torch.testing.assert_close(moved, 0.5 - 1e-3 * gradient, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [0.0, 0.5])
def test_the_gap_between_orders_is_that_of_the_chain_rule_on_the_toy(size):
    options = MetaOptions(meta_train=toy.TOY_TRAIN, meta_test=toy.TOY_TEST)
    arguments = toy.Toy(0.6), toy.NO_IMAGES, toy.NO_IMAGES, size
    first, second = (
        study.outer_gradient(*arguments, replace(options, order=order)).item() for order in (1, 2)
    )
    assert second == pytest.approx(first * (1 - size))


def test_the_orders_agree_without_an_inner_step_and_differ_with_a_long_one(small_run):
    extractor, sides = small_run.model.extractor, sides_of(small_run, 2)
    gap = study.order_gap(extractor, sides, (0.0, 10.0))
    for values in gap.values():
        assert values.shape == (2, 2)
        torch.testing.assert_close(values[:, 0], torch.ones(2), atol=1e-4, rtol=0)
    assert (gap["cosine"][:, 1] < 0.999).all()
    cost = study.order_cost(extractor, sides[0], 0.1, rounds=1)
    assert cost[2]["bytes"] > cost[1]["bytes"] > 0 and cost[1]["seconds"] > 0


# ---- running statistics --------------------------------------------------------------


def test_held_statistics_follow_the_base_batches_and_free_ones_see_three_times_as_many(small_run):
    extractor = small_run.model.extractor
    with changes_only(extractor):
        nets, history = study.statistics_over(extractor, small_run, 2, inner_lr=1.0)
    counter = next(name for name in extractor.state_dict() if name.endswith("tracked"))
    start = int(extractor.state_dict()[counter])
    counts = {kind: int(net.state_dict()[counter]) for kind, net in nets.items()}
    assert counts == {"held": start + 2, "free": start + 6, "all": 2}
    for net in nets.values():
        twin = copy.deepcopy(net)
        with changes_only(twin, *RUNNING) as changed:  # no weight moved
            twin.load_state_dict(extractor.state_dict())
        assert changed
    assert [len(history[kind]) for kind in ("held", "free", "all")] == [2, 2, 1]


def test_drift_is_measured_in_deviations_and_ratios():
    reference = [(torch.tensor([0.0, 2.0]), torch.tensor([4.0, 1.0]))]  # a layer's mean and var
    other = [(torch.tensor([4.0, 3.0]), torch.tensor([16.0, 1.0]))]
    found = study.drift({"held": [reference], "free": [other], "all": [reference]})
    assert found["held"] == {"mean": torch.zeros(1, 1), "var": torch.ones(1, 1)}
    assert found["free"]["mean"].tolist() == [[1.5]] and found["free"]["var"].tolist() == [[2.0]]
