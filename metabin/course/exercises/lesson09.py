"""Exercises of lesson 09: S styles, P pictures."""

from collections.abc import Callable

import torch

from metabin.analysis.rho import rho_distribution
from metabin.analysis.rho_study import operated, rho_of, rho_set, variance_shares
from metabin.course.answers import Exercise
from metabin.course.exercises.numbers import random_numbers
from metabin.networks.model import ReIDModel, build_model
from metabin.norm import balancing_parameters

BARS = Exercise(
    lambda layers, bins: rho_distribution(layers, bins).tolist(),
    {
        "one layer, two bins": ([torch.tensor([0.1, 0.2, 0.9, 1.0])], 2),
        "two layers": ([torch.tensor([0.0, 0.05]), torch.tensor([0.95, 1.0, 1.0])], 10),
        "five bins": ([random_numbers(8).sigmoid(), random_numbers(5, seed=1).sigmoid()], 5),
    },
    ("which part of [0, 1] does a number lie in, counted from 0?", "where does ρ = 1 fall?"),
)


def _patient() -> ReIDModel:
    """A network whose rho, all of them different, lie between 0.3 and 0.9."""
    model = build_model("bin", num_ids=2, seed=0)
    generator = torch.Generator().manual_seed(0)
    for rho in balancing_parameters(model.extractor).values():
        rho.data.uniform_(0.3, 0.9, generator=generator)
    return model.eval()


def _length(model: ReIDModel) -> float:
    """A number that depends on everything a network does."""
    return model.embed(random_numbers(6, 3, 32, 16).float()).norm().item()


def _bars_and_patient(bars: Callable) -> Callable:
    """What operations find, one series after the other in one patient, and its state afterwards."""

    def measured(series):
        model = _patient()
        found = [bars(model, _length) for _ in range(series)]
        return found, {name: value.clone() for name, value in model.state_dict().items()}

    return measured


def _package_bars(model: ReIDModel, score: Callable) -> dict[str, float]:
    found, own = {}, rho_of(model)
    for name in own:
        with rho_set(model, operated(own, torch.zeros_like, [name])):
            found[name] = score(model)
    return found


MENDED_BARS = Exercise(
    _bars_and_patient(_package_bars),
    {"one series": (1,), "the same patient again": (2,)},
    (
        "what is layer 3's ρ while layer 4 is operated on?",
        "whose statistics does BN use in train mode, and what does it do to the running ones?",
        "which ρ did the patient have before the operation?",
    ),
    measured=_bars_and_patient,
)


def _package_shares(values: list[list[float]], pids: list[int]) -> tuple[float, float]:
    shares = variance_shares(torch.tensor(values).double(), torch.tensor(pids))  # values (S, P)
    return shares["style"].item(), shares["identity"].item()


STYLE_AND_IDENTITY = Exercise(
    _package_shares,
    {
        "style alone": ([[1.0, 1.0, 1.0, 1.0], [3.0, 3.0, 3.0, 3.0]], [0, 0, 1, 1]),
        "identity alone": ([[1.0, 1.0, 5.0, 5.0], [1.0, 1.0, 5.0, 5.0]], [0, 0, 1, 1]),
        "noise, unequal people": (random_numbers(4, 6).tolist(), [0, 0, 0, 1, 1, 2]),
    },
    (
        "a style's mean is over all pictures, a person's over all styles and that person's pictures",
        "a person with three pictures counts three times",
    ),
)
