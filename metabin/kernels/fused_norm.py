"""Eq. 1 in one multiply-add: the fast twin of `norm.batch_instance_norm`.

Sizes: N images, C channels, H x W positions. Both branches are affine in x once their mean and
variance are known, and so is their mix: it is value + scale * (x - mean) with one value and one
scale per image and channel. The batch's statistics follow from the images' (law of total
variance), and all gradients follow from the sums of dy and of dy * (x - mean) per image and
channel. So x is the only large tensor that is kept.

A mean stands in two parts, `centre` + `drift`: see `feature_maps.instance_moments`.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from metabin.kernels.feature_maps import (
    image_sums,
    instance_moments,
    scale_about,
    scale_about_backward,
)


def fused_norm(
    x: Tensor,
    affine: Sequence[Tensor],
    running: tuple[Tensor, Tensor] | None,
    eps: float,
    plain: Callable,
) -> tuple[Tensor, Tensor, Tensor]:
    """Eq. 1, and the mean and biased variance that BN used: (N, C, H, W), (C,), (C,).

    Arguments are those of `plain`, the function that this one equals; second derivatives are
    taken through `plain`.
    """
    if not x.is_contiguous(memory_format=torch.channels_last):
        x = x.contiguous()
    y, mean, var, *_ = _FusedNorm.apply(x, *affine, *(running or (None, None)), eps, plain)
    return y, mean.flatten(), var.flatten()


class _FusedNorm(torch.autograd.Function):
    """Returns y, then what backward needs: the batch's mean and variance, then the images'."""

    @staticmethod
    def forward(x, *inputs):
        *affine, mean, var, eps, _ = inputs
        centre, drift, variances, rest = instance_moments(x)  # (N, C, 1, 1), and (N, C, H, W)
        rho, weight, bias, in_weight, in_bias = _clamped_columns(centre, affine)  # (C, 1, 1)
        if mean is None:
            offset, mean, var = _batch_moments(centre, drift, variances)
        else:
            mean, var = (tensor.clone() for tensor in _columns(centre, mean, var))  # (C, 1, 1)
            offset = centre - mean + drift  # (N, C, 1, 1), from BN's mean to each image's
        inv_i = (variances + eps).rsqrt()  # 1 / std, (N, C, 1, 1)
        scale_b = rho * weight * (var + eps).rsqrt()  # (C, 1, 1)
        scale = scale_b + (1 - rho) * in_weight * inv_i  # (N, C, 1, 1)
        value = scale_b * offset + (rho * bias + (1 - rho) * in_bias)  # y where x is its mean
        y = scale_about(x, centre, rest, scale, value - scale * drift)  # (N, C, H, W)
        return y, mean, var, centre, drift, offset, inv_i

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.eps, ctx.plain = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*tensors, *output[1:])

    @staticmethod
    def backward(ctx, dy, *_):
        *inputs, _, var, centre, drift, offset, inv_i = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True: leave second derivatives to autograd
            return _differentiate_plain(inputs, ctx, dy)
        x, *affine, running, _ = inputs
        rho, weight, bias, in_weight, in_bias = _clamped_columns(centre, affine)  # (C, 1, 1)
        inv_b = (var + ctx.eps).rsqrt()  # (C, 1, 1)

        dense = torch.contiguous_format if x.is_contiguous() else torch.channels_last
        dy = dy.contiguous(memory_format=dense)
        sums, dots = image_sums(dy, x, centre)  # of dy, of dy * (x - centre): (N, C, 1, 1)
        dots = dots - drift * sums  # of dy * (x - its mean): (N, C, 1, 1)
        dots_i = inv_i * dots  # of dy * x_hat_I: (N, C, 1, 1)
        total, total_i = sums.sum(0), dots_i.sum(0)  # (C, 1, 1)
        total_b = inv_b * (dots + offset * sums).sum(0)  # of dy * x_hat_B: (C, 1, 1)
        d_rho = weight * total_b + bias * total - in_weight * total_i - in_bias * total
        d_batch = rho * total_b, rho * total  # (C, 1, 1) each
        d_instance = (1 - rho) * total_i, (1 - rho) * total  # (C, 1, 1) each

        dx = None
        if ctx.needs_input_grad[0]:  # dx = scale * dy + slope * (x - its mean) + level
            scale_b = rho * weight * inv_b  # (C, 1, 1)
            scale_i = (1 - rho) * in_weight * inv_i  # (N, C, 1, 1)
            share_i = scale_i / -(x.shape[2] * x.shape[3])
            slope, level = share_i * inv_i * dots_i, share_i * sums  # (N, C, 1, 1)
            if running is None:  # the batch's mean and variance depend on x, too
                share_b = scale_b / -(x.numel() // x.shape[1])
                pull = share_b * inv_b * total_b  # (C, 1, 1)
                slope, level = slope + pull, level + share_b * total + pull * offset
            level = level - slope * drift  # x - its mean = x - centre - drift
            dx = scale_about_backward(dy, x, centre, scale_b + scale_i, slope, level)
        gradients = (gradient.flatten() for gradient in (d_rho, *d_batch, *d_instance))
        return dx, *gradients, None, None, None, None


def _batch_moments(centre: Tensor, drift: Tensor, variances: Tensor) -> tuple[Tensor, ...]:
    """Offsets of the images' means from the batch's (N, C, 1, 1), its mean and variance."""
    offset = centre - centre[0] + drift  # from the first image: a large mean costs no digits
    mean = offset.mean(0)  # (C, 1, 1)
    offset, mean = offset - mean, mean + centre[0]
    var = (variances + offset.square()).mean(0)  # (C, 1, 1), law of total variance
    return offset, mean, var


def _differentiate_plain(inputs: Sequence[Tensor | None], ctx, dy: Tensor) -> tuple:
    """Gradients through the plain form, which autograd can differentiate again."""
    # Fresh views, so that autograd sees independent inputs.
    inputs = [tensor if tensor is None else tensor.view_as(tensor) for tensor in inputs]
    x, *affine, mean, var = inputs
    running = None if mean is None else (mean, var)
    y = ctx.plain(x, affine, running, ctx.eps)
    needed = ctx.needs_input_grad[: len(inputs)]
    wanted = [tensor for tensor, need in zip(inputs, needed, strict=True) if need]
    gradients = iter(torch.autograd.grad(y, wanted, dy, create_graph=True))
    return *(next(gradients) if need else None for need in needed), None, None


def _clamped_columns(like: Tensor, affine: Sequence[Tensor]) -> tuple[Tensor, ...]:
    rho, *others = affine
    return _columns(like, rho.clamp(0, 1), *others)


def _columns(like: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.to(like.dtype).view(-1, 1, 1) for tensor in tensors)  # (C, 1, 1) each
