"""The passes over whole feature maps that `fused_norm` is made of.

They are about as fast as batch normalization's and as exact. Sizes: N images, C channels, H x W
positions. Statistics and coefficients are (N, C, 1, 1), in float32 or wider whatever x is. Nothing
here reads a value, so a GPU never waits for the host; and operations are few and large, because
many small ones suffer when cores are shared. On a CPU, channels-last maps go through the cache a
few images at a time: torch has no operation that reduces them as BN reduces contiguous ones.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

PIECE = 2**21  # bytes of a feature map that a core's cache holds
MAPS = (2, 3)  # the dimensions of a map's positions


def instance_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Mean, in two parts, and biased variance of every image and channel: centre, drift, variance.

    Each is (N, C, 1, 1), the mean being centre + drift; fourth comes x - centre, (N, C, H, W),
    where it was needed. That is on a CPU: `torch.var_mean` is slow there, so it has the corrected
    two-pass algorithm (Chan, Golub and LeVeque 1983), whose drift undoes the rounding of the first
    mean. E[x^2] - E[x]^2 would fail where the mean dwarfs the spread.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        variance, centre = torch.var_mean(wide, MAPS, correction=0, keepdim=True)
        return centre, torch.zeros_like(centre), variance, None
    if x.is_contiguous():
        count = x.shape[2] * x.shape[3]
        zeros = wide.new_zeros(*x.shape[:2], 1, 1)
        centre = image_sums(wide, wide, zeros)[0] / count
        rest = wide - centre
        sums, squares = image_sums(rest, rest, zeros)
        return centre, sums / count, squares / count - (sums / count).square(), rest

    # Every fourth row's mean is within sqrt(3) standard deviations of the mean: near enough.
    centre = wide[:, :, ::4].mean(MAPS, keepdim=True)
    rest, drift, square = torch.empty_like(wide), torch.empty_like(centre), torch.empty_like(centre)
    for piece, buffer in _pieces(wide):
        torch.sub(wide[piece], centre[piece], out=rest[piece])
        torch.mean(rest[piece], MAPS, keepdim=True, out=drift[piece])
        torch.mul(rest[piece], rest[piece], out=buffer)
        torch.mean(buffer, MAPS, keepdim=True, out=square[piece])
    return centre, drift, square - drift.square(), rest


def image_sums(dy: Tensor, x: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of dy and of dy * (x - centre) over the positions of each map, (N, C, 1, 1) each."""
    if x.is_contiguous():
        ones = torch.ones_like(centre).flatten()
        _, dots, sums = torch.ops.aten.native_batch_norm_backward(  # BN's reduction, in one pass
            _as_one(dy),
            _as_one(x),
            ones,
            None,
            None,
            centre.flatten(),
            ones,
            True,
            0.0,
            [False, True, True],
        )
        return sums.view_as(centre), dots.view_as(centre)
    if x.device.type != "cpu" or x.dtype != centre.dtype or torch.compiler.is_compiling():
        sums = dy.to(centre.dtype).sum(MAPS, keepdim=True)
        return sums, (x - centre).mul_(dy).sum(MAPS, keepdim=True)
    sums, dots = torch.empty_like(centre), torch.empty_like(centre)
    for piece, buffer in _pieces(x):
        torch.sum(dy[piece], MAPS, keepdim=True, out=sums[piece])
        torch.sub(x[piece], centre[piece], out=buffer).mul_(dy[piece])
        torch.sum(buffer, MAPS, keepdim=True, out=dots[piece])
    return sums, dots


def scale_about(
    x: Tensor, centre: Tensor, rest: Tensor | None, scale: Tensor, value: Tensor
) -> Tensor:
    """value + scale * (x - centre), in x's dtype and memory format.

    Written over `rest`, x - centre, if that is there.
    """
    if rest is None:
        return _multiply_add(x, scale, value - scale * centre, torch.empty_like(x))
    out = rest if rest.dtype == x.dtype else torch.empty_like(x)
    return _multiply_add(rest, scale, value, out)  # (N, C, H, W)


def scale_about_backward(
    dy: Tensor, x: Tensor, centre: Tensor, scale: Tensor, slope: Tensor, level: Tensor
) -> Tensor:
    """scale * dy + slope * (x - centre) + level, in x's dtype and memory format."""
    shift = level - slope * centre
    if x.is_contiguous():  # BN in eval mode is the fastest multiply-add per channel
        ones = torch.ones_like(level).flatten()
        dx = torch.batch_norm(  # not F.batch_norm, which refuses eps = 0 before torch 2.12
            _as_one(x),
            slope.flatten(),
            shift.flatten(),
            0 * ones,
            ones,
            False,
            0.0,
            0.0,
            False,
        )
        return dx.view_as(x).addcmul_(dy, scale)  # (N, C, H, W)
    dx = torch.empty_like(x)
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return _multiply_add(x, slope, shift, dx).addcmul_(dy, scale)  # (N, C, H, W)
    for piece, _ in _pieces(x):
        torch.addcmul(shift[piece], x[piece], slope[piece], out=dx[piece])
        dx[piece].addcmul_(dy[piece], scale[piece])
    return dx  # (N, C, H, W)


def _as_one(x: Tensor) -> Tensor:
    """All images as one of N * C channels: what BN does per channel it does per map."""
    return x.view(1, -1, *x.shape[2:])


def _pieces(x: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """A few images at a time, and a buffer of their size."""
    count = max(1, PIECE // max(1, x[0].nbytes))
    buffer = torch.empty_like(x[:count])
    for start in range(0, len(x), count):
        yield slice(start, start + count), buffer[: len(x) - start]


def _multiply_add(x: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> Tensor:
    if torch.compiler.is_compiling():  # older versions trace no channels-last `out`
        return torch.addcmul(shift, x, scale).to(out.dtype)
    return torch.addcmul(shift, x, scale, out=out)
