"""Exercises of lesson 03: N images, C channels, H x W pixels."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call

from metabin.course.answers import Exercise
from metabin.course.exercises.numbers import layer_with, random_numbers
from metabin.norm import BatchInstanceNorm2d


def _rho_by_least_squares(x: Tensor, y: Tensor, mean: float, std: float) -> float:
    batch, instance = (x - mean) / std, (x - x.mean()) / x.std(correction=0)
    gap = (batch - instance).view(-1, 1)
    return torch.linalg.lstsq(gap, (y - instance).view(-1, 1)).solution.item()


def _image_and_response(
    mean_n: float, std_n: float, rho: float
) -> tuple[Tensor, Tensor, float, float]:
    """An image's channel of given mean and deviation, and a layer's response; the batch's pair."""
    mean, std = 1.0, 2.0
    x = random_numbers(3, 2)
    x = mean_n + std_n * (x - x.mean()) / x.std(correction=0)
    layer = layer_with(running_mean=mean, running_var=std**2, rho=rho)
    return x, layer(x[None, None])[0, 0].detach(), mean, std


RHO_READ_OFF = Exercise(
    _rho_by_least_squares,
    {
        "a dark image": _image_and_response(-3.0, 0.5, 0.3),
        "as bright as the batch": _image_and_response(1.0, 3.0, 0.7),
        "of the batch's contrast": _image_and_response(4.0, 2.0, 0.9),
    },
    (
        "write down what BN alone and IN alone make of x",
        "y is IN's response and ρ times the gap to BN's",
        "pixels without a gap say nothing: weigh the pixels by their gaps",
    ),
    tolerance=1e-4,
)


def _package_bin(x: Tensor, rho: Tensor, running_var: Tensor) -> tuple[Tensor, Tensor]:
    layer = BatchInstanceNorm2d(x.shape[1]).double()
    layer.running_var.copy_(running_var)
    return functional_call(layer, {"rho": rho}, x), layer.running_var


def _output_and_gradient(function: Callable) -> Callable:
    """What a layer's function gives, and how it differentiates."""

    def measured(x, rho):
        rho = rho.requires_grad_()
        y, running_var = function(x, rho, torch.ones_like(rho).detach())
        (gradient,) = torch.autograd.grad(y, rho, x)
        return {"output": y, "running variance": running_var, "gradient of rho": gradient}

    return measured


# No two sizes are equal: a missing view would broadcast without a word.
_IMAGES = 3 * random_numbers(6, 3, 8, 4) + random_numbers(6, 3, 1, 1, seed=1)

MENDED_BIN = Exercise(
    _output_and_gradient(_package_bin),
    {
        "rho within [0, 1]": (_IMAGES, torch.tensor([0.3, 0.8, 0.1]).double()),
        "rho beyond it": (_IMAGES, torch.tensor([0.3, 1.2, -0.1]).double()),
    },
    (
        "the output: does the batch's variance hold what lies between the images?",
        "the running variance: which divisor does PyTorch's own BN use for it?",
        "the gradient: which clamp lets it through beyond the edge?",
    ),
    measured=_output_and_gradient,
)


def _from_two_sums(function: Callable) -> Callable:
    """A function of what the backward pass knows as one of an image batch and dy."""

    def measured(x, dy, *affine):
        means, variances = x.mean((2, 3)), x.var((2, 3), correction=0)  # (N, C) each
        dots = (dy * (x - means[..., None, None])).sum((2, 3))  # (N, C)
        return function(dy.sum((2, 3)), dots, means, variances, *affine)

    return measured


def _package_gradient(x, dy, gamma_B, beta_B, gamma_I, beta_I) -> Tensor:
    layer = BatchInstanceNorm2d(x.shape[1]).double()
    values = {"weight": gamma_B, "bias": beta_B, "in_weight": gamma_I, "in_bias": beta_I}
    layer.load_state_dict(layer.state_dict() | values)
    return torch.autograd.grad(layer(x), layer.rho, dy)[0]


_DY, _AFFINE = random_numbers(6, 3, 8, 4, seed=2), random_numbers(4, 3, seed=3)

RHO_GRADIENT = Exercise(
    _package_gradient,
    {
        "pairs of 1 and 0": (_IMAGES, _DY, *torch.tensor([[1.0], [0.0]] * 2).double().expand(4, 3)),
        "random pairs": (_IMAGES, _DY, *_AFFINE),
    },
    (
        "ρ's gradient sums dy times the gap: the branches can be summed one by one",
        "x − mean = (x − μₙ) + (μₙ − mean), and the second part is the same for a whole image",
    ),
    measured=_from_two_sums,
)
