"""The normalizations that are compared: what each layer computes, and where a method places it."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from metabin.norm import BatchInstanceNorm2d

# What: each rule turns a BatchNorm2d into the layer that takes its place.


def batch_norm(bn: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """BN: the layer as it is."""
    return bn


def instance_norm(bn: nn.BatchNorm2d) -> nn.InstanceNorm2d:
    """IN with an affine pair that starts from the BN's (Ulyanov et al., [40])."""
    layer = nn.InstanceNorm2d(bn.num_features, bn.eps, affine=True).to(bn.weight)
    layer.load_state_dict({"weight": bn.weight, "bias": bn.bias})
    return layer.train(bn.training)


class HalfNorm2d(nn.Module):
    """BN on the first half of the channels, IN on the rest, as IBN-Net's IBN-a splits them (Pan et al., ECCV 2018)."""

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1):
        super().__init__()
        self.sizes = num_features // 2, num_features - num_features // 2
        self.batch = nn.BatchNorm2d(self.sizes[0], eps, momentum)
        self.instance = nn.InstanceNorm2d(self.sizes[1], eps, affine=True)

    @classmethod
    def from_batch_norm(cls, bn: nn.BatchNorm2d) -> "HalfNorm2d":
        """Both halves start from the BN's affine pair, the BN half from its running statistics as well."""
        layer = cls(bn.num_features, bn.eps, bn.momentum).to(bn.weight)
        first, rest = layer.sizes
        values = bn.state_dict()
        layer.batch.load_state_dict({key: v[:first] if v.dim() else v for key, v in values.items()})
        layer.instance.load_state_dict({key: values[key][-rest:] for key in ("weight", "bias")})
        return layer.train(bn.training)

    def forward(self, x: Tensor) -> Tensor:
        first, rest = x.split(self.sizes, dim=1)  # (N, C // 2, H, W), (N, C - C // 2, H, W)
        return torch.cat((self.batch(first), self.instance(rest)), dim=1)  # (N, C, H, W)


# Where: each rule names the layers of a model that a method replaces; the others stay BN.


def everywhere(model: nn.Module) -> Iterable[str]:
    """Every BatchNorm2d of the model."""
    return [name for name, module in model.named_modules(remove_duplicate=False) if type(module) is nn.BatchNorm2d]


# One line a method: what it computes, and where.
NORMS: dict[str, tuple[Callable[[nn.BatchNorm2d], nn.Module], Callable[[nn.Module], Iterable[str]]]] = {
    "bn": (batch_norm, everywhere),
    "in": (instance_norm, everywhere),
    "half": (HalfNorm2d.from_batch_norm, everywhere),
    "bin": (BatchInstanceNorm2d.from_batch_norm, everywhere),
}


def convert_norm(model: nn.Module, norm: str) -> nn.Module:
    """Put the normalization `norm` (a key of NORMS) in the place of the model's BatchNorm2d layers; returns the model.

    Affine pairs, statistics, device, dtype and mode are carried over; a layer that sits in two places stays one layer.
    Raises ValueError for an unknown name, and for a model without a BatchNorm2d (converted before, perhaps).
    """
    if norm not in NORMS:
        raise ValueError(f"unknown norm {norm!r}: choose one of {', '.join(NORMS)}")
    if not everywhere(model):
        raise ValueError("the model has no BatchNorm2d layer to convert: build it with BatchNorm2d and convert it once")
    what, where = NORMS[norm]
    places = {name: model.get_submodule(name) for name in where(model)}
    layers = {bn: what(bn) for bn in places.values()}
    for name, bn in places.items():
        model.set_submodule(name, layers[bn])
    return model
