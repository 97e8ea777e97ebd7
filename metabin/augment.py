"""Augmentation of whole batches on the device: uint8 images in, normalized floats out."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which the pretrained weights expect


@functools.cache
def _mean_and_std(device: torch.device) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MEAN, STD))


def normalize(images: Tensor) -> Tensor:
    """uint8 images (N, 3, H, W) to floats with ImageNet's mean and standard deviation taken out."""
    mean, std = _mean_and_std(images.device)  # (1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def flip_and_crop(images: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    """Flip half of the images left-right and shift each by up to `pad` pixels, zeros coming in (Section 4.1's baseline).

    images (N, 3, H, W), any type -> the same shape. `generator` lives on the images' device.
    """
    n, _, height, width = images.shape

    def draw(bound: int) -> Tensor:
        return torch.randint(bound, (n, 1), device=images.device, generator=generator)

    rows = draw(2 * pad + 1) + torch.arange(height, device=images.device)  # (N, H)
    columns = torch.arange(width, device=images.device).expand(n, width)  # (N, W)
    columns = draw(2 * pad + 1) + torch.where(draw(2) == 1, columns.flip(1), columns)  # (N, W)
    padded = F.pad(images, (pad,) * 4).movedim(1, -1)  # (N, H + 2 pad, W + 2 pad, 3)
    picked = padded[torch.arange(n, device=images.device)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return picked.movedim(-1, 1)  # (N, 3, H, W)
