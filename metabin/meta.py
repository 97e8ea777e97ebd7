"""The two alternating updates of Algorithm 1: the base step moves the weights, the meta-step moves rho alone.

Letters: theta_f are the extractor's weights, phi the classifier's, theta_rho the balancing parameters `rho`. The paper
calls the three step sizes alpha, beta and gamma; here they are `lr`, `inner_lr` and `outer_lr`, because beta and gamma
are also the affine parameters of Eq. 1.

A `model` maps images (N, 3, H, W) to (features, logits), or to features alone where no loss needs logits: the extractor
without its classifier will do for Algorithm 1.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.func import functional_call

from metabin.losses import BASE, META_TEST, META_TRAIN, Criterion
from metabin.norm import balancing_parameters, frozen_running_stats, normalized_by


class Batch(NamedTuple):
    """Images on the device with their labels: images (N, 3, H, W) float, pids (N,), domains (N,)."""

    images: Tensor
    pids: Tensor
    domains: Tensor


NO_SCALING = GradScaler(enabled=False)  # only fp16 autocast needs its gradients scaled
Reduce = Callable[
    [Sequence[Tensor]], Sequence[Tensor]
]  # several processes go on with the mean of their gradients


def base_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    criterion: Criterion = BASE,
    scaler: GradScaler = NO_SCALING,
) -> dict[str, Tensor]:
    """Update the weights theta_f and phi on a batch from all source domains (Eq. 5; Algorithm 1, lines 3 and 6).

    The optimizer decides what moves: for MetaBIN it does not hold rho. Returns the losses, still on the device.
    """
    loss, parts = criterion(*_features_and_logits(model(batch.images)), batch)
    model.zero_grad()  # not only what the optimizer holds: rho has a gradient here too, and nobody else clears it
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return _named("base", parts)


def inner_step(
    model: nn.Module,
    rho: dict[str, Tensor],
    batch: Batch,
    inner_lr: float,
    criterion: Criterion = META_TRAIN,
    order: int = 1,
    scaler: GradScaler = NO_SCALING,
    reduce: Reduce = tuple,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Move rho virtually, rho' = rho - inner_lr * gradient of the meta-train loss (Eq. 9; Algorithm 1, lines 9 and 12).

    Returns rho', which may leave [0, 1] (the layer clamps it), and the losses. Nothing in the model changes. First order:
    to a derivative of rho', the gradient is a constant. `rho` may hold any other parameters as well, by their names.
    """
    with frozen_running_stats(model):
        loss, parts = _loss_at(model, rho, batch, criterion)
    gradients = _gradients(loss, rho, scaler, reduce, create_graph=order == 2)
    moved = {name: r - inner_lr * g for (name, r), g in zip(rho.items(), gradients, strict=True)}
    return moved, _named("meta_train", parts)


def meta_step(
    model: nn.Module,
    meta_train: Batch,
    meta_test: Batch,
    inner_lr: float,
    outer_lr: float,
    criteria: tuple[Criterion, Criterion] = (META_TRAIN, META_TEST),
    order: int = 1,
    statistics: str = "own",
    control: Callable[[Tensor], Tensor] | None = None,
    scaler: GradScaler = NO_SCALING,
    reduce: Reduce = tuple,
) -> dict[str, Tensor]:
    """Update rho so that rho' does well on domains that it did not see (Eq. 10; Algorithm 1, lines 13 and 15).

    Only rho moves, and it stays in [0, 1]; weights, running statistics and the optimizer are untouched. No weight
    gradient is computed. By whose `statistics` BN normalizes the meta-test batch: its "own", as the paper does, or the
    "source", the meta-train batch's at rho', as at deployment, where BN knows the sources alone. `control`, if given, turns
    each layer's gradient into what rho follows instead, to find out whether the gradient matters. Returns the losses, still
    on the device. Raises ValueError when there is no rho.
    """
    rho = balancing_parameters(model)
    if not rho:
        raise ValueError('the model has no balancing parameters to move: build it with norm="bin"')
    moved, losses = inner_step(model, rho, meta_train, inner_lr, criteria[0], order, scaler, reduce)
    if statistics == "source":
        mode = normalized_by(model, lambda: functional_call(model, moved, meta_train.images))
    else:
        mode = frozen_running_stats(model)
    with mode:
        loss, parts = _loss_at(model, moved, meta_test, criteria[1])
        gradients = _gradients(loss, rho, scaler, reduce)
    with torch.no_grad():
        for r, gradient in zip(rho.values(), gradients, strict=True):
            r.sub_(outer_lr * (control(gradient) if control else gradient)).clamp_(0, 1)
    return losses | _named("meta_test", parts)


def mldg_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    meta_train: Batch,
    meta_test: Batch,
    inner_lr: float,
    base: Criterion = BASE,
    criteria: tuple[Criterion, Criterion] = (BASE, BASE),
    order: int = 1,
    scaler: GradScaler = NO_SCALING,
    reduce: Reduce = tuple,
) -> dict[str, Tensor]:
    """Update everything in one episode, rho included: L_base(theta) + L_mte(theta') (MLDG [19], Table 4).

    theta' is theta after a virtual step against the meta-train loss; with L_mtr = L_base it is Li et al.'s MLDG, with
    Eq. 8 it is MetaBIN without episode separation. The running statistics follow the meta-train batch. Returns the losses.
    """
    loss, parts = base(*_features_and_logits(model(meta_train.images)), meta_train)
    model.zero_grad()
    scaler.scale(loss).backward()
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    moved, losses = inner_step(
        model, parameters, meta_train, inner_lr, criteria[0], order, scaler, reduce
    )
    with frozen_running_stats(model):
        outer, outer_parts = _loss_at(model, moved, meta_test, criteria[1])
    scaler.scale(outer).backward()  # adds to the base loss's gradients
    scaler.step(optimizer)
    scaler.update()
    clamp_rho(model)
    return _named("base", parts) | losses | _named("meta_test", outer_parts)


@torch.no_grad()
def clamp_rho(model: nn.Module) -> None:
    """Bring rho back into [0, 1], Eq. 1's range, after an optimizer's step."""
    for rho in balancing_parameters(model).values():
        rho.clamp_(0, 1)


def random_direction(gradient: Tensor, generator: torch.Generator) -> Tensor:
    """A control for `meta_step`: a random direction, as long as the gradient."""
    random = torch.randn(gradient.shape, generator=generator, device=gradient.device)
    return random * (gradient.norm() / random.norm())


def cyclic_inner_lr(progress: float, low: float, high: float, cycle: float) -> float:
    """The inner step size at `progress` in [0, 1) of the schedule: a triangle wave from low to high and back (Section 4.1).

    `cycle` is the period as a fraction of the schedule (the paper's 5 of 100 epochs are 0.05). low = high is the fixed
    inner step of Table 3.
    """
    phase = progress / cycle % 1.0
    return low + (high - low) * (1 - abs(2 * phase - 1))


def _loss_at(model: nn.Module, parameters: dict[str, Tensor], batch: Batch, criterion: Criterion):
    """The criterion with these parameters in the place of the model's own; the others are constants to its gradient."""
    constants = {name: p.detach() for name, p in model.named_parameters() if name not in parameters}
    return criterion(
        *_features_and_logits(functional_call(model, constants | parameters, batch.images)), batch
    )


def _features_and_logits(output: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor | None]:
    return output if isinstance(output, tuple) else (output, None)


def _gradients(
    loss: Tensor, parameters: dict, scaler: GradScaler, reduce: Reduce, create_graph: bool = False
):
    """Gradients of a loss; in fp16 of the scaled loss, so that none is rounded to zero, and none where one overflowed."""
    gradients = torch.autograd.grad(
        scaler.scale(loss),
        list(parameters.values()),
        create_graph=create_graph,
        materialize_grads=True,
    )
    if not scaler.is_enabled():
        return reduce(gradients)
    scale = scaler.scale(
        torch.ones_like(loss)
    )  # unlike get_scale(), this asks the device for no value
    return reduce([torch.where(g.isfinite(), g / scale, 0.0) for g in gradients])


def _named(phase: str, parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{phase}/{name}": part.detach() for name, part in parts.items()}
