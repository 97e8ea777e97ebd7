"""The passes over whole feature maps that `norm.py` is made of: about as fast and as exact as batch normalization's own.

Sizes: N images, C channels, H x W positions. Statistics and coefficients are (N, C, 1, 1) and never in half precision:
float32 on a GPU, float64 on a CPU, where BN adds up in float64 as well. Nothing here looks at a value, so a GPU never
waits for the host; and there are few operations, all of them large, because small ones suffer when cores are shared.
"""

import torch
from torch import Tensor


def instance_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance of every image and channel of x, each (N, C, 1, 1), and room for a result like x.

    On a CPU, where `torch.var_mean` is slow, by the corrected two-pass algorithm (Chan, Golub and LeVeque 1983);
    E[x^2] - E[x]^2 would fail where the mean dwarfs the spread.
    """
    wide = x.to(_wide(x))
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        variances, means = torch.var_mean(wide, (2, 3), correction=0, keepdim=True)
        return means, variances, torch.empty_like(x)
    rough = wide.mean((2, 3), keepdim=True)
    rest = wide - rough  # (N, C, H, W)
    error = rest.mean((2, 3), keepdim=True).double()
    length = torch.linalg.vector_norm(rest, dim=(2, 3), keepdim=True).double()
    variances = length.square() / (x.shape[2] * x.shape[3]) - error.square()
    return rough + error, variances, rest if rest.dtype == x.dtype else torch.empty_like(x)


def gradient_sums(dy: Tensor, x: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of dy and of dy * (x - means) over the positions of every image and channel, each (N, C, 1, 1)."""
    rounded = means.to(_wide(x))
    if x.is_contiguous():  # BN's own reduction takes them as N * C channels of a single image
        as_one = (1, -1, *x.shape[2:])
        ones = torch.ones_like(rounded).flatten()
        _, dots, sums = torch.ops.aten.native_batch_norm_backward(
            dy.view(as_one), x.view(as_one), ones, None, None, rounded.flatten(), ones, True, 0.0, [False, True, True]
        )
    else:
        sums = dy.to(rounded.dtype).sum((2, 3))
        dots = (x - rounded).mul_(dy).sum((2, 3))
    sums, dots = sums.view_as(means).to(means.dtype), dots.view_as(means).to(means.dtype)
    return sums, dots + (rounded - means) * sums


def scale_about(x: Tensor, means: Tensor, scale: Tensor, value: Tensor, room: Tensor) -> Tensor:
    """value + scale * (x - means), written into `room`."""
    scale = scale.to(_wide(x))  # rounded first: the shift is then right for the scale that is used
    return torch.addcmul((value - scale * means).to(scale.dtype), x, scale, out=room)  # (N, C, H, W)


def scale_about_backward(dy: Tensor, x: Tensor, means: Tensor, scale: Tensor, slope: Tensor, level: Tensor) -> Tensor:
    """scale * dy - slope * (x - means) - level, in x's dtype and memory format."""
    rounded = means.to(_wide(x))
    level = level + slope * (rounded - means)
    scale, slope, level = (coefficient.to(_wide(x)) for coefficient in (scale, -slope, -level))
    dx = torch.sub(x, rounded, out=torch.empty_like(x))
    return torch.addcmul(level, dx, slope, out=dx).addcmul_(dy, scale)  # (N, C, H, W)


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
