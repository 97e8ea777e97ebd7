"""Batch-instance normalization: the layer of Eq. 1 (Section 3.2).

Sizes: N images, C channels, H x W positions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from metabin.kernels.fused_norm import fused_norm
from metabin.kernels.mixed_norm import MixedNorm2d


class BatchInstanceNorm2d(MixedNorm2d):
    """y = rho * BN(x) + (1 - rho) * IN(x), each branch with its own affine pair (Eq. 1).

    x is (N, C, H, W). rho is (C,), starts at 1 (pure BN) and is clamped to [0, 1] straight
    through: its gradient is as if there were no clamp. `weight, bias` are gamma_B, beta_B;
    `in_weight, in_bias` are gamma_I, beta_I. In eval mode the BN branch uses the running
    statistics; the IN branch always uses the image's own. `from_batch_norm` keeps the function:
    rho is 1, and the IN branch starts at (1, 0).

    Raises TypeError on integers. Raises ValueError on other shapes, on 1 x 1 maps, and in train
    mode on fewer than two images.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1):
        super().__init__(num_features, eps, momentum)
        self.in_weight = nn.Parameter(torch.ones(num_features))
        self.in_bias = nn.Parameter(torch.zeros(num_features))
        self.rho = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        self.check_input(x)
        running = None if self.training else (self.running_mean, self.running_var)  # (C,) each
        if torch.jit.is_tracing() or torch.compiler.is_exporting():
            return batch_instance_norm(x, self.coefficients(), running, self.eps)
        # Eq. 1 in one pass forward and one backward: equal, and about as fast as BN.
        y, mean, var = fused_norm(x, self.coefficients(), running, self.eps, batch_instance_norm)
        if self.training and self.track_running_stats:
            self.update_running_stats(mean, var, count=x.numel() // x.shape[1])
        return y  # (N, C, H, W)

    def coefficients(self) -> tuple[Tensor, ...]:
        """rho, gamma_B, beta_B, gamma_I, beta_I, (C,) each."""
        return self.rho, self.weight, self.bias, self.in_weight, self.in_bias

    def _load_from_state_dict(self, state_dict, prefix, *others):
        super()._load_from_state_dict(state_dict, prefix, *others)
        *_, errors = others
        if f"{prefix}weight" in state_dict and f"{prefix}rho" not in state_dict:
            errors.append(  # also with strict=False
                f"{prefix}rho is missing: these are the values of a BatchNorm2d. Load them while "
                "the model has BatchNorm2d layers, and convert it then."
            )


def batch_instance_norm(
    x: Tensor,
    affine: tuple[Tensor, ...],
    running: tuple[Tensor, Tensor] | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Eq. 1 in its plain form: BN, IN, and their mix. (N, C, H, W) -> (N, C, H, W).

    `affine` is rho, gamma_B, beta_B, gamma_I, beta_I; `running` the mean and variance that BN
    uses (None: the batch's own); all are (C,).
    """
    rho, weight, bias, in_weight, in_bias = affine
    mean, var = running or (None, None)
    rho = clamp_straight_through(rho).view(-1, 1, 1)  # (C, 1, 1)
    by_batch = F.batch_norm(x, mean, var, weight, bias, training=running is None, eps=eps)
    by_image = F.instance_norm(x, weight=in_weight, bias=in_bias, eps=eps)
    return rho * by_batch + (1 - rho) * by_image  # (N, C, H, W)


def clamp_straight_through(rho: Tensor) -> Tensor:
    """rho clamped to [0, 1]; the gradient passes as if there were no clamp."""
    return rho + (rho.clamp(0, 1) - rho).detach()


def balancing_parameters(model: nn.Module) -> dict[str, Tensor]:
    """theta_rho: a model's balancing parameters by their names, (C,) each."""
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.rpartition(".")[2] == "rho"
    }


@contextmanager
def frozen_running_stats(model: nn.Module) -> Iterator[nn.Module]:
    """Within the block no running statistic of a BN or BIN layer moves.

    Train mode still normalizes by the statistics of the batch.
    """
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    tracked = [layer.track_running_stats for layer in layers]
    try:
        for layer in layers:
            layer.track_running_stats = False
        yield model
    finally:
        for layer, track in zip(layers, tracked, strict=True):
            layer.track_running_stats = track


@contextmanager
def normalized_by(model: nn.Module, forward: Callable[[], object]) -> Iterator[nn.Module]:
    """Within the block, BN and BN branches normalize as if deployed on the batch of `forward`.

    `forward()` sends a batch through the model; its statistics become the running ones, and the
    layers are in eval mode. Afterwards all is as before. Take derivatives within the block.
    """
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    states = [_state(layer) for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 1.0  # new statistics replace the old ones
        with torch.no_grad():
            forward()
        for layer in layers:
            layer.eval()
        yield model
    finally:
        for layer, (momentum, training, buffers) in zip(layers, states, strict=True):
            layer.momentum = momentum
            layer.train(training)
            for name, buffer in layer.named_buffers():
                buffer.copy_(buffers[name])


def _state(layer: nn.Module) -> tuple[float | None, bool, dict[str, Tensor]]:
    buffers = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    return layer.momentum, layer.training, buffers
