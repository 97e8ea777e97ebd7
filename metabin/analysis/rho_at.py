"""A network at another rho: its values set and put back, or its statistics collected anew."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from metabin.networks.model import ReIDModel
from metabin.norm import balancing_parameters

Rho = Mapping[str, Tensor]  # by name, (C,) each


def rho_of(model: ReIDModel) -> dict[str, Tensor]:
    """The balancing parameters of a network as they are now, (C,) each, from picture to feature."""
    rho = balancing_parameters(model.extractor)
    return {name: values.detach().clone() for name, values in rho.items()}


@torch.no_grad()
def _set_rho(model: ReIDModel, values: Rho) -> None:
    rho = balancing_parameters(model.extractor)
    for name, value in values.items():
        rho[name].copy_(value)


@contextmanager
def rho_set(model: ReIDModel, rho: Rho) -> Iterator[ReIDModel]:
    """Inside, the model has this rho; afterwards its own again. ValueError for names it hasn't."""
    before = rho_of(model)
    if unknown := rho.keys() - before.keys():
        raise ValueError(
            f"no balancing parameters {', '.join(sorted(unknown))}: choose of {', '.join(before)}"
        )
    try:
        _set_rho(model, rho)
        yield model
    finally:
        _set_rho(model, before)


def average_all_batches(model: nn.Module) -> None:
    """Let running statistics begin anew and be the plain means over all batches."""
    for layer in model.modules():
        if getattr(layer, "running_mean", None) is not None:
            layer.reset_running_stats()
            layer.momentum = None


@torch.no_grad()
def settled(model: ReIDModel, rho: Rho, batches: Iterable[Tensor]) -> ReIDModel:
    """A copy with another rho whose running statistics, the neck's too, are means over batches.

    Those that a network has gathered belong to its own rho. Batches (N, 3, H, W) are of normalized
    images; no weight moves.
    """
    changed = copy.deepcopy(model).train()
    _set_rho(changed, rho)
    average_all_batches(changed)
    for images in batches:
        changed.embed(images)
    return changed.eval()
