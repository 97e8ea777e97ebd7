"""Half precision in a whole run: what is too small for it, and what overflows."""

from dataclasses import replace

import pytest
import torch

from metabin.kernels.precision import autocast
from metabin.meta import NO_SCALING, inner_step
from metabin.norm import balancing_parameters
from metabin.samplers import join
from metabin.train import Run, meta_update, train

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


def inner_gradient(run: Run, scaler: torch.amp.GradScaler) -> torch.Tensor:
    """What the inner step of a new run follows, of all layers, times 1e7."""
    extractor, rho = run.model.train().extractor, balancing_parameters(run.model.extractor)
    batch = join(run.meta_batches.draw()[:2])
    with autocast(run.device, run.precision):
        moved, _ = inner_step(extractor, rho, batch, 1e7, replace(run.options, scaler=scaler))
    return torch.cat([(rho[name] - moved[name]).detach() for name in rho])


def test_an_inner_gradient_too_small_for_fp16_survives_by_the_runs_scaling(people, quick):
    config = replace(quick, meta_train="0.0000001 triplet")  # fp16 begins at 6e-8
    precisions = "fp32", "fp16", "fp16"
    full, half, bare = (Run(replace(config, precision=p), people, "cpu") for p in precisions)
    assert half.scaler.is_enabled() and not full.scaler.is_enabled()
    exact, scaled = inner_gradient(full, full.scaler), inner_gradient(half, half.scaler)
    assert torch.cosine_similarity(scaled, exact, dim=0) > 0.98
    assert scaled.norm() == pytest.approx(exact.norm().item(), rel=0.1)
    lost = inner_gradient(bare, NO_SCALING)
    assert (lost == 0).float().mean() > 0.5 > (scaled == 0).float().mean()


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_an_iteration_in_half_precision_has_the_losses_of_full_precision(people, quick, precision):
    config = replace(quick, warmup=0.0, outer_lr=0.1, margin=10.0)  # wide: no hinge at rest
    exact, rough = (next(train(new_run(people, config, p))).losses for p in ("fp32", precision))
    for name, loss in exact.items():
        assert rough[name].dtype == torch.float32
        assert rough[name].item() == pytest.approx(loss.item(), rel=0.05, abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_a_meta_step_in_fp16_moves_rho_as_far_and_in_the_same_direction(people, quick, seed):
    """From the same weights: a base step before it would add its own rounding."""
    moves = []
    for precision in ("fp32", "fp16"):
        run = new_run(people, replace(quick, margin=10.0, seed=seed), precision)
        run.model.train()
        with autocast(run.device, precision):
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
    for name, parameter in run.model.named_parameters():
        assert parameter.isfinite().all()
        assert name.endswith("rho") or torch.equal(parameter, before[name])
    assert run.scaler.get_scale() == 2.0**29
