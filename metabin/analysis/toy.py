"""Networks small enough for a pencil, and the meta-step in its plain form (lesson 05)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metabin.losses import BASE, META_TEST, META_TRAIN, Criterion
from metabin.meta import MetaOptions, inner_step, meta_step
from metabin.norm import BatchInstanceNorm2d, frozen_running_stats
from metabin.samplers import Batch

NO_IMAGES = Batch(None, None, None)


def plain_meta_step(
    rho: Tensor, L_mtr: Callable, L_mte: Callable, inner_lr: float, outer_lr: float
) -> Tensor:
    """`meta.meta_step` in its plain form: rho is one vector, and each loss is a function of it."""
    [slope] = torch.autograd.grad(L_mtr(rho), rho)
    virtual = rho - inner_lr * slope  # Eq. 9: rho', which is used once and forgotten
    [slope] = torch.autograd.grad(L_mte(virtual), rho)
    return (rho - outer_lr * slope).detach().clamp(0, 1)  # Eq. 10: from rho, not from rho'


# ---- one rho -------------------------------------------------------------------------


class Toy(nn.Module):
    """A network that is one balancing parameter: its feature is rho, a loss is a curve over rho."""

    def __init__(self, rho: float):
        super().__init__()
        self.rho = nn.Parameter(torch.tensor([rho], dtype=torch.float64))

    def forward(self, images: Tensor | None = None) -> Tensor:
        return self.rho


def parabola(lowest: float, curvature: float) -> Callable:
    """A criterion for the toy: curvature / 2 * (rho - lowest)^2."""

    def criterion(features: Tensor, logits: Tensor | None = None, batch: Batch = NO_IMAGES):
        loss = curvature / 2 * (features - lowest).square().sum()
        return loss, {"parabola": loss}

    return criterion


TOY_TRAIN = parabola(lowest=0.2, curvature=1.0)  # stands for L_mtr: it pulls toward IN
TOY_TEST = parabola(lowest=0.5, curvature=4.0)  # stands for L_mte
CURVES = TOY_TRAIN, TOY_TEST


@dataclass(frozen=True)
class ToyStep:
    """One meta-step of the toy: rho, rho', rho after; slopes of L_mtr at rho, L_mte at rho'."""

    rho: float
    virtual: float
    after: float
    slope_train: float
    slope_test: float
    criteria: tuple[Callable, Callable]

    def losses(self, at: Tensor) -> tuple[list[float], list[float]]:
        """L_mtr and L_mte at some values of rho."""
        train, test = self.criteria
        return [train(rho)[0].item() for rho in at], [test(rho)[0].item() for rho in at]


def toy_step(
    rho: float, inner_lr: float, outer_lr: float, order: int = 1, criteria=CURVES
) -> ToyStep:
    """One meta-step of the package on the toy, with all that happens on the way."""
    toy, options = Toy(rho), _options(order, criteria)
    moved, _ = inner_step(toy, {"rho": toy.rho}, NO_IMAGES, inner_lr, options)
    virtual = moved["rho"].detach().requires_grad_()
    slopes = []
    for criterion, at in zip(criteria, (toy.rho, virtual), strict=True):
        [slope] = torch.autograd.grad(criterion(at)[0], at)
        slopes.append(slope.item())
    meta_step(toy, NO_IMAGES, NO_IMAGES, inner_lr, outer_lr, options)
    return ToyStep(rho, virtual.item(), toy.rho.item(), *slopes, criteria)


def toy_walk(
    rho: float, steps: int, inner_lr: float, outer_lr: float, order: int = 1, criteria=CURVES
) -> list[float]:
    """rho before and after each of some meta-steps of the package on the toy."""
    toy, values, options = Toy(rho), [rho], _options(order, criteria)
    for _ in range(steps):
        meta_step(toy, NO_IMAGES, NO_IMAGES, inner_lr, outer_lr, options)
        values.append(toy.rho.item())
    return values


def _options(order: int, criteria: tuple[Callable, Callable]) -> MetaOptions:
    return MetaOptions(meta_train=criteria[0], meta_test=criteria[1], order=order)


# ---- two layers ----------------------------------------------------------------------


class Tiny(nn.Module):
    """Two BIN layers and a classifier in float64: random affine pairs, rho between 0.3 and 0.7."""

    def __init__(self, num_ids: int = 4):
        super().__init__()
        first = nn.Conv2d(3, 4, 1), BatchInstanceNorm2d(4), nn.Tanh()
        second = nn.Conv2d(4, 3, 1), BatchInstanceNorm2d(3), nn.Tanh()
        self.extractor = nn.Sequential(*first, *second, nn.Flatten())
        self.classifier = nn.Linear(36, num_ids)
        for name, parameter in self.double().named_parameters():
            if name.endswith("rho"):
                nn.init.uniform_(parameter, 0.3, 0.7)
            else:
                nn.init.normal_(parameter)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.extractor(images)  # (N, 36)
        return features, self.classifier(features)


def tiny_batch(seed: int) -> Batch:
    """Four people in two domains, two random pictures each."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(8, 3, 4, 3, generator=generator, dtype=torch.float64)
    return Batch(images, torch.arange(8) // 2, torch.arange(8) // 4)


def letters_of(model: Tiny) -> list[dict[str, Tensor]]:
    """theta_f, theta_rho and phi: the parameters of each by their names."""
    theta_f, rho, phi = {}, {}, {}
    for name, parameter in model.named_parameters():
        if name.startswith("classifier."):
            phi[name] = parameter
        elif name.endswith(".rho"):
            rho[name] = parameter
        else:
            theta_f[name] = parameter
    return [theta_f, rho, phi]


def vectors(model: Tiny) -> list[Tensor]:
    """theta_f, theta_rho and phi as a vector each, without gradient."""
    return [nn.utils.parameters_to_vector(part.values()).detach() for part in letters_of(model)]


def loss_at(model: Tiny, batch: Batch, criterion: Criterion, letters: Sequence[Tensor]) -> Tensor:
    """A loss with these vectors for theta_f, theta_rho and phi. The model stays as it is."""
    parameters = {}
    for part, vector in zip(letters_of(model), letters, strict=True):
        pieces = vector.split([parameter.numel() for parameter in part.values()])
        for (name, parameter), piece in zip(part.items(), pieces, strict=True):
            parameters[name] = piece.view_as(parameter)
    with frozen_running_stats(model):
        output = functional_call(model, parameters, batch.images)
    return criterion(*output, batch)[0]


def losses_of(
    model: Tiny, base: Batch, meta_train: Batch, meta_test: Batch
) -> tuple[Callable, Callable, Callable]:
    """L_base(theta_f, rho, phi), L_mtr(rho) and L_mte(rho) as functions of vectors."""
    theta_f, _, phi = vectors(model)
    return (
        lambda *letters: loss_at(model, base, BASE, letters),
        lambda rho: loss_at(model, meta_train, META_TRAIN, (theta_f, rho, phi)),
        lambda rho: loss_at(model, meta_test, META_TEST, (theta_f, rho, phi)),
    )
