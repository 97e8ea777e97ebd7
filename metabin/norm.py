"""Batch-instance normalization: the layer of Eq. 1, at about batch normalization's price.

Sizes: N images, C channels, H x W positions. Batch normalization (BN) takes mean and variance over (N, H, W), instance
normalization (IN) over (H, W). Given them, both branches are affine in x, and so is their mix: it is
value + scale * (x - mean) with one value and one scale per image and channel. The batch statistics follow from the
instance statistics, and all gradients from the sums of dy and of dy * (x - mean) per image and channel. So no other
large tensor is made or kept.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from metabin.kernels.feature_maps import (
    image_sums,
    instance_moments,
    scale_about,
    scale_about_backward,
)


class MixedNorm2d(nn.BatchNorm2d):
    """What layers share that look at the batch and at each image: BN's values taken over, its statistics kept, checks."""

    @classmethod
    def from_batch_norm(cls, bn: nn.BatchNorm2d) -> Self:
        """A layer with the affine pair and the running statistics of `bn`; its other parameters are at their start."""
        if bn.weight is None or bn.running_mean is None:
            raise ValueError(
                "from_batch_norm needs a BatchNorm2d with affine=True and track_running_stats=True"
            )
        layer = cls(bn.num_features, bn.eps, bn.momentum).to(bn.weight)
        layer.load_state_dict(layer.state_dict() | bn.state_dict())
        return layer.train(bn.training)

    @torch.no_grad()
    def _update_running_stats(self, mean: Tensor, var: Tensor, count: int) -> None:
        self.num_batches_tracked.add_(1)
        share = (
            1 / self.num_batches_tracked.to(mean.dtype) if self.momentum is None else self.momentum
        )
        self.running_mean.copy_(self.running_mean + share * (mean - self.running_mean))
        self.running_var.copy_(
            self.running_var + share * (var * (count / (count - 1)) - self.running_var)
        )

    def _check(self, x: Tensor) -> None:
        if not x.is_floating_point():
            raise TypeError(
                f"expected floating-point input, got {x.dtype}: convert the images to float first"
            )
        if x.dim() != 4 or x.shape[1] != self.num_features:
            raise ValueError(
                f"expected input of shape (N, {self.num_features}, H, W), got {tuple(x.shape)}"
            )
        if not len(x):
            raise ValueError(f"got an empty batch, {tuple(x.shape)}: give at least one image")
        if x.shape[2] * x.shape[3] < 2:
            raise ValueError(
                f"instance normalization needs maps larger than 1 x 1, got {tuple(x.shape)}: use larger images"
            )
        if self.training and x.shape[0] < 2:
            raise ValueError(
                f"train mode needs at least two images, got {tuple(x.shape)}: use a larger batch or eval()"
            )


class BatchInstanceNorm2d(MixedNorm2d):
    """y = rho * BN(x) + (1 - rho) * IN(x), each branch with its own affine pair (Eq. 1, Section 3.2).

    x is (N, C, H, W). rho is (C,), starts at 1 (pure BN), and is clamped to [0, 1] straight through: its gradient is as
    if there were no clamp. `weight, bias` are gamma_B, beta_B; `in_weight, in_bias` are gamma_I, beta_I. The running
    statistics are BatchNorm2d's: in eval mode they serve the BN branch, while IN always looks at the image itself.
    `from_batch_norm` keeps the function: rho is 1, and the IN branch starts at (1, 0).
    Raises TypeError on integers, and ValueError on other shapes, 1 x 1 maps, and fewer than two images in train mode.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1):
        super().__init__(num_features, eps, momentum)
        self.in_weight = nn.Parameter(torch.ones(num_features))
        self.in_bias = nn.Parameter(torch.zeros(num_features))
        self.rho = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        if not x.is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous()
        given = (None, None) if self.training else (self.running_mean, self.running_var)
        y, mean, var, *_ = _Fused.apply(x, *self._affine(), *given, self.eps)
        if self.training and self.track_running_stats:
            self._update_running_stats(mean.flatten(), var.flatten(), count=x.numel() // x.shape[1])
        return y

    def _affine(self) -> tuple[Tensor, ...]:
        return self.rho, self.weight, self.bias, self.in_weight, self.in_bias

    def _load_from_state_dict(self, state_dict, prefix, *others):
        super()._load_from_state_dict(state_dict, prefix, *others)
        *_, errors = others
        if (
            f"{prefix}weight" in state_dict and f"{prefix}rho" not in state_dict
        ):  # with strict=False as well
            errors.append(
                f"{prefix}rho is missing: these are the values of a BatchNorm2d. Load them while the model has "
                "BatchNorm2d layers, and convert it then."
            )


def balancing_parameters(model: nn.Module) -> dict[str, Tensor]:
    """theta_rho: the balancing parameters of a model, each (C,), under their names in `named_parameters()`."""
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.rpartition(".")[2] == "rho"
    }


@contextmanager
def frozen_running_stats(model: nn.Module) -> Iterator[nn.Module]:
    """Inside, train mode normalizes by batch statistics, but no running statistic of a BN or BIN layer moves."""
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
def normalized_by(model: nn.Module, look: Callable[[], object]) -> Iterator[nn.Module]:
    """Inside, BN and BN branches normalize by the statistics of what `look` sends through the model, as if deployed there.

    Afterwards all is as before; derivatives must be taken inside.
    """
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    before = [
        (layer.momentum, layer.training, {k: b.clone() for k, b in layer.named_buffers()})
        for layer in layers
    ]
    try:
        for layer in layers:
            layer.momentum = 1.0  # what is seen now replaces what was seen before
        with torch.no_grad():
            look()
        for layer in layers:
            layer.eval()
        yield model
    finally:
        for layer, (momentum, training, buffers) in zip(layers, before, strict=True):
            layer.momentum = momentum
            layer.train(training)
            for name, buffer in layer.named_buffers():
                buffer.copy_(buffers[name])


def mix_of_two(x, rho, weight, bias, in_weight, in_bias, mean, var, eps: float) -> Tensor:
    """Eq. 1 in its plainest form, two calls and their mix; without mean, var (C,), BN takes the batch's own."""
    rho = (rho + (rho.clamp(0, 1) - rho).detach()).view(
        -1, 1, 1
    )  # (C, 1, 1), clamped straight through
    batch = F.batch_norm(x, mean, var, weight, bias, training=mean is None, eps=eps)
    instance = F.instance_norm(x, weight=in_weight, bias=in_bias, eps=eps)
    return rho * batch + (1 - rho) * instance  # (N, C, H, W)


class _Fused(torch.autograd.Function):
    """mix_of_two in one multiply-add; after y come statistics: the batch's mean and variance, then the images'."""

    @staticmethod
    def forward(x, rho, weight, bias, in_weight, in_bias, mean, var, eps):
        centre, drift, variances, rest = instance_moments(
            x
        )  # (N, C, 1, 1), and (N, C, H, W) or None
        rho, weight, bias, in_weight, in_bias = _columns(
            centre, rho.clamp(0, 1), weight, bias, in_weight, in_bias
        )
        if mean is None:
            offset = (
                centre - centre[0] + drift
            )  # from the first image's: differences lose nothing to a large mean
            mean = offset.mean(0)  # (C, 1, 1)
            offset, mean = offset - mean, mean + centre[0]
            var = (variances + offset.square()).mean(0)  # (C, 1, 1), law of total variance
        else:
            mean, var = (given.clone() for given in _columns(centre, mean, var))  # (C, 1, 1)
            offset = (
                centre - mean + drift
            )  # of each image's mean from the batch's or the given one, (N, C, 1, 1)
        inv_i = (variances + eps).rsqrt()  # 1 / std, (N, C, 1, 1)
        scale_b = rho * weight * (var + eps).rsqrt()  # (C, 1, 1)
        scale = scale_b + (1 - rho) * in_weight * inv_i  # (N, C, 1, 1)
        value = scale_b * offset + (
            rho * bias + (1 - rho) * in_bias
        )  # (N, C, 1, 1), y where x is its mean
        return (
            scale_about(x, centre, rest, scale, value - scale * drift),
            mean,
            var,
            centre,
            drift,
            offset,
            inv_i,
        )

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.eps = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*tensors, *output[1:])

    @staticmethod
    def backward(ctx, dy, *_):
        *inputs, _, var, centre, drift, offset, inv_i = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True: second derivatives are left to autograd
            return _differentiate_mix(inputs, ctx, dy)
        x, rho, weight, bias, in_weight, in_bias, given, _ = inputs
        rho, weight, bias, in_weight, in_bias = _columns(
            centre, rho.clamp(0, 1), weight, bias, in_weight, in_bias
        )
        inv_b = (var + ctx.eps).rsqrt()  # (C, 1, 1)

        dy = dy.contiguous(
            memory_format=torch.contiguous_format if x.is_contiguous() else torch.channels_last
        )
        sums, dots = image_sums(dy, x, centre)  # of dy, of dy * (x - centre): (N, C, 1, 1)
        dots = dots - drift * sums  # of dy * (x - its mean): (N, C, 1, 1)
        dots_i = inv_i * dots  # of dy * x_hat_I: (N, C, 1, 1)
        total, total_i = sums.sum(0), dots_i.sum(0)  # (C, 1, 1)
        total_b = inv_b * (dots + offset * sums).sum(0)  # of dy * x_hat_B: (C, 1, 1)
        d_rho = weight * total_b + bias * total - in_weight * total_i - in_bias * total
        d_affine = (
            rho * total_b,
            rho * total,
            (1 - rho) * total_i,
            (1 - rho) * total,
        )  # (C, 1, 1) each

        dx = None
        if ctx.needs_input_grad[0]:  # dx = scale * dy + slope * (x - its mean) + level
            scale_b, scale_i = (
                rho * weight * inv_b,
                (1 - rho) * in_weight * inv_i,
            )  # (C, 1, 1), (N, C, 1, 1)
            share_i = scale_i / -(x.shape[2] * x.shape[3])
            slope, level = share_i * inv_i * dots_i, share_i * sums  # (N, C, 1, 1)
            if given is None:  # the batch's mean and variance come from x, too
                share_b = scale_b / -(x.numel() // x.shape[1])
                pull = share_b * inv_b * total_b  # (C, 1, 1)
                slope, level = slope + pull, level + share_b * total + pull * offset
            level = level - slope * drift  # x - its mean = x - centre - drift
            dx = scale_about_backward(
                dy, x, centre, scale_b + scale_i, slope, level
            )  # (N, C, H, W)
        return dx, *(d.flatten() for d in (d_rho, *d_affine)), None, None, None


def _differentiate_mix(inputs, ctx, dy):
    inputs = [
        t if t is None else t.view_as(t) for t in inputs
    ]  # or what one input owes to another would count twice
    wanted = [
        tensor for tensor, needed in zip(inputs, ctx.needs_input_grad, strict=False) if needed
    ]
    found = iter(torch.autograd.grad(mix_of_two(*inputs, ctx.eps), wanted, dy, create_graph=True))
    return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)


def _columns(like: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.to(like.dtype).view(-1, 1, 1) for tensor in tensors)  # (C, 1, 1) each
