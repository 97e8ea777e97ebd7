"""Normalization by the statistics of the whole batch, of which every process holds a part."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from metabin.kernels.collectives import rank, total, world_size
from metabin.kernels.mixed_norm import MixedNorm2d
from metabin.networks.normalizations import SharedBatchInstanceNorm2d
from metabin.norm import BatchInstanceNorm2d, clamp_straight_through


class _Synced:
    """In train mode, mean and variance are those of the batches of all processes, equally large.

    Derivatives are autograd's: against BatchInstanceNorm2d's own, that is twice the memory and,
    on a CPU, four times the time.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        y, mean, var = self._normalize(wide)
        if self.track_running_stats:
            count = world_size() * (x.numel() // x.shape[1])
            MixedNorm2d.update_running_stats(self, mean.detach(), var.detach(), count)
        return y.to(x.dtype)


class _SyncedBatchNorm(_Synced):
    def _normalize(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shape = -1, *[1] * (x.dim() - 2)
        var, mean = torch.var_mean(x, (0, *range(2, x.dim())), correction=0)  # (C,)
        mean, var = _over_processes(mean, var)  # (C,)
        scale = self.weight * (var + self.eps).rsqrt()  # (C,)
        y = torch.addcmul(self.bias.view(shape), x - mean.view(shape), scale.view(shape))
        return y, mean, var


class SyncedBatchNorm1d(_SyncedBatchNorm, nn.BatchNorm1d): ...


class SyncedBatchNorm2d(_SyncedBatchNorm, nn.BatchNorm2d): ...


class SyncedBatchInstanceNorm2d(_Synced, BatchInstanceNorm2d):
    def _normalize(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self.check_input(x)
        columns = (tensor.to(x.dtype).view(-1, 1, 1) for tensor in self.coefficients())
        rho, weight, bias, in_weight, in_bias = columns  # (C, 1, 1) each
        rho = clamp_straight_through(rho)  # (C, 1, 1)
        vars_i, means_i = torch.var_mean(x, (2, 3), correction=0, keepdim=True)  # (N, C, 1, 1)
        mean = means_i.mean(0)  # (C, 1, 1)
        var = (vars_i + (means_i - mean).square()).mean(0)  # (C, 1, 1), law of total variance
        mean, var = _over_processes(mean, var)  # (C, 1, 1)
        scale_b = rho * weight * (var + self.eps).rsqrt()  # (C, 1, 1)
        scale = scale_b + (1 - rho) * in_weight * (vars_i + self.eps).rsqrt()  # (N, C, 1, 1)
        value = scale_b * (means_i - mean) + rho * bias + (1 - rho) * in_bias  # y at its mean
        return torch.addcmul(value, x - means_i, scale), mean.flatten(), var.flatten()


class SyncedSharedBatchInstanceNorm2d(SyncedBatchInstanceNorm2d, SharedBatchInstanceNorm2d): ...


SYNCED = {  # a kind of layer -> its synchronized form
    nn.BatchNorm1d: SyncedBatchNorm1d,
    nn.BatchNorm2d: SyncedBatchNorm2d,
    BatchInstanceNorm2d: SyncedBatchInstanceNorm2d,
    SharedBatchInstanceNorm2d: SyncedSharedBatchInstanceNorm2d,
}


def sync_stats(model: nn.Module) -> None:
    """Let every layer that normalizes by batches do so by the batches of all processes.

    Raises ValueError for a kind of layer that SYNCED does not have.
    """
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for layer in layers:
        if type(layer) not in SYNCED:
            raise ValueError(
                f"{type(layer).__name__} has no synchronized form: train it without --sync-stats"
            )
        layer.__class__ = SYNCED[type(layer)]  # an optimizer may hold its parameters


def _over_processes(mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over all processes from each one's, by the law of total variance."""
    here = torch.stack([mean, var])
    rows = [torch.zeros_like(here) for _ in range(world_size())]
    rows[rank()] = here
    means, variances = total(torch.stack(rows)).unbind(1)  # a row for each process
    mean = means.mean(0)
    return mean, (variances + (means - mean).square()).mean(0)
