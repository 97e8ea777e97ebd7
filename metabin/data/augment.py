"""Augmentation of whole batches on the device: uint8 images in, normalized floats out."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, for pretrained weights


@functools.cache
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device).view(1, 3, 1, 1)


def normalize(images: Tensor) -> Tensor:
    """uint8 images (N, 3, H, W) to floats with ImageNet's mean and standard deviation taken out."""
    mean, std = _constant(MEAN, images.device), _constant(STD, images.device)  # (1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def flip_and_crop(images: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    """Flip half of the images left-right and shift each by up to `pad` pixels (Luo et al. [26]).

    Zeros come in at the border. images (N, 3, H, W), any type -> the same shape. `generator` is
    on the images' device.
    """
    n, _, height, width = images.shape

    def draw(bound: int) -> Tensor:
        return torch.randint(bound, (n, 1), device=images.device, generator=generator)

    rows = draw(2 * pad + 1) + torch.arange(height, device=images.device)  # (N, H)
    columns = torch.arange(width, device=images.device).expand(n, width)  # (N, W)
    columns = draw(2 * pad + 1) + torch.where(draw(2) == 1, columns.flip(1), columns)  # (N, W)
    padded = F.pad(images, (pad,) * 4).movedim(1, -1)  # (N, H + 2 pad, W + 2 pad, 3)
    picked = padded[
        torch.arange(n, device=images.device)[:, None, None], rows[:, :, None], columns[:, None, :]
    ]
    return picked.movedim(-1, 1)  # (N, 3, H, W)


def colour_jitter(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Multiply brightness, contrast, saturation of each image by random factors in 1 +- strength.

    images (N, 3, H, W), 0 ... 255, any type -> floats of the same shape and range.
    """
    factors = torch.empty(3, len(images), 1, 1, 1, device=images.device).uniform_(
        1 - strength, 1 + strength, generator=generator
    )
    brightness, contrast, saturation = factors  # (N, 1, 1, 1) each
    images = brightness * images.float()  # (N, 3, H, W)
    mean = _grey(images).mean((2, 3), keepdim=True)  # (N, 1, 1, 1)
    images = mean + contrast * (images - mean)
    grey = _grey(images)
    return (grey + saturation * (images - grey)).clamp(0, 255)


def _grey(images: Tensor) -> Tensor:
    weights = images.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)  # ITU-R BT.601's luma
    return (weights * images).sum(1, keepdim=True)  # (N, 1, H, W)


def erase(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Random erasing (Zhong et al., AAAI 2020) of 2 to 40 % of an image, a rectangle.

    images (N, 3, H, W) normalized floats, where zero is the mean colour. The rectangle's height
    to width is between 0.3 and 3.3.
    """
    n, _, height, width = images.shape
    draw = torch.rand(5, n, device=images.device, generator=generator)
    area = (0.02 + 0.38 * draw[0]) * height * width  # (N,)
    aspect = 0.3 * 11.0 ** draw[1]  # (N,)
    sides = (area * aspect).sqrt().clamp(max=height), (area / aspect).sqrt().clamp(max=width)
    inside = []
    for side, start, length in zip(sides, draw[2:4], (height, width), strict=True):
        first = start * (length - side)  # (N,)
        centre = torch.arange(length, device=images.device) + 0.5  # (length,)
        after, before = centre > first[:, None], centre < (first + side)[:, None]  # (N, length)
        inside.append(after & before)
    erased = (draw[4] < probability)[:, None, None]  # (N, 1, 1)
    hole = inside[0][:, :, None] & inside[1][:, None, :] & erased  # (N, H, W)
    return images.masked_fill(hole[:, None], 0.0)
