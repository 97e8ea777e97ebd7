"""Style and identity, read from the features of each layer."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabin.data.augment import normalize
from metabin.data.images import ImageSet
from metabin.evaluate.retrieval import eval_mode
from metabin.networks.model import ReIDModel
from metabin.networks.normalizations import HalfNorm2d
from metabin.streets import STYLE, through_camera

NORM_LAYERS = (
    nn.BatchNorm2d,
    nn.InstanceNorm2d,
    HalfNorm2d,
)  # BatchInstanceNorm2d is a BatchNorm2d
BANDS = 4  # head, torso, legs, feet


def restyle(images: Tensor, seed: int = 0, **style: float) -> Tensor:
    """Pictures (N, 3, H, W) uint8 seen once more, by a camera of this style; what is not named (of STYLE) is neutral."""
    neutral = {name: value for name, (value, *_) in STYLE.items()}
    if unknown := style.keys() - neutral.keys():
        raise ValueError(
            f"unknown style {', '.join(sorted(unknown))}: choose of {', '.join(neutral)}"
        )
    pixels = np.float32(images.cpu().numpy().swapaxes(0, 1)) / 255  # (3, N, H, W)
    seen = through_camera(pixels, neutral | style, np.random.default_rng(seed))
    return torch.from_numpy(np.ascontiguousarray(seen.swapaxes(0, 1)))


def random_styles(count: int, strength: float = 1.0, seed: int = 0) -> list[dict[str, float]]:
    """Styles as streets have them where World.style is `strength`."""
    rng = np.random.default_rng(seed)
    return [
        {
            name: float(np.clip(neutral + strength * spread * rng.standard_normal(), low, high))
            for name, (neutral, spread, low, high) in STYLE.items()
        }
        for _ in range(count)
    ]


def cross_styles(people: ImageSet, styles: Sequence[dict[str, float]]) -> ImageSet:
    """Every picture in every style, so that style and identity can be told apart: the domain is the style's number."""
    count = len(people)
    return ImageSet(
        images=torch.cat(
            [restyle(people.images, seed, **style) for seed, style in enumerate(styles)]
        ),
        pids=people.pids.repeat(len(styles)),
        camids=people.camids.repeat(len(styles)),
        domains=torch.arange(len(styles)).repeat_interleave(count),
        names=tuple(f"style {number}" for number in range(len(styles))),
    )


def read_linearly(features: torch.Tensor, labels: torch.Tensor, train: torch.Tensor) -> float:
    """How well a label can be read from features: the share of rows that a linear probe names right.

    The probe is a ridge regression to one column per label on standardized features, fitted on the rows in `train`,
    tested on the others. features (N, D), labels (N,), train (N,) bool.
    """
    features = features.double()
    var, mean = torch.var_mean(features[train], 0, correction=0)  # (D,)
    scaled = (features - mean) / (var + 1e-12).sqrt()  # (N, D)
    names, columns = labels.unique(return_inverse=True)  # (L,), (N,)
    wanted = torch.nn.functional.one_hot(columns, len(names)).double()[train]  # (N_train, L)
    level = wanted.mean(0)  # (L,)
    x = scaled[train]  # (N_train, D)
    ridge = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    weights = torch.linalg.solve(x.T @ x + ridge, x.T @ (wanted - level))  # (D, L)
    named = (scaled[~train] @ weights + level).argmax(1)  # (N_test,)
    return (named == columns[~train]).double().mean().item()


def norm_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The normalization layers by name, in their order; a layer of two halves is one layer."""
    found = {
        name: module for name, module in model.named_modules() if isinstance(module, NORM_LAYERS)
    }
    return {name: layer for name, layer in found.items() if name.rpartition(".")[0] not in found}


def layer_features(model: ReIDModel, images: ImageSet, batch_size: int = 256) -> dict[str, Tensor]:
    """What each norm layer lets through, (N, 2 * BANDS * C) by layer: its output's mean and standard deviation in bands.

    Bands lie across the picture, one below the other. Over the *whole* picture an IN layer's mean and deviation are its
    bias and weight, whatever the picture: nothing could be read from them.
    """
    layers, parts = norm_layers(model.extractor), {}
    device = next(model.parameters()).device

    def keep(name):
        def hook(layer, inputs, output):
            bands = [
                F.adaptive_avg_pool2d(y, (BANDS, 1)).flatten(1) for y in (output, output.square())
            ]  # (N, BANDS * C)
            deviation = (bands[1] - bands[0].square()).clamp(min=0).sqrt()  # (N, BANDS * C)
            parts.setdefault(name, []).append(torch.cat((bands[0], deviation), 1).cpu())

        return hook

    hooks = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    try:
        with eval_mode(model), torch.inference_mode():
            for batch in images.images.split(batch_size):
                model.extractor(normalize(batch.to(device)))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.cat(batches) for name, batches in parts.items()}


def style_and_identity(model: ReIDModel, crossed: ImageSet) -> dict[str, dict[str, float]]:
    """From each norm layer of a model: how well style and identity can be read, and identity where the style is new.

    `crossed` is of `cross_styles`. Style: fitted on half of the people, read on the others. Identity: fitted on the first
    camera's pictures in the first half of the styles, read on the other cameras' in the same and in the other styles.
    """
    some_people = crossed.pids < crossed.pids.median()  # (N,)
    known = crossed.domains < crossed.num_domains / 2  # (N,)
    fitted = known & (crossed.camids == crossed.camids.min())  # (N,)
    others = crossed.camids != crossed.camids.min()  # (N,)
    readings = {}
    for name, features in layer_features(model, crossed).items():
        readings[name] = {"style": read_linearly(features, crossed.domains, some_people)}
        for kind, tested in {"known": others & known, "new": others & ~known}.items():
            rows = fitted | tested  # (N,)
            identity = read_linearly(features[rows], crossed.pids[rows], fitted[rows])
            readings[name][f"identity, {kind} styles"] = identity
    return readings


def chance(crossed: ImageSet) -> dict[str, float]:
    """What guessing would read of `style_and_identity`."""
    identity = 1 / crossed.num_ids
    return {
        "style": 1 / crossed.num_domains,
        "identity, known styles": identity,
        "identity, new styles": identity,
    }
