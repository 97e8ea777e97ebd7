"""Style and identity, read from the features of each layer."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from metabin.data.augment import normalize
from metabin.data.images import ImageSet
from metabin.evaluate.retrieval import eval_mode
from metabin.networks.model import ReIDModel
from metabin.networks.normalizations import HalfNorm2d
from metabin.streets import STYLE, through_camera

NORM_LAYERS = (nn.BatchNorm2d, nn.InstanceNorm2d, HalfNorm2d)  # BatchInstanceNorm2d is the first
BANDS = 4  # head, torso, legs, feet


def restyle(images: Tensor, seed: int = 0, **style: float) -> Tensor:
    """Pictures (N, 3, H, W) uint8 seen once more, by a camera of this style (else neutral).

    Raises ValueError for an unknown name.
    """
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
    rng, styles = np.random.default_rng(seed), []
    for _ in range(count):
        style = {}
        for name, (neutral, spread, low, high) in STYLE.items():
            value = neutral + strength * spread * rng.standard_normal()
            style[name] = float(np.clip(value, low, high))
        styles.append(style)
    return styles


def cross_styles(people: ImageSet, styles: Sequence[dict[str, float]]) -> ImageSet:
    """Every picture in every style, whose number is its domain."""
    images = [restyle(people.images, seed, **style) for seed, style in enumerate(styles)]
    return ImageSet(
        images=torch.cat(images),
        pids=people.pids.repeat(len(styles)),
        camids=people.camids.repeat(len(styles)),
        domains=torch.arange(len(styles)).repeat_interleave(len(people)),
        names=tuple(f"style {number}" for number in range(len(styles))),
    )


def read_linearly(features: Tensor, labels: Tensor, train: Tensor) -> float:
    """The share of labels (N,) that a linear probe names right from features (N, D).

    scikit-learn's ridge classifier on standardized features, fitted on the rows in `train` (N,)
    bool, tested on the others.
    """
    x, y, train = features.double().cpu().numpy(), labels.cpu().numpy(), train.cpu().numpy()
    probe = make_pipeline(StandardScaler(), RidgeClassifier()).fit(x[train], y[train])
    return float(probe.score(x[~train], y[~train]))


def norm_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The normalization layers by name, in their order; a layer of two halves is one layer."""
    layers = {}
    for name, module in model.named_modules():
        if isinstance(module, NORM_LAYERS) and name.rpartition(".")[0] not in layers:
            layers[name] = module
    return layers


def read_layers(
    model: ReIDModel,
    images: Tensor,
    layers: Mapping[str, nn.Module],
    read: Callable[[nn.Module, Tensor, Tensor], Tensor],
) -> dict[str, Tensor]:
    """What `read` makes of each layer's input and output, by name, over all images.

    images (N, 3, H, W) uint8; read(layer, input, output) -> (N, ...). The model stays as it is.
    """
    values, device = defaultdict(list), next(model.parameters()).device

    def hook_of(name: str):
        def hook(layer, inputs, output):
            values[name].append(read(layer, inputs[0], output).cpu())

        return hook

    hooks = [layer.register_forward_hook(hook_of(name)) for name, layer in layers.items()]
    try:
        with eval_mode(model), torch.inference_mode():
            for batch in images.split(256):
                model.extractor(normalize(batch.to(device)))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.cat(batches) for name, batches in values.items()}


def layer_features(model: ReIDModel, images: ImageSet) -> dict[str, Tensor]:
    """What each norm layer lets through: its output's mean and deviation, (N, 2 * BANDS * C).

    In bands one below the other: over the *whole* picture an IN layer's mean and deviation are its
    bias and weight, whatever the picture.
    """

    def bands(layer, x, output):
        mean = F.adaptive_avg_pool2d(output, (BANDS, 1)).flatten(1)  # (N, C * BANDS)
        square = F.adaptive_avg_pool2d(output.square(), (BANDS, 1)).flatten(1)  # (N, C * BANDS)
        deviation = (square - mean.square()).clamp(min=0).sqrt()  # (N, C * BANDS)
        return torch.cat((mean, deviation), 1)

    return read_layers(model, images.images, norm_layers(model.extractor), bands)


def style_and_identity(model: ReIDModel, crossed: ImageSet) -> dict[str, dict[str, float]]:
    """How well style and identity can be read from each norm layer of a model.

    `crossed` is of `cross_styles`. Style: fitted on half of the people, read on the others.
    Identity: fitted on the first camera's pictures in the first half of the styles, read on the
    other cameras' in the same and in the other styles.
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
