"""Numbers about what the balancing parameters do. No drawing here: `plotting` turns these numbers into figures."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from sklearn.manifold import TSNE
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from metabin.augment import normalize
from metabin.evaluate import eval_mode, paired_interval, retrieval
from metabin.images import ImageSet
from metabin.losses import META_TRAIN, Criterion
from metabin.meta import Batch, base_step, inner_step, meta_step
from metabin.model import ReIDModel
from metabin.norm import balancing_parameters, frozen_running_stats
from metabin.normalizations import HalfNorm2d
from metabin.samplers import split_domains
from metabin.streets import STYLE, through_camera
from metabin.train import Batches, Run, join

# ---- a training run looked at from outside ------------------------------------------------------------------------


def rho_summary(extractor: nn.Module) -> torch.Tensor:
    """Mean and quartiles of rho in each layer and, in the last row, over all channels: (layers + 1, 4), as in Fig. 11.

    Columns: mean, 25 %, 50 %, 75 %.
    """
    layers = [r.detach() for r in balancing_parameters(extractor).values()]
    quartiles = torch.tensor([0.25, 0.5, 0.75], device=layers[0].device)
    rows = [torch.cat([r.mean()[None], r.quantile(quartiles)]) for r in (*layers, torch.cat(layers))]
    return torch.stack(rows).cpu()  # (layers + 1, 4)


def rho_distribution(extractor: nn.Module, bins: int = 10) -> torch.Tensor:
    """The share of each layer's channels whose rho lies in each of `bins` equal parts of [0, 1], as in Figs. 4, 9 and 10.

    (layers, bins); rows sum to 1.
    """
    layers = [r.detach().clamp(0, 1).cpu() for r in balancing_parameters(extractor).values()]
    return torch.stack([torch.histc(r, bins, 0, 1) / len(r) for r in layers])


def embed_in_plane(features: Tensor, perplexity: float = 30.0, seed: int = 0) -> Tensor:
    """t-SNE by scikit-learn of features (N, D) under cosine distance, as in Fig. 3: (N, 2).

    Starts from principal components, so that the same seed gives the same picture. Distances between far groups mean
    nothing in it. Raises ValueError where the perplexity is not below N.
    """
    if perplexity >= len(features):
        raise ValueError(f"perplexity={perplexity} must be below the number of points, {len(features)}")
    unit = F.normalize(features.float(), dim=1).cpu().numpy()  # here Euclidean order is cosine order
    return torch.from_numpy(TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(unit))


def step_costs(run: Run, rounds: int = 10) -> dict[str, list[float]]:
    """Seconds that each part of an iteration takes, `rounds` times: data, base step, meta-train, meta-test.

    The run is put back to where it was. Meta-test is what `meta_step` takes beyond its `inner_step`.
    """
    before = copy.deepcopy(run.state_dict())
    config, extractor, rho = run.config, run.model.extractor, balancing_parameters(run.model.extractor)
    costs = {part: [] for part in ("data", "base step", "meta-train", "meta-test")}

    def seconds(work: Callable) -> tuple[float, object]:
        started = time.perf_counter()
        result = work()
        if run.device.type == "cuda":
            torch.cuda.synchronize(run.device)
        return time.perf_counter() - started, result

    with eval_mode(run.model):
        run.model.train()
        for _ in range(rounds):
            data, (base, meta) = seconds(lambda: (join(run.base_batches.draw()), run.meta_batches.draw()))
            train_part, test_part = join(meta[: run.num_meta_train]), join(meta[run.num_meta_train :])
            base, _ = seconds(lambda batch=base: base_step(run.model, run.optimizer, batch, run.base))
            inner, _ = seconds(lambda batch=train_part: inner_step(extractor, rho, batch, config.inner_lr_high))
            sides = train_part, test_part
            both, _ = seconds(lambda sides=sides: meta_step(extractor, *sides, config.inner_lr_high, config.outer_lr))
            for part, cost in zip(costs, (data, base, inner, both - inner), strict=True):
                costs[part].append(cost)
    run.load_state_dict(before)
    return costs


# ---- what the inner step does (Section 3.3, Fig. 1c) ---------------------------------------------------------------

INNER_LOSSES = {  # which parts of Eq. 8 move rho
    "triplet": ("triplet",),
    "scatter + shuffle": ("scatter", "shuffle"),
    "all": ("scatter", "shuffle", "triplet"),
}


def inner_gradients(
    extractor: nn.Module, batch: Batch, criterion: Criterion = META_TRAIN
) -> dict[str, dict[str, torch.Tensor]]:
    """Gradient of each part of the meta-train loss with respect to rho (Eq. 9 and Fig. 5): part -> name -> (C,).

    A positive gradient moves rho toward IN, a negative one toward BN.
    """
    rho = balancing_parameters(extractor)
    with frozen_running_stats(extractor):
        features = extractor(batch.images)  # (N, D)
    _, parts = criterion(features, None, batch)
    gradients = {part: torch.autograd.grad(x, list(rho.values()), retain_graph=True) for part, x in parts.items()}
    return {part: dict(zip(rho, found, strict=True)) for part, found in gradients.items()}


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


def inner_step_effect(
    run: Run, people: ImageSet, step_sizes: Sequence[float], splits: int = 6, deployed: bool = False, seed: int = 0
) -> dict[str, dict[str, torch.Tensor]]:
    """What the virtual move from rho to rho' (Eq. 9) does to the meta-test domains: loss -> quantity -> (splits, 1 + sizes).

    The first column is rho itself. In each split, a meta-train batch moves rho by each of INNER_LOSSES; then the meta-test
    streets' `people` are looked at: mAP and rank1 (mean over streets), `style` (which street and camera) and `identity`
    (from one camera to the other) as read by linear probes, and the mean move of rho (positive: toward BN). BN normalizes
    the meta-test streets by their own statistics, as in the meta-step, or by the running ones (`deployed`). Domain d of
    `people` is domain d of the run, which stays as it is. Raises ValueError when the streets differ.
    """
    if people.names != run.images.names:
        raise ValueError(f"people must come from the run's streets {run.images.names}, not {people.names}")
    model, rho = run.model, balancing_parameters(run.model.extractor)
    batches = Batches(run.config, run.images, seed)
    rows = {loss: [] for loss in INNER_LOSSES}
    with eval_mode(model):
        for _ in range(splits):
            drawn = batches.draw()
            meta_train, meta_test = split_domains(len(drawn), run.num_meta_train, batches.generator)
            model.extractor.train()
            gradients = inner_gradients(model.extractor, join([drawn[d] for d in meta_train]))
            model.extractor.train(not deployed)
            streets = people[torch.isin(people.domains, meta_test)]
            start = _look(model, rho, rho, streets)
            for loss, parts in INNER_LOSSES.items():
                pull = {name: sum(gradients[part][name] for part in parts) for name in rho}
                moved = [
                    {name: (r - b * pull[name]).detach().clamp(0, 1) for name, r in rho.items()} for b in step_sizes
                ]
                rows[loss].append([start, *(_look(model, rho, to, streets) for to in moved)])
    quantities = next(iter(rows.values()))[0][0]
    return {
        loss: {q: torch.tensor([[cell[q] for cell in row] for row in table]) for q in quantities}
        for loss, table in rows.items()
    }


def inner_step_changes(effect: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """From rho to rho', as mean over splits with its 95 % interval: loss -> quantity -> (sizes, 3), of `inner_step_effect`.

    The splits share one network: the interval says what another split and batch would give, not another training.
    """
    return {
        loss: {q: torch.tensor([paired_interval(c) for c in (v[:, 1:] - v[:, :1]).T]) for q, v in values.items()}
        for loss, values in effect.items()
    }


@torch.no_grad()
def _look(model: ReIDModel, rho: dict, moved: dict, streets: ImageSet) -> dict[str, float]:
    """The quantities of `inner_step_effect` at rho', with the extractor in the mode that it is in."""
    images = normalize(streets.images.to(next(model.parameters()).device))
    with frozen_running_stats(model.extractor):
        features = model.neck(functional_call(model.extractor, moved, images)).cpu()  # (N, D)
    query = streets.camids == streets.camids.min()  # (N,)
    found = []
    for d in streets.domains.unique():
        q, g = query & (streets.domains == d), ~query & (streets.domains == d)
        found.append(retrieval(features[q], features[g], streets.pids[q], streets.pids[g]))
    place = streets.domains * (int(streets.camids.max()) + 1) + streets.camids  # (N,)
    return {
        "mAP": sum(r.mAP for r in found) / len(found),
        "rank1": sum(r.rank1 for r in found) / len(found),
        "style": read_linearly(features, place, streets.pids % 2 == 0),
        "identity": read_linearly(features, streets.pids, ~query),
        "move": torch.cat([moved[name] - r for name, r in rho.items()]).mean().item(),
    }


# ---- style and identity, read from features ------------------------------------------------------------------------

NORM_LAYERS = (nn.BatchNorm2d, nn.InstanceNorm2d, HalfNorm2d)  # BatchInstanceNorm2d is a BatchNorm2d
BANDS = 4  # head, torso, legs, feet


def restyle(images: Tensor, seed: int = 0, **style: float) -> Tensor:
    """Pictures (N, 3, H, W) uint8 seen once more, by a camera of this style; what is not named (of STYLE) is neutral."""
    neutral = {name: value for name, (value, *_) in STYLE.items()}
    if unknown := style.keys() - neutral.keys():
        raise ValueError(f"unknown style {', '.join(sorted(unknown))}: choose of {', '.join(neutral)}")
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
        images=torch.cat([restyle(people.images, seed, **style) for seed, style in enumerate(styles)]),
        pids=people.pids.repeat(len(styles)),
        camids=people.camids.repeat(len(styles)),
        domains=torch.arange(len(styles)).repeat_interleave(count),
        names=tuple(f"style {number}" for number in range(len(styles))),
    )


def norm_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The normalization layers by name, in their order; a layer of two halves is one layer."""
    found = {name: module for name, module in model.named_modules() if isinstance(module, NORM_LAYERS)}
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
