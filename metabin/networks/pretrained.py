"""ImageNet weights for backbones: torchvision's, deep-person-reid's, or another project's."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

# Weights that torchvision downloads: a backbone's name -> torchvision's.
DOWNLOADS = {
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "resnet152": "resnet152",
    "mobilenetv2_x1_0": "mobilenet_v2",
}
# What numpy's numbers are read by, which other projects keep beside their weights: it runs nothing.
SCALAR, _ = numpy.float64().__reduce__()
NUMPY = [numpy.dtype, *(kind for kind in vars(numpy.dtypes).values() if isinstance(kind, type))]
NUMPY += [(SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]  # numpy 1, 2


def load_weights(backbone: nn.Module, name: str, weights: Path | str) -> None:
    """Load trained weights into a backbone that still has its BatchNorm2d layers.

    `weights` is "imagenet", for those that torchvision downloads (ResNets, MobileNetV2 x1.0), or
    the path of a file (.pth, .pth.tar, .safetensors) with the names of torchvision's network, for
    MobileNetV2 also deep-person-reid's, or of `save_model`. They may stand below a prefix, as
    `backbone.` is in other projects; a classifier and what else stands beside it are left out.
    torchvision's MobileNetV2 gets an identity as the first block's expansion, which changes nothing
    in eval mode; in train mode its norm normalizes.
    Raises FileNotFoundError; ConnectionError when a download fails; ValueError when the file holds
    no weights or others.
    """
    if weights == "imagenet":
        source, tensors = _download(name)
    else:
        source, tensors = weights, _read(Path(weights).expanduser())
    state = backbone.state_dict()
    layouts = [{key: key for key in state}]  # a tensor's name in the file -> in the backbone
    if type(backbone).__name__ == "MobileNetV2":
        layouts = [{_zoo_name(key): key for key in state}, _torchvision_names(state)]
    loaded, names = _best_fit(tensors, layouts)
    if len(names) < len(state):  # torchvision has no expansion in the first block
        state |= _identity(backbone)
    problems = _compare(loaded, names, state)
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(f"{source} does not fit {name}: {'; '.join(problems[:3])}{more}")
    backbone.load_state_dict(state | {names[key]: tensor for key, tensor in loaded.items()})


def _best_fit(
    tensors: dict[str, Tensor], layouts: list[dict[str, str]]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors below the prefix, and the layout of names, that have most names in common."""
    tensors = {key.removeprefix("module."): tensor for key, tensor in tensors.items()}
    prefixes = {"": None}  # in order, each once
    for key in tensors:
        names = key.split(".")
        prefixes |= {".".join(names[:count]) + ".": None for count in range(1, len(names))}
    fits = []
    for prefix in prefixes:
        inner = {}
        for key, tensor in tensors.items():
            name = key.removeprefix(prefix)
            if key.startswith(prefix) and not name.startswith(("fc.", "classifier.")):
                inner[name] = tensor
        fits += [(inner, names) for names in layouts]
    return max(fits, key=lambda fit: len(fit[0].keys() & fit[1].keys()))


def _compare(
    loaded: dict[str, Tensor], names: dict[str, str], state: dict[str, Tensor]
) -> list[str]:
    """What is missing, unexpected or of another shape in the loaded tensors."""
    absent = [key for key in names if key not in loaded]
    problems = [f"{key} is missing" for key in absent if not key.endswith("num_batches_tracked")]
    problems += [f"{key} is unexpected" for key in loaded if key not in names]
    for key in names:
        if key in loaded:
            shape, needed = tuple(loaded[key].shape), tuple(state[names[key]].shape)
            if shape != needed:
                problems.append(f"{key} has the shape {shape} instead of {needed}")
    return problems


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file: all that it holds, or the one dictionary of tensors in it."""
    if not path.exists():
        raise FileNotFoundError(f"no weights at {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(NUMPY):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # several unrelated types; most mean the same to the reader
        code = re.search(r"GLOBAL (\S+)", str(error))
        if isinstance(error, UnpicklingError) and code:
            raise ValueError(
                f"{path} holds code ({code[1]}), which is not run: where it was written, save the "
                "weights alone by torch.save(model.state_dict(), file)"
            ) from None
        raise ValueError(f"{path} is damaged or no file of weights") from error
    entries = content if isinstance(content, Mapping) else {}
    weights = [value for value in (content, *entries.values()) if _is_weights(value)]
    if _is_weights(entries.get("state_dict")):
        weights = [entries["state_dict"]]  # beside it, others may be averages
    if len(weights) != 1:
        kinds = [f"{key!r} ({type(value).__name__})" for key, value in entries.items()]
        what = (
            f"{type(content).__name__} of {', '.join(kinds)}" if kinds else type(content).__name__
        )
        raise ValueError(
            f"{path} holds {len(weights)} sets of weights, not one: it is a {what:.200}"
        )
    return dict(weights[0])


def _is_weights(value: Any) -> bool:
    """Whether a file's value is a dictionary of tensors by name."""
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(tensor, Tensor) for tensor in value.values())


def _download(name: str) -> tuple[str, dict[str, Tensor]]:
    if name not in DOWNLOADS:
        other = "''"
        if name.startswith("mobilenet"):
            other = "the path of deep-person-reid's file, or to '' for random ones"
        raise ValueError(
            f"torchvision has no ImageNet weights of {name}: set weights (--weights) to {other}"
        )
    from torchvision.models import get_model_weights

    entry = get_model_weights(DOWNLOADS[name])["IMAGENET1K_V1"]  # V2 came after the paper
    try:
        return entry.url, entry.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network, or a damaged download
        raise ConnectionError(
            f"{entry.url} could not be loaded ({error}): give that file's path as weights"
        ) from error


def _torchvision_names(state: dict[str, Tensor]) -> dict[str, str]:
    """torchvision's name of each tensor of MobileNetV2; the order is the same.

    torchvision has no expansion in the first block.
    """
    from torchvision.models import mobilenet_v2

    with torch.device("meta"):
        theirs = mobilenet_v2().features.state_dict(prefix="features.")
    ours = [key for key in state if not key.startswith("1.0.0.")]
    return dict(zip(theirs, ours, strict=True))


def _identity(backbone: nn.Module) -> dict[str, Tensor]:
    """An expansion of the first block that changes nothing behind a ReLU6, in eval mode."""
    conv, norm, _ = backbone[1][0][0]
    state = {
        "0.weight": nn.init.dirac_(torch.empty_like(conv.weight)),
        "1.weight": torch.full_like(norm.weight, math.sqrt(1 + norm.eps)),
        "1.bias": torch.zeros_like(norm.bias),
        "1.running_mean": torch.zeros_like(norm.running_mean),
        "1.running_var": torch.ones_like(norm.running_var),
        "1.num_batches_tracked": torch.zeros_like(norm.num_batches_tracked),
    }
    return {f"1.0.0.{key}": value for key, value in state.items()}


def _zoo_name(key: str) -> str:
    """deep-person-reid's name of a tensor of MobileNetV2: 3.1.0.1.bias is conv4.1.conv1.bn.bias."""
    stage, *path, layer, kind = key.split(".")
    if path:
        path = [path[0], ("conv1", "dwconv2", "conv3")[int(path[1])]]
    if path[1:] != ["conv3"]:
        layer = ("conv", "bn")[int(layer)]
    return ".".join([f"conv{int(stage) + 1}", *path, layer, kind])
