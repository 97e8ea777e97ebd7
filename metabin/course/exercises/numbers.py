"""What the cases of several lessons are made of."""

import torch
from torch import Tensor

from metabin.norm import BatchInstanceNorm2d


def random_numbers(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def layer_with(**values: float) -> BatchInstanceNorm2d:
    """A layer of one channel in eval mode, whose affine pairs are 1 and 0."""
    layer = BatchInstanceNorm2d(1, eps=1e-12).double().eval()
    named = {name: torch.tensor([value]).double() for name, value in values.items()}
    layer.load_state_dict(layer.state_dict() | named)
    return layer
