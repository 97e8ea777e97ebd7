"""What the balancing parameters of a finished network are worth, and what their channels carry.

Two questions, two means. *Surgery*: rho of a layer is set to other values and people are looked
for again. *Probe*: one takes pictures of which person and style are known, and asks for each
channel how much of what IN would remove is style.
Size letters: C channels, L layers, R resamples, S styles, P pictures, I identities.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from metabin.analysis.readings import cross_styles, random_styles, read_layers
from metabin.analysis.rho_at import Rho, rho_of, rho_set, settled
from metabin.data.augment import normalize
from metabin.data.images import ImageSet
from metabin.evaluate.intervals import paired_interval, percentiles
from metabin.evaluate.retrieval import Retrieval, evaluate
from metabin.networks.model import ReIDModel
from metabin.norm import balancing_parameters
from metabin.streets import World, make_streets

Operation = Callable[[Tensor], Tensor]
Interval = tuple[float, float, float]  # mean, low, high


# ---- surgery -------------------------------------------------------------------------

OPERATIONS: dict[str, Operation] = {
    "all BN": torch.ones_like,
    "all IN": torch.zeros_like,
    "layer's mean": lambda rho: rho.mean().expand_as(rho),
    "rounded": torch.round,
}


def shuffled(seed: int = 0) -> Operation:
    """An operation that gives each layer's values to other channels of that layer, by chance."""
    generator = torch.Generator().manual_seed(seed)
    return lambda rho: rho[torch.randperm(len(rho), generator=generator)]


def to_value(value: float) -> Operation:
    """An operation that gives every channel the same balance."""
    return lambda rho: torch.full_like(rho, value)


def operated(
    rho: Rho, operation: Operation, layers: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """rho with an operation done on some layers, by name (None: on all), the others as they are."""
    changed = {}
    for name, values in rho.items():
        values = values.detach()
        changed[name] = operation(values) if layers is None or name in layers else values
    return changed


def reassigned(rho: Rho, scores: Rho) -> dict[str, Tensor]:
    """Each layer's values of rho, dealt out anew: the higher a channel's score, the lower rho."""
    changed = {}
    for name, values in rho.items():
        order = scores[name].argsort().argsort()  # (C,)
        changed[name] = values.detach().sort(descending=True).values[order]
    return changed


def on_each_street(model: ReIDModel, people: ImageSet) -> list[Retrieval]:
    """Retrieval on each street by itself; the first camera's pictures are the queries."""
    first = people.camids == people.camids.min()  # (N,)
    results = []
    for street in people.domains.unique():
        here = people.domains == street  # (N,)
        results.append(evaluate(model, people[here & first], people[here & ~first]))
    return results


def surgery(
    model: ReIDModel,
    people: ImageSet,
    changed: Mapping[str, Rho],
    sources: ImageSet | None = None,
    seed: int = 0,
) -> dict[str, Tensor]:
    """mAP on each street with each of the `changed` rho: name -> (streets,), fractions.

    Weights stay as they were trained. So do running statistics, unless pictures of the sources are
    given: then they are collected anew for each rho, see `resettled`.
    """
    rates = {}
    for name, rho in changed.items():
        patient = model if sources is None else resettled(model, rho, sources, seed=seed)
        with rho_set(patient, rho):
            results = on_each_street(patient, people)
        rates[name] = torch.stack([result.values("mAP").mean() for result in results])
    return rates


def surgery_by_layer(model: ReIDModel, people: ImageSet, operation: Operation) -> Tensor:
    """How mAP changes when one layer after the other is operated on, (L, streets), fractions."""
    own = rho_of(model)
    changed = {name: operated(own, operation, [name]) for name in own}
    rates = surgery(model, people, {"own": own} | changed)
    return torch.stack([rates[name] - rates["own"] for name in own])


def differences(rates: Mapping[str, Sequence[float]], reference: str) -> dict[str, Interval]:
    """Paired difference of everything to the reference, mean and 95 % CI over streets or worlds."""
    intervals = {}
    for name, values in rates.items():
        if name != reference:
            change = torch.as_tensor(values) - torch.as_tensor(rates[reference])
            intervals[name] = paired_interval(change)
    return intervals


def resettled(
    model: ReIDModel, rho: Rho, sources: ImageSet, batch_size: int = 80, seed: int = 0
) -> ReIDModel:
    """`settled` on one pass over pictures of the sources, in an order by chance."""
    device = next(model.parameters()).device
    order = torch.randperm(len(sources), generator=torch.Generator().manual_seed(seed))
    # a rest would count as much as a whole batch
    whole = [index for index in order.split(batch_size) if len(index) == batch_size]
    return settled(model, rho, (normalize(sources.images[i].to(device)) for i in whole))


# ---- the probe -----------------------------------------------------------------------


def people_in_styles(world: World, num_styles: int = 8, seed: int = 0) -> ImageSet:
    """30 people of a neutral street, 4 pictures of each, in styles 1.5 times as strong as usual."""
    neutral = make_streets(replace(world, style=0), [20], num_ids=30, images_per_camera=2)
    return cross_styles(neutral, random_styles(num_styles, strength=1.5, seed=seed))


def input_statistics(model: ReIDModel, images: Tensor) -> dict[str, Tensor]:
    """What IN takes away: mean and log deviation of every channel at each BIN layer's input.

    (N, 2, C) for images (N, 3, H, W) uint8, by the name of the layer's rho.
    """

    def moments(layer, x, output):
        var, mean = torch.var_mean(x, (2, 3), correction=0)  # (N, C)
        return torch.stack((mean, 0.5 * (var + layer.eps).log()), 1)

    layers = {}
    for name in balancing_parameters(model.extractor):
        layers[name] = model.extractor.get_submodule(name.removesuffix(".rho"))
    return read_layers(model, images, layers, moments)


def variance_shares(values: Tensor, pids: Tensor) -> dict[str, Tensor]:
    """How much of a channel's variance is style and how much is identity.

    Every picture is seen in every style: values (S, P, ...), pids (P,). Eta squared of a two-way
    analysis of variance, "style" and "identity", (...) each: the variance of the styles' means and
    that of the people's. The rest is pose, background and noise. A channel that never moves has 0
    of both.
    """
    total = values.var((0, 1), correction=0)
    _, who, count = pids.unique(return_inverse=True, return_counts=True)  # (P,), (I,)
    sums = torch.zeros(len(count), *values.shape[2:], dtype=values.dtype)  # (I, ...)
    sums.index_add_(0, who, values.mean(0))
    means = (sums / count.view(-1, *[1] * (values.dim() - 2)))[who]  # (P, ...)
    parts = {"style": values.mean(1).var(0, correction=0), "identity": means.var(0, correction=0)}
    shares = {}
    for name, part in parts.items():
        shares[name] = torch.where(total > 0, part / total.clamp(min=1e-30), 0.0)
    return shares


def style_share_by_channel(model: ReIDModel, crossed: ImageSet) -> dict[str, dict[str, Tensor]]:
    """`variance_shares` of `input_statistics`, the mean over both.

    "style" or "identity" -> rho's name -> (C,). `crossed` is of `cross_styles`.
    """
    count = crossed.num_domains
    pids = crossed.pids.view(count, -1)[0]  # (P,)
    shares = {"style": {}, "identity": {}}
    for name, values in input_statistics(model, crossed.images).items():
        by_style = values.double().view(count, -1, *values.shape[1:])  # (S, P, 2, C)
        for kind, share in variance_shares(by_style, pids).items():
            shares[kind][name] = share.mean(0).float()
    return shares


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's rank correlation along the last dimension; 0 where one of both is constant."""
    ranks = [rankdata(x.detach().cpu().double().numpy(), axis=-1) for x in (a, b)]
    left, right = (r - r.mean(-1, keepdims=True) for r in ranks)
    size = np.sqrt((left**2).sum(-1) * (right**2).sum(-1))
    return torch.from_numpy(np.asarray((left * right).sum(-1) / np.where(size > 0, size, 1)))


def correlations(
    rho: Rho, shares: Rho, num: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Rank correlation of rho and of what channels carry, in each layer; "all": mean over layers.

    (value, low, high), 95 % CI over channels drawn with replacement within their layer: another
    training may differ by more.
    """
    generator = torch.Generator().manual_seed(seed)
    values, draws = {}, []
    for name, r in rho.items():
        drawn = torch.randint(len(r), (num, len(r)), generator=generator)  # (R, C)
        r, share = r.detach().cpu(), shares[name].cpu()
        draws.append(rank_correlation(r[drawn], share[drawn]))  # (R,)
        values[name] = (rank_correlation(r, share).item(), *percentiles(draws[-1]))
    overall = sum(value for value, *_ in values.values()) / len(values)
    return values | {"all": (overall, *percentiles(torch.stack(draws).mean(0)))}
