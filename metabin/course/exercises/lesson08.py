"""Exercises of lesson 08."""

import copy
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from metabin.analysis.gradient_signs import TwoChannels, two_channel_batch
from metabin.analysis.gradient_study import SEED, batches_of
from metabin.analysis.inner_step import inner_gradients
from metabin.course.answers import Exercise
from metabin.data.images import ImageSet
from metabin.experiments import lesson_streets
from metabin.experiments.pictures import figure5_network
from metabin.samplers import Batch


def _moved_step_by_step(rho: Tensor, gradient: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    new, ways = [], []
    for before, slope in zip(rho.tolist(), gradient.tolist(), strict=True):
        after = min(max(before - beta * slope, 0.0), 1.0)
        new.append(after)
        ways.append(float(after < before) - float(after > before))
    return torch.tensor(new), torch.tensor(ways)


INNER_MOVE = Exercise(
    _moved_step_by_step,
    {
        "in the middle": (torch.tensor([0.5, 0.5]), torch.tensor([0.2, -0.2]), 0.5),
        "at the ends": (torch.tensor([1.0, 0.0, 1.0]), torch.tensor([-3.0, 2.0, 1.0]), 0.1),
        "over the end": (torch.tensor([0.9, 0.1]), torch.tensor([-5.0, 5.0]), 1.0),
    },
    ("Eq. 9 subtracts the gradient", "the layer clamps to [0, 1]: who was at the end stays there"),
)


# ---- where scatter turns -------------------------------------------------------------


def style_slope(camera: float, offset: float) -> float:
    """Scatter's gradient in the style channel of the two-channel network at rho = 1."""
    gradients = inner_gradients(
        TwoChannels(offset=offset).train(), two_channel_batch(camera=camera)
    )
    return gradients["scatter"]["norm.rho"][0].item()


def _turning_by_trying(camera: float) -> float:
    """Step by step, finer and finer."""
    offset = 0.0
    for step in (1.0, 0.1, 0.01, 0.001, 0.0001):
        while style_slope(camera, offset + step) > 0:
            offset += step
    return offset


TURNING = Exercise(
    _turning_by_trying,
    {f"camera level {level}": (level,) for level in (4, 8, 16)},
    (
        "the slope is positive at offset 0 and negative at 20",
        "halve an interval whose ends have different signs, until it is short enough",
    ),
    tolerance=1e-3,
)


# ---- the bug hunt --------------------------------------------------------------------


@cache
def _sources() -> ImageSet:
    return lesson_streets().train_set()


@cache
def _network(moment: str) -> nn.Module:
    return figure5_network(moment, _sources())


@cache
def _batch() -> Batch:
    [(meta_train, _)] = batches_of(_sources(), 1, SEED)
    return meta_train


def on_a_network(function: Callable) -> Callable:
    """What a function finds at a moment of the training, and the running mean it leaves behind."""

    def measured(moment: str) -> tuple:
        network = copy.deepcopy(_network(moment)).train()
        return function(network, _batch()), network[0][0][1].running_mean

    return measured


def _by_the_package(extractor: nn.Module, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
    shares = {}
    for part, layers in inner_gradients(extractor, batch).items():
        gradient = torch.cat(list(layers.values()))
        shares[part] = ((gradient > 0).float().mean(), gradient.mean())
    return shares


MENDED_FIGURE = Exercise(
    on_a_network(_by_the_package),
    {moment: (moment,) for moment in ("start", "40 %")},
    (
        "which way does Eq. 9 move a channel whose gradient is positive?",
        "whose gradient does Eq. 6's centroid have?",
        "what does a forward pass in train mode move?",
    ),
    tolerance=1e-4,
    measured=on_a_network,
)
