"""Exercises of lesson 06."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from metabin.course.answers import Exercise
from metabin.meta import meta_step
from metabin.networks.model import build_model
from metabin.norm import balancing_parameters
from metabin.samplers import Batch


def _swings_by_walking(iterations: int, cycle: float) -> tuple[int, int]:
    lengths = [n for n in range(1, iterations + 1) if n <= iterations * cycle + 1e-9]
    return lengths[-1], iterations // lengths[-1]


SWINGS = Exercise(
    _swings_by_walking,
    {
        "the paper": (184_900, 0.05),
        "the demo": (300, 0.05),
        "a long one": (1000, 0.4),
        "29 of 100": (100, 0.29),
    },
    (
        "the paper's swing is 9,245 iterations: its share of the schedule, rounded down",
        "what does Python make of 100 * 0.29?",
    ),
)


class TwoNumbers(nn.Module):
    """An extractor of two features with a rho for each: small enough for a pencil."""

    def __init__(self):
        super().__init__()
        self.rho = nn.Parameter(torch.tensor([0.5, 0.8]))

    def forward(self, images: Tensor) -> Tensor:
        return images * self.rho + images.square() * (1 - self.rho)  # (N, 2)


def _side(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(torch.randn(8, 2, generator=generator), torch.arange(8) // 2, torch.arange(8) % 2)


def _after_some_steps(step: Callable) -> Callable:
    """rho of TwoNumbers after some meta-steps, each on batches of its own."""

    def measured(steps, inner_lr=0.1, outer_lr=0.05):
        toy = TwoNumbers()
        for i in range(steps):
            step(toy, _side(2 * i), _side(2 * i + 1), inner_lr, outer_lr)
        return toy.rho

    return measured


STEP_WITHOUT_MEMORY = Exercise(
    _after_some_steps(meta_step),
    {
        "one step": (1,),
        "five steps": (5,),
        "a long inner step": (3, 1.0),
        "a long outer step": (3, 0.1, 5.0),
    },
    (
        "where does ρ stand when the meta-test gradient is applied?",
        "what does momentum add?",
        "how far may ρ go?",
    ),
    measured=_after_some_steps,
)


def _moved_by(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """By experiment: give every parameter a gradient, take a step, see which rho moved."""
    model, optimizer = copy.deepcopy((model, optimizer))
    before = {name: rho.detach().clone() for name, rho in balancing_parameters(model).items()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    after = balancing_parameters(model)
    return sorted(name for name, rho in after.items() if not torch.equal(rho, before[name]))


def _suspects() -> dict[str, tuple]:
    model = build_model("bin", 3, seed=0)
    weights, balances = [], []
    for name, parameter in model.named_parameters():
        (balances if name.endswith("rho") else weights).append(parameter)
    groups = [{"params": weights}, {"params": balances[:1]}]
    return {
        "the colleague's": (model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)),
        "weights alone": (model, torch.optim.SGD(weights, lr=0.05)),
        "one slipped in": (model, torch.optim.SGD(groups, lr=0.05)),
    }


WHO_MOVES_RHO = Exercise(
    _moved_by,
    _suspects(),
    (
        "optimizer.param_groups is a list of dicts; each holds its tensors under “params”",
        "the tensors themselves are there, without names: compare by id()",
    ),
)


def _in_32_bits(rho: Tensor, x: Tensor) -> Tensor:
    rho = rho.clone().requires_grad_()
    return torch.autograd.grad((rho * x).square().mean(), rho)[0]


def _to_the_true_gradient(gradient: Callable) -> Callable:
    """A gradient over the longest entry of the true one, and whether it was rounded on its way."""

    def measured(rho, x):
        result, true = gradient(rho, x), _in_32_bits(rho, x)
        rounded = not torch.allclose(result, true, rtol=1e-6, atol=0)
        return {"gradient": result / true.abs().max(), "taken in 16 bits": rounded}

    return measured


def _as_it_should_be(rho: Tensor, x: Tensor) -> dict:
    true = _in_32_bits(rho, x)
    return {"gradient": true / true.abs().max(), "taken in 16 bits": True}


_RHO = torch.tensor([0.5, 0.8])
_FEATURES = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))

FAINT_GRADIENT = Exercise(
    _as_it_should_be,
    {"ordinary features": (_RHO, _FEATURES), "faint features": (_RHO, 4e-4 * _FEATURES)},
    (
        "a scale on the loss scales every gradient behind it: how large may it be?",
        "where may the scale be taken off again?",
    ),
    tolerance=0.01,
    measured=_to_the_true_gradient,
)
