"""The balancing parameters of a network in few numbers, layer by layer."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metabin.norm import balancing_parameters


def rho_by_layer(rho: nn.Module | Sequence[Tensor]) -> list[Tensor]:
    """The balancing parameters (C,) of an extractor's layers, in [0, 1]; or a list of them."""
    layers = balancing_parameters(rho).values() if isinstance(rho, nn.Module) else rho
    return [layer.detach().clamp(0, 1) for layer in layers]


def rho_summary(rho: nn.Module | Sequence[Tensor]) -> Tensor:
    """Mean and quartiles of rho in each layer and, last, over all channels, as in Fig. 11.

    Of an extractor or of its layers' rho: (layers + 1, 4), columns mean, 25 %, 50 %, 75 %.
    """
    layers = rho_by_layer(rho)
    quartiles = torch.tensor([0.25, 0.5, 0.75], device=layers[0].device)
    rows = []
    for values in (*layers, torch.cat(layers)):
        rows.append(torch.cat([values.mean()[None], values.quantile(quartiles)]))
    return torch.stack(rows).cpu()  # (layers + 1, 4)


def rho_distribution(rho: nn.Module | Sequence[Tensor], bins: int = 10) -> Tensor:
    """The share of each layer's channels in each of `bins` parts of [0, 1], as in Figs. 4, 9, 10.

    Of an extractor or of its layers' rho: (layers, bins); rows sum to 1.
    """
    shares = [torch.histc(r.cpu(), bins, 0, 1) / len(r) for r in rho_by_layer(rho)]
    return torch.stack(shares)


def parts_of(shares: Sequence[Sequence[float]]) -> dict[str, list[float]]:
    """The share of each layer's channels that lean to IN and to BN, and that are almost one.

    `shares` (L, bins) are of `rho_distribution`. Leaning: rho below and above 0.5; almost: in the
    outermost bins.
    """
    half = len(shares[0]) // 2
    return {
        "to IN": [sum(row[:half]) for row in shares],
        "to BN": [sum(row[half:]) for row in shares],
        "almost IN": [row[0] for row in shares],
        "almost BN": [row[-1] for row in shares],
    }


def turns(means: Tensor, early: int) -> dict[str, Tensor]:
    """How a layer's mean rho changes up to the moment `early`, "first", and from there on, "later".

    means (seeds, moments, L) -> (seeds, L) each. A drop that rebounds is below 0 first and above 0
    later.
    """
    return {"first": means[:, early] - means[:, 0], "later": means[:, -1] - means[:, early]}
