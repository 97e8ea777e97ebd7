"""What the layers share that use statistics of the batch and of each image."""

from typing import Self

import torch
from torch import Tensor, nn


class MixedNorm2d(nn.BatchNorm2d):
    """Base class for norms that mix batch and instance statistics.

    Copies a BatchNorm2d, updates running statistics, checks input.
    """

    @classmethod
    def from_batch_norm(cls, bn: nn.BatchNorm2d) -> Self:
        """A layer with the affine pair and running statistics of `bn`; the rest is at its start."""
        if bn.weight is None or bn.running_mean is None:
            raise ValueError(
                "from_batch_norm needs a BatchNorm2d with affine=True and track_running_stats=True"
            )
        layer = cls(bn.num_features, bn.eps, bn.momentum).to(bn.weight)
        layer.load_state_dict(layer.state_dict() | bn.state_dict())
        return layer.train(bn.training)

    @torch.no_grad()
    def update_running_stats(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Move the running statistics toward a batch's mean and biased variance, (C,) each.

        `count` is the number of values a channel has in the batch.
        """
        self.num_batches_tracked.add_(1)
        if self.momentum is None:
            share = 1 / self.num_batches_tracked.to(mean.dtype)
        else:
            share = self.momentum
        unbiased = var * (count / (count - 1))
        self.running_mean.copy_(self.running_mean + share * (mean - self.running_mean))
        self.running_var.copy_(self.running_var + share * (unbiased - self.running_var))

    def check_input(self, x: Tensor) -> None:
        """Raise TypeError or ValueError for images that the layer cannot normalize."""
        shape = tuple(x.shape)
        if not x.is_floating_point():
            raise TypeError(
                f"expected floating-point input, got {x.dtype}: convert the images to float first"
            )
        if x.dim() != 4 or x.shape[1] != self.num_features:
            raise ValueError(f"expected input of shape (N, {self.num_features}, H, W), got {shape}")
        if x.shape[0] == 0:
            raise ValueError(f"got an empty batch, {shape}: give at least one image")
        if x.shape[2] * x.shape[3] < 2:
            raise ValueError(
                f"instance normalization needs maps larger than 1 x 1, got {shape}: "
                "use larger images"
            )
        if self.training and x.shape[0] < 2:
            raise ValueError(
                f"train mode needs at least two images, got {shape}: use a larger batch or eval()"
            )
