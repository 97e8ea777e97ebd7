"""Exercises of lesson 02: N images, C channels, D feature channels."""

import torch
from torch import Tensor

from metabin.course.answers import Exercise
from metabin.course.exercises.numbers import layer_with, random_numbers


def _mean_and_spread(value, spread, mu, var, rho) -> tuple[float, float]:
    layer = layer_with(running_mean=mu, running_var=var, rho=rho)
    pixels = layer(torch.tensor([[[[value - spread, value + spread]]]]).double())
    return pixels.mean().item(), pixels.std(correction=0).item()


MEAN_AND_SPREAD = Exercise(
    _mean_and_spread,
    {
        "pure BN": (3.0, 1.0, 1.0, 4.0, 1.0),
        "pure IN": (3.0, 1.0, 1.0, 4.0, 0.0),
        "mixed": (-2.0, 0.5, 0.5, 9.0, 0.3),
        "of strong contrast": (1.0, 5.0, 0.0, 4.0, 0.6),
    },
    (
        "what are mean and deviation of IN's response, whatever the picture?",
        "both responses rise with the pixel's value, so that their deviations add up",
    ),
)


def _separation(y: Tensor, people: list[int]) -> Tensor:
    who = torch.tensor(people)
    centres = torch.stack([y[who == person].mean(0) for person in (0, 1)])  # (2, D)
    return (centres[0] - centres[1]).norm() / (y - centres[who]).norm(dim=1).mean()


SEPARATION = Exercise(
    _separation,
    {
        "three pictures of each": (random_numbers(6, 4), [0, 1] * 3),
        "one picture of person 1": (random_numbers(5, 4, seed=1), [0, 0, 1, 0, 0]),
        "five pictures and two": (random_numbers(7, 4, seed=2), [0, 1, 0, 0, 1, 0, 0]),
    },
    ("two centres come first", "every picture has one distance, and all pictures count alike"),
)


def _channel_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    values = x.transpose(0, 1).flatten(1)  # (C, N * H * W)
    return values.mean(1), values.var(1, correction=0)


CHANNEL_STATISTICS = Exercise(
    _channel_statistics,
    {"one channel": (torch.arange(8.0).view(2, 1, 2, 2),), "random": (random_numbers(5, 3, 4, 2),)},
    ("over which three dimensions does BN average?", "BN divides by the count, not count − 1"),
)
