"""The passes over whole feature maps that `norm.py` is made of: about as fast as batch normalization's, and as exact.

Sizes: N images, C channels, H x W positions. Statistics and coefficients are (N, C, 1, 1), in float32 or wider whatever
x is. Nothing here looks at a value, so a GPU never waits for the host; and there are few operations, all of them large,
because many small ones suffer when cores are shared.
"""

import torch
from torch import Tensor


def instance_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Statistics of every image and channel of x: its mean in two parts, `centre` + `drift`, and its biased variance.

    Each is (N, C, 1, 1); fourth comes x - centre, (N, C, H, W), where it was needed. That is on a CPU: `torch.var_mean`
    is slow there, so it has the corrected two-pass algorithm (Chan, Golub and LeVeque 1983), whose drift undoes the
    rounding of the first mean. E[x^2] - E[x]^2 would fail where the mean dwarfs the spread.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        variance, centre = torch.var_mean(wide, (2, 3), correction=0, keepdim=True)
        return centre, torch.zeros_like(centre), variance, None
    if x.is_contiguous():
        count, zeros = x.shape[2] * x.shape[3], wide.new_zeros(*x.shape[:2], 1, 1)
        centre = image_sums(wide, wide, zeros)[0] / count
        rest = wide - centre
        sums, squares = image_sums(rest, rest, zeros)
        return centre, sums / count, squares / count - (sums / count).square(), rest
    centre = wide.mean((2, 3), keepdim=True)
    rest = wide - centre
    drift = rest.mean((2, 3), keepdim=True)
    square = torch.linalg.vector_norm(rest, dim=(2, 3), keepdim=True).square() / (x.shape[2] * x.shape[3])
    return centre, drift, square - drift.square(), rest


def image_sums(dy: Tensor, x: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of dy and of dy * (x - centre) over the positions of every image and channel, each (N, C, 1, 1)."""
    if not x.is_contiguous():
        return dy.to(centre.dtype).sum((2, 3), keepdim=True), (x - centre).mul_(dy).sum((2, 3), keepdim=True)
    ones = torch.ones_like(centre).flatten()
    _, dots, sums = torch.ops.aten.native_batch_norm_backward(  # BN's own reduction, in one pass
        _as_one(dy), _as_one(x), ones, None, None, centre.flatten(), ones, True, 0.0, [False, True, True]
    )
    return sums.view_as(centre), dots.view_as(centre)


def _as_one(x: Tensor) -> Tensor:
    """All images as one of N * C channels, so that what BN does per channel happens per image and channel."""
    return x.view(1, -1, *x.shape[2:])


def scale_about(x: Tensor, centre: Tensor, rest: Tensor | None, scale: Tensor, value: Tensor) -> Tensor:
    """value + scale * (x - centre), in x's dtype and memory format; written over `rest`, x - centre, if it is there."""
    if rest is None:
        rest, value = x, value - scale * centre
    room = torch.empty_like(x) if rest is x or rest.dtype != x.dtype else rest
    return _multiply_add(rest, scale, value, room)  # (N, C, H, W)


def scale_about_backward(dy: Tensor, x: Tensor, centre: Tensor, scale: Tensor, slope: Tensor, level: Tensor) -> Tensor:
    """scale * dy + slope * (x - centre) + level, in x's dtype and memory format."""
    if x.is_contiguous():  # BN in eval mode is the fastest multiply-add per channel
        ones = torch.ones_like(level).flatten()
        shift = (level - slope * centre).flatten()
        # not F.batch_norm, which refuses eps = 0 before torch 2.12
        dx = torch.batch_norm(_as_one(x), slope.flatten(), shift, 0 * ones, ones, False, 0.0, 0.0, False).view_as(x)
    else:
        dx = _multiply_add(x, slope, level - slope * centre, torch.empty_like(x))
    return dx.addcmul_(dy, scale)  # (N, C, H, W)


def _multiply_add(x: Tensor, scale: Tensor, shift: Tensor, room: Tensor) -> Tensor:
    if torch.compiler.is_compiling():  # older versions trace no channels-last `out`
        return torch.addcmul(shift, x, scale).to(room.dtype)
    return torch.addcmul(shift, x, scale, out=room)
