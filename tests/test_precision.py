"""Half precision in a whole run: what is too small for it, and what overflows."""

from dataclasses import replace

import pytest
import torch

from metabin.meta import NO_SCALING, inner_step
from metabin.norm import balancing_parameters
from metabin.train import HALF, Run, join, train


def inner_gradient(run: Run, scaler: torch.amp.GradScaler) -> torch.Tensor:
    """What the inner step of a new run follows, of all layers, times 1e7."""
    extractor, rho = run.model.train().extractor, balancing_parameters(run.model.extractor)
    batch, half = join(run.meta_batches.draw()[:2]), HALF.get(run.precision)
    with torch.autocast("cpu", half, enabled=half is not None):
        moved, _ = inner_step(extractor, rho, batch, 1e7, run.criteria[0], scaler=scaler)
    return torch.cat([(rho[name] - moved[name]).detach() for name in rho])


def test_an_inner_gradient_too_small_for_fp16_survives_by_the_runs_scaling(people, quick):
    config = replace(quick, meta_train="0.0000001 triplet")  # fp16 begins at 6e-8
    full, half, unprotected = (Run(replace(config, precision=p), people, "cpu") for p in ("fp32", "fp16", "fp16"))
    expected, found = inner_gradient(full, full.scaler), inner_gradient(half, half.scaler)
    assert half.scaler.is_enabled() and not full.scaler.is_enabled()
    assert torch.cosine_similarity(found, expected, dim=0) > 0.98
    assert found.norm() == pytest.approx(expected.norm().item(), rel=0.1)
    lost = inner_gradient(unprotected, NO_SCALING)
    assert (lost == 0).float().mean() > 0.5 > (found == 0).float().mean()


def test_a_first_iteration_in_fp16_moves_rho_where_one_in_full_precision_does(people, quick):
    config = replace(quick, warmup=0.0, outer_lr=0.1, margin=10.0)  # wide: no hinge at rest
    full, half = (Run(replace(config, precision=p), people, "cpu") for p in ("fp32", "fp16"))
    half.scaler.load_state_dict(half.scaler.state_dict() | {"scale": 2.0**10})  # the first scale, 2^16, overflows here
    exact, rough = (next(train(run)).losses for run in (full, half))
    for name, loss in exact.items():
        assert rough[name].item() == pytest.approx(loss.item(), rel=0.05, abs=0.02)
    moved = [torch.cat(list(balancing_parameters(run.model).values())).detach() - 1 for run in (full, half)]
    assert torch.cosine_similarity(*moved, dim=0) > 0.7 and all(move.abs().max() > 0 for move in moved)


def test_an_overflow_skips_the_update_and_lowers_the_scale(people, quick):
    run = Run(replace(quick, precision="fp16"), people, "cpu")
    next(train(run))  # the scaler begins to work
    run.scaler.update(2.0**30)  # as if it had risen too far
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    next(train(run))
    assert all(torch.equal(p, before[name]) for name, p in run.model.named_parameters() if not name.endswith("rho"))
    assert run.scaler.get_scale() == 2.0**29
    assert all(p.isfinite().all() for p in run.model.parameters())
