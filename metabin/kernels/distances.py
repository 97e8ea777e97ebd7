"""Euclidean distances between all rows, with a gradient that needs no (N, N, D) differences."""

import torch
from torch import Tensor


def all_distances(features: Tensor) -> Tensor:
    """Distances between all rows: features (N, D) -> (N, N).

    They are built from differences, not from the Gram matrix, whose cancellation costs several
    per cent on features with an offset. The gradient at distance zero is zero, not NaN, to any
    order.
    """
    return _Distances.apply(features)  # (N, N)


class _Distances(torch.autograd.Function):
    """The gradient of row i, sum_j s_ij (x_i - x_j), is a product of matrices."""

    @staticmethod
    def forward(features):
        return torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx, gradient):
        features, distances = ctx.saved_tensors
        apart = distances > 0
        slopes = (gradient + gradient.T) * apart / torch.where(apart, distances, 1.0)  # (N, N)
        # An offset would cancel in the difference below only up to rounding.
        centred = features - features.detach().mean(0)
        return slopes.sum(1, keepdim=True) * centred - slopes @ centred  # (N, D)
