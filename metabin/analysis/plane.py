"""Features small enough to see: points in the plane, and where a loss pushes them (lesson 04)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Loss = Callable[[Tensor], Tensor]  # features (N, 2) -> scalar


def eighteen_points() -> tuple[Tensor, Tensor, Tensor]:
    """Three domains of two people with three images each: features (18, 2), pids, domains (18,).

    Domains lie around the origin at 80, 45 and 10 degrees, their people side by side, close enough
    to overlap. No two distances are equal: rounding would choose the hardest.
    """
    features = []
    for number in range(18):
        domain, person, image = number // 6, number // 3 % 2, number % 3
        angle = math.radians(80 - 35 * domain)
        turn = math.radians(120 * image + 40 * person + 70 * domain)
        across = (person - 0.5) * 0.8 + 0.3 * math.cos(turn)
        along = 2.6 + 0.4 * math.sin(turn) + 0.007 * number
        x = along * math.cos(angle) - across * math.sin(angle)
        y = along * math.sin(angle) + across * math.cos(angle)
        features.append([x, y])
    pids = torch.arange(18) // 3
    return torch.tensor(features), pids, pids // 2


def push(loss: Loss, features: Tensor) -> Tensor:
    """Where a small gradient step moves each of the features: minus the gradient, (N, D)."""
    features = features.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(features), features)
    return -gradient


def walk(loss: Loss, features: Tensor, steps: int, step_size: float) -> Tensor:
    """Plain gradient descent on the features: all positions, (steps + 1, N, D)."""
    path = [features]
    for _ in range(steps):
        path.append(path[-1] + step_size * push(loss, path[-1]))
    return torch.stack(path)
