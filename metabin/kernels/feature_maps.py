"""The passes over whole feature maps that `norm.py` is made of: about as fast as batch normalization's, and as exact.

Sizes: N images, C channels, H x W positions. Statistics and coefficients are (N, C, 1, 1), in float32 or wider whatever
x is. Nothing here looks at a value, so a GPU never waits for the host; and there are few operations, all of them large,
because many small ones suffer when cores are shared. On a CPU, channels-last maps go through the cache a few images at a
time: no single operation of torch does what BN's reductions do for contiguous ones.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

PIECE = 2**21  # bytes of a feature map that a core's cache holds


def instance_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Statistics of every image and channel of x: its mean in two parts, `centre` + `drift`, and its biased variance.

    Each is (N, C, 1, 1); fourth comes x - centre, (N, C, H, W), where it was needed. That is on a CPU: `torch.var_mean`
    is slow there, so it has the corrected two-pass algorithm (Chan, Golub and LeVeque 1983), whose drift undoes the
    rounding of the first mean. E[x^2] - E[x]^2 would fail where the mean dwarfs the spread. Channels-last maps are centred
    on the mean of every fourth row: it is within sqrt(3) standard deviations of the mean, near enough for the same.
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
    centre = wide[:, :, ::4].mean((2, 3), keepdim=True)
    rest, drift, square = torch.empty_like(wide), torch.empty_like(centre), torch.empty_like(centre)
    for part, room in _pieces(wide):
        torch.sub(wide[part], centre[part], out=rest[part])
        torch.mean(rest[part], (2, 3), keepdim=True, out=drift[part])
        torch.mean(
            torch.mul(rest[part], rest[part], out=room), (2, 3), keepdim=True, out=square[part]
        )
    return centre, drift, square - drift.square(), rest


def _pieces(x: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """A few images at a time, and room for a result of their size that is not kept."""
    count = max(1, PIECE // max(1, x[0].nbytes))
    room = torch.empty_like(x[:count])
    for start in range(0, len(x), count):
        yield slice(start, start + count), room[: len(x) - start]


def image_sums(dy: Tensor, x: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of dy and of dy * (x - centre) over the positions of every image and channel, each (N, C, 1, 1)."""
    if not x.is_contiguous():
        if x.device.type != "cpu" or x.dtype != centre.dtype or torch.compiler.is_compiling():
            return dy.to(centre.dtype).sum((2, 3), keepdim=True), (x - centre).mul_(dy).sum(
                (2, 3), keepdim=True
            )
        sums, dots = torch.empty_like(centre), torch.empty_like(centre)
        for part, room in _pieces(x):
            torch.sum(dy[part], (2, 3), keepdim=True, out=sums[part])
            torch.sub(x[part], centre[part], out=room).mul_(dy[part])
            torch.sum(room, (2, 3), keepdim=True, out=dots[part])
        return sums, dots
    ones = torch.ones_like(centre).flatten()
    _, dots, sums = torch.ops.aten.native_batch_norm_backward(  # BN's own reduction, in one pass
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


def _as_one(x: Tensor) -> Tensor:
    """All images as one of N * C channels, so that what BN does per channel happens per image and channel."""
    return x.view(1, -1, *x.shape[2:])


def scale_about(
    x: Tensor, centre: Tensor, rest: Tensor | None, scale: Tensor, value: Tensor
) -> Tensor:
    """value + scale * (x - centre), in x's dtype and memory format; written over `rest`, x - centre, if it is there."""
    if rest is None:
        rest, value = x, value - scale * centre
    room = torch.empty_like(x) if rest is x or rest.dtype != x.dtype else rest
    return _multiply_add(rest, scale, value, room)  # (N, C, H, W)


def scale_about_backward(
    dy: Tensor, x: Tensor, centre: Tensor, scale: Tensor, slope: Tensor, level: Tensor
) -> Tensor:
    """scale * dy + slope * (x - centre) + level, in x's dtype and memory format."""
    if x.is_contiguous():  # BN in eval mode is the fastest multiply-add per channel
        ones = torch.ones_like(level).flatten()
        shift = (level - slope * centre).flatten()
        # not F.batch_norm, which refuses eps = 0 before torch 2.12
        dx = torch.batch_norm(
            _as_one(x), slope.flatten(), shift, 0 * ones, ones, False, 0.0, 0.0, False
        ).view_as(x)
        return dx.addcmul_(dy, scale)  # (N, C, H, W)
    dx, level = torch.empty_like(x), level - slope * centre
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return _multiply_add(x, slope, level, dx).addcmul_(dy, scale)  # (N, C, H, W)
    for part, _ in _pieces(x):
        torch.addcmul(level[part], x[part], slope[part], out=dx[part]).addcmul_(
            dy[part], scale[part]
        )
    return dx  # (N, C, H, W)


def _multiply_add(x: Tensor, scale: Tensor, shift: Tensor, room: Tensor) -> Tensor:
    if torch.compiler.is_compiling():  # older versions trace no channels-last `out`
        return torch.addcmul(shift, x, scale).to(room.dtype)
    return torch.addcmul(shift, x, scale, out=room)
