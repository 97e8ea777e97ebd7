"""The two alternating updates of Algorithm 1: the base step moves the weights, the meta-step rho.

Letters: theta_f are the extractor's weights, phi the classifier's, theta_rho the balancing
parameters `rho`. The paper calls the three step sizes alpha, beta and gamma; here they are `lr`,
`inner_lr` and `outer_lr`, because beta and gamma are also the affine parameters of Eq. 1.

A `model` maps images (N, 3, H, W) to (features, logits), or to features alone where no loss needs
logits: Algorithm 1 may do with the extractor.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metabin.kernels.collectives import GradientScaler
from metabin.losses import BASE, META_TEST, META_TRAIN, Criterion
from metabin.norm import balancing_parameters, frozen_running_stats, normalized_by
from metabin.samplers import Batch

NO_SCALING = GradientScaler(enabled=False)  # only fp16 needs its gradients scaled
Losses = dict[str, Tensor]  # "phase/loss" -> scalar on the device, without gradient


@dataclass(frozen=True)
class MetaOptions:
    """How a meta-learned step is made; the defaults are the paper's.

    `order` 1 takes the gradient inside rho' for a constant; 2 differentiates it. `statistics` are
    those by which BN normalizes the meta-test batch: its "own", as in the paper, or the "source",
    the meta-train batch's, as at deployment. `control` turns a gradient of rho into the direction
    that rho follows instead, to find out whether the gradient matters.
    """

    base: Criterion = BASE  # where one episode moves everything: L_base
    meta_train: Criterion = META_TRAIN
    meta_test: Criterion = META_TEST
    order: int = 1
    statistics: str = "own"
    control: Callable[[Tensor], Tensor] | None = None
    scaler: GradientScaler = NO_SCALING


PAPER_OPTIONS = MetaOptions()
MLDG_OPTIONS = MetaOptions(meta_train=BASE, meta_test=BASE)


def base_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    criterion: Criterion = BASE,
    scaler: GradientScaler = NO_SCALING,
) -> Losses:
    """Move the weights on a batch of all source domains (Eq. 5; Algorithm 1, lines 3 and 6).

    What the optimizer holds moves: for MetaBIN all but rho. Returns the losses.
    """
    loss, parts = criterion(*_features_and_logits(model(batch.images)), batch)
    model.zero_grad()  # rho's gradient too, which the optimizer may not hold
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return _named("base", parts)


def inner_step(
    model: nn.Module,
    rho: dict[str, Tensor],
    batch: Batch,
    inner_lr: float,
    options: MetaOptions = PAPER_OPTIONS,
) -> tuple[dict[str, Tensor], Losses]:
    """Move rho virtually: rho' = rho - inner_lr * dL_mtr / drho (Eq. 9; Algorithm 1, lines 9, 12).

    Returns rho', which may leave [0, 1] (the layer clamps it), and the losses. The model stays as
    it is. `rho` may hold other parameters as well, by their names.
    """
    with frozen_running_stats(model):
        loss, parts = _loss_at(model, rho, batch, options.meta_train)
    second_order = options.order == 2
    gradients = options.scaler.gradients(loss, list(rho.values()), create_graph=second_order)
    moved = {
        name: parameter - inner_lr * gradient
        for (name, parameter), gradient in zip(rho.items(), gradients, strict=True)
    }
    return moved, _named("meta_train", parts)


def meta_gradient(
    model: nn.Module,
    meta_train: Batch,
    meta_test: Batch,
    inner_lr: float,
    options: MetaOptions = PAPER_OPTIONS,
) -> tuple[dict[str, Tensor], Losses]:
    """The gradient of the meta-test loss at rho', for each rho by name.

    Returns gradients (C,) and losses. The model stays as it is, and no weight gradient is
    computed. Raises ValueError when there is no rho.
    """
    rho = balancing_parameters(model)
    if not rho:
        raise ValueError('the model has no balancing parameters to move: build it with norm="bin"')
    moved, losses = inner_step(model, rho, meta_train, inner_lr, options)
    if options.statistics == "source":
        mode = normalized_by(model, lambda: functional_call(model, moved, meta_train.images))
    else:
        mode = frozen_running_stats(model)
    with mode:
        loss, parts = _loss_at(model, moved, meta_test, options.meta_test)
        gradients = options.scaler.gradients(loss, list(rho.values()))
    return dict(zip(rho, gradients, strict=True)), losses | _named("meta_test", parts)


def meta_step(
    model: nn.Module,
    meta_train: Batch,
    meta_test: Batch,
    inner_lr: float,
    outer_lr: float,
    options: MetaOptions = PAPER_OPTIONS,
) -> Losses:
    """Move rho so that rho' does well on unseen domains (Eq. 10; Algorithm 1, lines 13, 15).

    Only rho moves, and it stays in [0, 1]. Returns the losses.
    """
    gradients, losses = meta_gradient(model, meta_train, meta_test, inner_lr, options)
    with torch.no_grad():
        for name, rho in balancing_parameters(model).items():
            gradient = gradients[name]
            direction = options.control(gradient) if options.control else gradient
            rho.sub_(outer_lr * direction).clamp_(0, 1)
    return losses


def mldg_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    meta_train: Batch,
    meta_test: Batch,
    inner_lr: float,
    options: MetaOptions = MLDG_OPTIONS,
) -> Losses:
    """Move everything, rho included, in one episode: L_base(theta) + L_mte(theta') (MLDG [19]).

    theta' is theta after a virtual step against the meta-train loss. With L_mtr = L_base this is
    Li et al.'s MLDG, with Eq. 8 it is MetaBIN without episode separation (Table 4). The running
    statistics follow the meta-train batch. Returns the losses.
    """
    loss, parts = options.base(*_features_and_logits(model(meta_train.images)), meta_train)
    model.zero_grad()
    options.scaler.scale(loss).backward()
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    moved, losses = inner_step(model, parameters, meta_train, inner_lr, options)
    with frozen_running_stats(model):
        outer, outer_parts = _loss_at(model, moved, meta_test, options.meta_test)
    options.scaler.scale(outer).backward()  # adds to the base loss's gradients
    options.scaler.step(optimizer)
    options.scaler.update()
    clamp_rho(model)
    return _named("base", parts) | losses | _named("meta_test", outer_parts)


@torch.no_grad()
def clamp_rho(model: nn.Module) -> None:
    """Bring rho back into [0, 1], Eq. 1's range, after an optimizer's step."""
    for rho in balancing_parameters(model).values():
        rho.clamp_(0, 1)


def random_direction(gradient: Tensor, generator: torch.Generator) -> Tensor:
    """A random direction, as long as the gradient: a `control` of the meta-step."""
    random = torch.randn(gradient.shape, generator=generator, device=gradient.device)
    return random * (gradient.norm() / random.norm())


def cyclic_inner_lr(progress: float, low: float, high: float, cycle: float) -> float:
    """The inner step size at `progress` in [0, 1) of the schedule: a triangle wave (Section 4.1).

    It rises from low to high and falls back within `cycle`, a fraction of the schedule (the
    paper's 5 of 100 epochs are 0.05). low = high is the fixed inner step of Table 3.
    """
    phase = progress / cycle % 1.0
    return low + (high - low) * (1 - abs(2 * phase - 1))


def _loss_at(
    model: nn.Module, parameters: dict[str, Tensor], batch: Batch, criterion: Criterion
) -> tuple[Tensor, Losses]:
    """The criterion with these parameters in place of the model's; the others are constants."""
    constants = {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if name not in parameters
    }
    output = functional_call(model, constants | parameters, batch.images)
    return criterion(*_features_and_logits(output), batch)


def _features_and_logits(
    output: Tensor | tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor | None]:
    return output if isinstance(output, tuple) else (output, None)


def _named(phase: str, parts: Losses) -> Losses:
    return {f"{phase}/{name}": loss.detach() for name, loss in parts.items()}
