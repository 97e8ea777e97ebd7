"""Backbones: StreetNet for a laptop's CPU, torchvision's ResNets, the paper's MobileNetV2, and ImageNet weights for them.

A backbone turns images (N, 3, H, W) into maps (N, out_channels, h, w). It is built with BatchNorm2d layers, takes its
weights, and only then has its norms converted.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from metabin.networks.normalizations import convert_norm


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
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

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


def resnet(name: str, last_stride: int = 1) -> nn.Sequential:
    """torchvision's ResNet without pooling and classifier (He et al., [13]): (N, 3, H, W) -> (N, 512 or 2048, H/16, W/16).

    Re-ID keeps the last maps large: the stride of layer4 is `last_stride`, where ImageNet's is 2. The tensors keep their
    torchvision names.
    """
    from torchvision.models import (
        get_model,  # here, since it takes seconds that StreetNet need not wait for
    )

    net = get_model(name)
    for module in net.layer4.modules():
        if getattr(module, "stride", None) == (2, 2):
            module.stride = (last_stride, last_stride)
    backbone = nn.Sequential(OrderedDict(list(net.named_children())[:-2]))
    backbone.out_channels = net.fc.in_features
    return backbone


def _conv(
    inputs: int, outputs: int, size: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Sequential):
    """MobileNetV2's block: 1x1 expansion, 3x3 depthwise convolution, linear 1x1 projection, and the input where it fits."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        inner = expansion * inputs
        depthwise = _conv(inner, inner, 3, stride, groups=inner)
        super().__init__(
            _conv(inputs, inner), depthwise, _conv(inner, outputs)[:2]
        )  # no ReLU6 behind the projection
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Sequential):
    """The paper's MobileNetV2 (Sandler et al., [32]): (N, 3, H, W) -> (N, 1280 * max(1, width), H/16, W/16).

    Not torchvision's: channels are int(c * width), unrounded, and the first block has its 1x1 expansion although it
    expands nothing, so there are 53 norm layers instead of 52. A stem, seven stages of blocks, a head. The stride of the
    sixth stage, the last that has one, is `last_stride`, where ImageNet's is 2.
    """

    def __init__(self, width: float = 1.0, last_stride: int = 1):
        expansions, channels = (1, 6, 6, 6, 6, 6, 6), (16, 24, 32, 64, 96, 160, 320)
        blocks, strides = (1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 2, 1, last_stride, 1)
        widths = [int(c * width) for c in (32, *channels)]
        stages = []
        for expansion, inputs, outputs, n, stride in zip(
            expansions, widths, widths[1:], blocks, strides, strict=False
        ):
            rest = [InvertedResidual(outputs, outputs, 1, expansion) for _ in range(n - 1)]
            stages.append(
                nn.Sequential(InvertedResidual(inputs, outputs, stride, expansion), *rest)
            )
        out_channels = int(1280 * max(1, width))
        super().__init__(_conv(3, widths[0], 3, 2), *stages, _conv(widths[-1], out_channels))
        self.out_channels = out_channels


RESNETS = tuple(f"resnet{depth}" for depth in (18, 34, 50, 101, 152))
BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "streetnet": StreetNet,
    "mobilenetv2_x1_0": partial(MobileNetV2, 1.0),
    "mobilenetv2_x1_4": partial(MobileNetV2, 1.4),
    **{name: partial(resnet, name) for name in RESNETS},
}


def build_backbone(name: str, norm: str = "bn", weights: Path | str | None = None) -> nn.Module:
    """The backbone `name` with the normalization `norm`, from scratch or with ImageNet weights (see `load_weights`).

    Raises ValueError for an unknown name, and what `load_weights` and `convert_norm` raise.
    """
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}: choose one of {', '.join(BACKBONES)}")
    backbone = BACKBONES[name]()
    if weights is not None:
        load_weights(backbone, name, weights)
    return convert_norm(backbone, norm)


def load_weights(backbone: nn.Module, name: str, weights: Path | str) -> None:
    """Give a backbone that still has its BatchNorm2d layers the weights of a network trained on ImageNet.

    `weights` is "imagenet", for those that torchvision downloads (ResNets, MobileNetV2 x1.0), or the path of a file
    (.pth or .safetensors): torchvision's, or for MobileNetV2 one of deep-person-reid's. The classifier is left out.
    torchvision's MobileNetV2 gets an identity as the first block's expansion, which changes nothing in eval mode; in
    train mode its norm normalizes.
    Raises FileNotFoundError; ConnectionError when a download fails; ValueError when the weights don't fit.
    """
    source, state = (
        _download(name) if weights == "imagenet" else (weights, _read(Path(weights).expanduser()))
    )
    state = {key.removeprefix("module."): value for key, value in state.items()}
    state = {
        key: value for key, value in state.items() if not key.startswith(("fc.", "classifier."))
    }
    own = backbone.state_dict()
    names = {key: key for key in own}  # a tensor's name in the file -> in the backbone
    if isinstance(backbone, MobileNetV2) and any(key.startswith("features.") for key in state):
        names, own = _torchvision_names(backbone), own | _identity(backbone)
    elif isinstance(backbone, MobileNetV2):
        names = {_zoo_name(key): key for key in own}
    wrong = [
        f"{key} is missing"
        for key in names
        if key not in state and not key.endswith("num_batches_tracked")
    ]
    wrong += [f"{key} is unexpected" for key in state if key not in names]
    shapes = {
        key: (tuple(state[key].shape), tuple(own[names[key]].shape))
        for key in names
        if key in state
    }
    wrong += [
        f"{key} has the shape {has} instead of {needs}"
        for key, (has, needs) in shapes.items()
        if has != needs
    ]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"{source} does not fit {name}: {'; '.join(wrong[:3])}{more}")
    backbone.load_state_dict(own | {names[key]: value for key, value in state.items()})


def _read(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        raise FileNotFoundError(f"no weights at {path}")
    try:
        safe = path.suffix == ".safetensors"
        state = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
        state = dict(state.get("state_dict", state))
        if not all(isinstance(value, Tensor) for value in state.values()):
            raise TypeError("not all of its values are tensors")
    except Exception as error:  # several unrelated types; each means the same to the reader
        raise ValueError(
            f"{path} is damaged, holds pickled code or is no file of weights"
        ) from error
    return state


def _download(name: str) -> tuple[str, dict[str, Tensor]]:
    if name not in (*RESNETS, "mobilenetv2_x1_0"):
        other = (
            "the path of deep-person-reid's file, or to '' for random ones"
            if name.startswith("mobilenet")
            else "''"
        )
        raise ValueError(
            f"torchvision has no ImageNet weights of {name}: set weights (--weights) to {other}"
        )
    from torchvision.models import get_model_weights

    entry = get_model_weights(name if name in RESNETS else "mobilenet_v2")[
        "IMAGENET1K_V1"
    ]  # V2 came after the paper
    try:
        return entry.url, entry.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network, or a damaged download
        raise ConnectionError(
            f"{entry.url} could not be loaded ({error}): give that file's path as weights"
        ) from error


def _torchvision_names(backbone: MobileNetV2) -> dict[str, str]:
    """torchvision's name of each tensor but the first block's expansion, which it doesn't have; the order is the same."""
    from torchvision.models import mobilenet_v2

    with torch.device("meta"):
        theirs = mobilenet_v2().features.state_dict(prefix="features.")
    return dict(
        zip(
            theirs,
            (key for key in backbone.state_dict() if not key.startswith("1.0.0.")),
            strict=True,
        )
    )


def _identity(backbone: MobileNetV2) -> dict[str, Tensor]:
    """An expansion of the first block that leaves what comes behind a ReLU6 as it is, in eval mode."""
    expansion = _conv(*backbone[1][0][0][0].weight.shape[:2])
    nn.init.dirac_(expansion[0].weight)
    nn.init.constant_(expansion[1].weight, math.sqrt(1 + expansion[1].eps))
    return expansion.state_dict(prefix="1.0.0.")


def _zoo_name(own: str) -> str:
    """deep-person-reid's name of a tensor of MobileNetV2: 3.1.0.1.bias is its conv4.1.conv1.bn.bias."""
    stage, *place, layer, kind = own.split(".")
    if place:
        place = [place[0], ("conv1", "dwconv2", "conv3")[int(place[1])]]
    if place[1:] != ["conv3"]:
        layer = ("conv", "bn")[int(layer)]
    return ".".join([f"conv{int(stage) + 1}", *place, layer, kind])
