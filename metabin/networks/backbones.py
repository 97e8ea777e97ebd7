"""Backbones: StreetNet for a laptop's CPU, torchvision's ResNets, the paper's MobileNetV2.

A backbone turns images (N, 3, H, W) into maps (N, out_channels, h, w). It is built with
BatchNorm2d layers, takes its weights, and only then has its norms converted.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from metabin.networks.normalizations import convert_norm
from metabin.networks.pretrained import load_weights


class _Block(nn.Module):
    """A basic residual block of two 3x3 convolutions; a 1x1 shortcut where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class StreetNet(nn.Sequential):
    """A residual network for the streets: (N, 3, H, W) -> (N, 64, H/8, W/8).

    It has 11 norm layers and 151,376 parameters.
    """

    out_channels = 64

    def __init__(self):
        super().__init__(
            nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
            _Block(16, 16, 1),
            _Block(16, 32, 2),
            _Block(32, 64, 2),
            _Block(64, 64, 1),
        )


def resnet(name: str, last_stride: int = 1) -> nn.Sequential:
    """torchvision's ResNet without pooling and classifier (He et al., [13]).

    (N, 3, H, W) -> (N, 512 or 2048, H/16, W/16). Re-ID keeps the last maps large: the stride of
    layer4 is `last_stride`, where ImageNet's is 2. The tensors keep their torchvision names.
    """
    # torchvision takes seconds, which StreetNet need not wait for.
    from torchvision.models import get_model

    net = get_model(name)
    for module in net.layer4.modules():
        if getattr(module, "stride", None) == (2, 2):
            module.stride = (last_stride, last_stride)
    backbone = nn.Sequential(OrderedDict(list(net.named_children())[:-2]))
    backbone.out_channels = net.fc.in_features
    return backbone


def conv_norm_relu(inputs: int, outputs: int, size=1, stride=1, groups=1) -> nn.Sequential:
    """A convolution, its norm and a ReLU6, as MobileNetV2 has them."""
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Sequential):
    """MobileNetV2's block: 1x1 expansion, 3x3 depthwise convolution, linear 1x1 projection.

    The input is added where it has the output's shape.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        inner = expansion * inputs
        # The order of these lines decides which initial values a seed gives.
        depthwise = conv_norm_relu(inner, inner, 3, stride, groups=inner)
        expand = conv_norm_relu(inputs, inner)
        project = conv_norm_relu(inner, outputs)[:2]  # no ReLU6 behind the projection
        super().__init__(expand, depthwise, project)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Sequential):
    """The paper's MobileNetV2 (Sandler et al., [32]).

    (N, 3, H, W) -> (N, 1280 * max(1, width), H/16, W/16): a stem, seven stages of blocks, a head.
    Not torchvision's: channels are int(c * width), unrounded, and the first block has its 1x1
    expansion although it expands nothing, so there are 53 norm layers instead of 52. The stride
    of the sixth stage, the last that has one, is `last_stride`, where ImageNet's is 2.
    """

    def __init__(self, width: float = 1.0, last_stride: int = 1):
        widths = [int(c * width) for c in (32, 16, 24, 32, 64, 96, 160, 320)]
        blocks, strides = (1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 2, 1, last_stride, 1)
        stages = []
        for number, (count, stride) in enumerate(zip(blocks, strides, strict=True)):
            inputs, outputs = widths[number], widths[number + 1]
            expansion = 6 if number else 1
            rest = [InvertedResidual(outputs, outputs, 1, expansion) for _ in range(count - 1)]
            first = InvertedResidual(inputs, outputs, stride, expansion)
            stages.append(nn.Sequential(first, *rest))
        out_channels = int(1280 * max(1, width))
        stem, head = conv_norm_relu(3, widths[0], 3, 2), conv_norm_relu(widths[-1], out_channels)
        super().__init__(stem, *stages, head)
        self.out_channels = out_channels


# Yours is one line, `BACKBONES["mine"] = function`, from any file. The function builds a network
# of BatchNorm2d layers with an attribute `out_channels`.
BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "streetnet": StreetNet,
    "mobilenetv2_x1_0": partial(MobileNetV2, 1.0),
    "mobilenetv2_x1_4": partial(MobileNetV2, 1.4),
    "resnet18": partial(resnet, "resnet18"),
    "resnet34": partial(resnet, "resnet34"),
    "resnet50": partial(resnet, "resnet50"),
    "resnet101": partial(resnet, "resnet101"),
    "resnet152": partial(resnet, "resnet152"),
}


def build_backbone(name: str, norm: str = "bn", weights: Path | str | None = None) -> nn.Module:
    """The backbone `name` with the normalization `norm`, from scratch or with ImageNet weights.

    Raises ValueError for an unknown name, and what `load_weights` and `convert_norm` raise.
    """
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}: choose one of {', '.join(BACKBONES)}")
    backbone = BACKBONES[name]()
    if weights is not None:
        load_weights(backbone, name, weights)
    return convert_norm(backbone, norm)
