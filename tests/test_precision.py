"""Half precision in a whole run: what is too small for it, and what overflows."""

from dataclasses import replace

import pytest
import torch

from metabin.data.batches import join
from metabin.meta import NO_SCALING, inner_step
from metabin.norm import balancing_parameters
from metabin.train import HALF, Run, meta_update, train


def inner_gradient(run: Run, scaler: torch.amp.GradScaler) -> torch.Tensor:
    """What the inner step of a new run follows, of all layers, times 1e7."""
    extractor, rho = run.model.train().extractor, balancing_parameters(run.model.extractor)
    batch, half = join(run.meta_batches.draw()[:2]), HALF.get(run.precision)
    with torch.autocast("cpu", half, enabled=half is not None):
        moved, _ = inner_step(extractor, rho, batch, 1e7, run.criteria[0], scaler=scaler)
    return torch.cat([(rho[name] - moved[name]).detach() for name in rho])


def test_an_inner_gradient_too_small_for_fp16_survives_by_the_runs_scaling(people, quick):
    config = replace(quick, meta_train="0.0000001 triplet")  # fp16 begins at 6e-8
    full, half, unprotected = (
        Run(replace(config, precision=p), people, "cpu") for p in ("fp32", "fp16", "fp16")
    )
    expected, found = inner_gradient(full, full.scaler), inner_gradient(half, half.scaler)
    assert half.scaler.is_enabled() and not full.scaler.is_enabled()
    assert torch.cosine_similarity(found, expected, dim=0) > 0.98
    assert found.norm() == pytest.approx(expected.norm().item(), rel=0.1)
    lost = inner_gradient(unprotected, NO_SCALING)
    assert (lost == 0).float().mean() > 0.5 > (found == 0).float().mean()


FIRST_SCALE = 2.0**10  # fp16's own first one, 2^16, overflows here


def new_run(people, config, precision: str) -> Run:
    """A run whose scaling has settled, and whose rho can move both ways."""
    run = Run(replace(config, precision=precision), people, "cpu")
    if run.scaler.is_enabled():
        run.scaler.load_state_dict(run.scaler.state_dict() | {"scale": FIRST_SCALE})
    for rho in balancing_parameters(run.model).values():
        rho.data.fill_(0.5)
    return run


def rho_of(run: Run) -> torch.Tensor:
    return torch.cat([rho.detach() for rho in balancing_parameters(run.model).values()])


def test_an_iteration_in_fp16_has_the_losses_of_one_in_full_precision(people, quick):
    config = replace(quick, warmup=0.0, outer_lr=0.1, margin=10.0)  # wide: no hinge at rest
    exact, rough = (next(train(new_run(people, config, p))).losses for p in ("fp32", "fp16"))
    for name, loss in exact.items():
        assert rough[name].item() == pytest.approx(loss.item(), rel=0.05, abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_from_the_same_weights_a_meta_step_in_fp16_moves_rho_as_far_and_in_the_same_direction(
    people, quick, seed
):
    """By itself: a base step before it would add its own rounding, which the loss's curvature then turns the direction by."""
    moves = []
    for precision in ("fp32", "fp16"):
        run = new_run(people, replace(quick, margin=10.0, seed=seed), precision)
        half = HALF.get(precision)
        run.model.train()
        with torch.autocast("cpu", half, enabled=half is not None, cache_enabled=False):
            meta_update(run, run.config.inner_lr_high)
        moves.append(rho_of(run) - 0.5)
    exact, rough = moves
    assert torch.cosine_similarity(exact, rough, dim=0) > 0.99
    assert rough.norm() == pytest.approx(exact.norm().item(), rel=0.05)  # 2^10 of scaling are gone
    assert (exact != 0).all() and (rough - exact).norm() > 0  # it is not full precision after all


def test_an_overflow_skips_the_update_and_lowers_the_scale(people, quick):
    run = Run(replace(quick, precision="fp16"), people, "cpu")
    next(train(run))  # the scaler begins to work
    run.scaler.update(2.0**30)  # as if it had risen too far
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    next(train(run))
    assert all(
        torch.equal(p, before[name])
        for name, p in run.model.named_parameters()
        if not name.endswith("rho")
    )
    assert run.scaler.get_scale() == 2.0**29
    assert all(p.isfinite().all() for p in run.model.parameters())
