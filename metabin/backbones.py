"""Backbones: StreetNet, small enough to train from scratch on a laptop's CPU."""

import torch.nn.functional as F
from torch import Tensor, nn


class _Block(nn.Module):
    """A basic residual block: two 3x3 convolutions, each with its norm, and a 1x1 shortcut where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class StreetNet(nn.Sequential):
    """A residual network of 11 norm layers and 151,376 parameters for the streets: (N, 3, H, W) -> (N, 64, H/8, W/8)."""

    out_channels = 64

    def __init__(self):
        super().__init__(
            nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
            _Block(16, 16, 1),
            _Block(16, 32, 2),
            _Block(32, 64, 2),
            _Block(64, 64, 1),
        )
