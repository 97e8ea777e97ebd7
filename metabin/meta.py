"""The two alternating updates of Algorithm 1: the base step moves the weights, the meta-step moves rho alone.

Letters: theta_f are the extractor's weights, phi the classifier's, theta_rho the balancing parameters `rho`. The paper
calls the three step sizes alpha, beta and gamma; here they are `lr`, `inner_lr` and `outer_lr`, because beta and gamma
are also the affine parameters of Eq. 1.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metabin.losses import base_loss, meta_train_loss, triplet_loss
from metabin.norm import balancing_parameters, frozen_running_stats


class Batch(NamedTuple):
    """Images on the device with their labels: images (N, 3, H, W) float, pids (N,), domains (N,)."""

    images: Tensor
    pids: Tensor
    domains: Tensor


def base_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, label_smoothing: float = 0.1, margin: float = 0.3
) -> dict[str, Tensor]:
    """Update the weights theta_f and phi on a batch from all source domains (Eq. 5).

    The optimizer decides what moves: for MetaBIN it does not hold rho. Returns the losses, still on the device.
    """
    features, logits = model(batch.images)
    loss, parts = base_loss(features, logits, batch.pids, label_smoothing, margin)
    model.zero_grad()  # not only what the optimizer holds: rho has a gradient here too, and nobody else clears it
    loss.backward()
    optimizer.step()
    return {f"base/{name}": part.detach() for name, part in parts.items()}


def inner_step(
    extractor: nn.Module, rho: dict[str, Tensor], batch: Batch, inner_lr: float, margin: float = 0.3
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Move rho virtually, against the meta-train loss: rho' = rho - inner_lr * gradient (Eq. 9).

    Returns rho', which may leave [0, 1] (the layer clamps it), and the losses. Nothing in the model changes.
    First order: rho' does not remember how it came from rho.
    """
    with frozen_running_stats(extractor):
        features = functional_call(extractor, rho, batch.images)  # (N_S, D)
    loss, parts = meta_train_loss(features, batch.pids, batch.domains, margin)
    gradients = torch.autograd.grad(loss, list(rho.values()))
    moved = {name: (r - inner_lr * g).detach() for (name, r), g in zip(rho.items(), gradients, strict=True)}
    return moved, {f"meta_train/{name}": part.detach() for name, part in parts.items()}


def meta_step(
    extractor: nn.Module,
    meta_train: Batch,
    meta_test: Batch,
    inner_lr: float,
    outer_lr: float,
    margin: float = 0.3,
) -> dict[str, Tensor]:
    """Update rho so that the virtually moved rho' does well on domains it did not see (Eq. 10, Algorithm 1 lines 9-15).

    Only rho moves, and it stays in [0, 1]; weights, running statistics and the optimizer are untouched. No weight
    gradient is computed. Returns the losses, still on the device.
    """
    rho = balancing_parameters(extractor)
    if not rho:
        raise ValueError('the extractor has no balancing parameters: build it with norm="bin"')
    with frozen_running_stats(extractor):
        moved, losses = inner_step(extractor, rho, meta_train, inner_lr, margin)
        moved = {name: r.requires_grad_() for name, r in moved.items()}
        features = functional_call(extractor, moved, meta_test.images)  # (N_T, D)
        loss = triplet_loss(features, meta_test.pids, margin)
        gradients = torch.autograd.grad(loss, list(moved.values()))
    with torch.no_grad():
        for r, gradient in zip(rho.values(), gradients, strict=True):
            r.sub_(outer_lr * gradient).clamp_(0, 1)
    return losses | {"meta_test/triplet": loss.detach()}


def cyclic_inner_lr(progress: float, low: float, high: float, cycle: float) -> float:
    """The inner step size at `progress` in [0, 1) of the schedule: a triangle wave from low to high and back (Section 4.1).

    `cycle` is the period as a fraction of the schedule (the paper's 5 of 100 epochs are 0.05). low = high is the fixed
    inner step of Table 3.
    """
    phase = progress / cycle % 1.0
    return low + (high - low) * (1 - abs(2 * phase - 1))
