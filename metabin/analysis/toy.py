"""A network with a single rho and two parabolas for losses: the meta-step as a pencil can follow it (lesson 05)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metabin.meta import Batch, inner_step, meta_step

NO_IMAGES = Batch(None, None, None)


class Toy(nn.Module):
    """A network that is one balancing parameter and nothing else: its feature is rho, so that a loss is a curve over rho."""

    def __init__(self, rho: float):
        super().__init__()
        self.rho = nn.Parameter(torch.tensor([rho], dtype=torch.float64))

    def forward(self, images: Tensor | None = None) -> Tensor:
        return self.rho


def parabola(lowest: float, curvature: float) -> Callable:
    """A criterion for the toy: curvature / 2 * (rho - lowest)^2. A layer is linear in rho, so a squared error looks so."""

    def criterion(features: Tensor, logits: Tensor | None = None, batch: Batch = NO_IMAGES):
        loss = curvature / 2 * (features - lowest).square().sum()
        return loss, {"parabola": loss}

    return criterion


TOY_TRAIN = parabola(lowest=0.2, curvature=1.0)  # stands for L_mtr: it pulls toward IN
TOY_TEST = parabola(lowest=0.5, curvature=4.0)  # stands for L_mte


@dataclass(frozen=True)
class ToyStep:
    """One meta-step of the toy: where it stood, rho', where it ended, and the slopes of L_mtr at rho and of L_mte at rho'."""

    rho: float
    virtual: float
    after: float
    slope_train: float
    slope_test: float
    criteria: tuple[Callable, Callable]

    def losses(self, at: Tensor) -> tuple[list[float], list[float]]:
        """L_mtr and L_mte at some values of rho."""
        return tuple([criterion(value)[0].item() for value in at] for criterion in self.criteria)


def toy_step(
    rho: float, inner_lr: float, outer_lr: float, order: int = 1, criteria=(TOY_TRAIN, TOY_TEST)
) -> ToyStep:
    """One meta-step of the package on the toy, with all that happens on the way."""
    toy = Toy(rho)
    moved, _ = inner_step(toy, {"rho": toy.rho}, NO_IMAGES, inner_lr, criteria[0])
    virtual = moved["rho"].detach().requires_grad_()
    slopes = [
        torch.autograd.grad(c(at)[0], at)[0].item()
        for c, at in zip(criteria, (toy.rho, virtual), strict=True)
    ]
    meta_step(toy, NO_IMAGES, NO_IMAGES, inner_lr, outer_lr, criteria, order)
    return ToyStep(rho, virtual.item(), toy.rho.item(), *slopes, criteria)


def toy_walk(
    rho: float,
    steps: int,
    inner_lr: float,
    outer_lr: float,
    order: int = 1,
    criteria=(TOY_TRAIN, TOY_TEST),
) -> list[float]:
    """rho before and after each of some meta-steps of the package on the toy."""
    toy, values = Toy(rho), [rho]
    for _ in range(steps):
        meta_step(toy, NO_IMAGES, NO_IMAGES, inner_lr, outer_lr, criteria, order)
        values.append(toy.rho.item())
    return values
