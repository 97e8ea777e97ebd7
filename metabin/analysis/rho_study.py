"""What the balancing parameters of a finished network are worth: changed by hand at test time, and what their channels carry.

Two questions, two means. *Surgery*: rho of a layer is set to other values and people are looked for again. *Probe*: one
takes pictures of which person and style are known, and asks for each channel how much of what IN would remove is style.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from metabin.data.augment import normalize
from metabin.data.images import ImageSet
from metabin.evaluate.intervals import percentiles
from metabin.evaluate.retrieval import Retrieval, eval_mode, evaluate
from metabin.networks.model import ReIDModel
from metabin.norm import balancing_parameters

Rho = Mapping[str, Tensor]  # by name, (C,) each
# Size letters: C channels, L layers, R resamples, S styles, P pictures, I identities.

# ---- rho as it is --------------------------------------------------------------------------------------------------


def parts_of(shares: Sequence[Sequence[float]]) -> dict[str, list[float]]:
    """Of `rho_distribution`'s rows (L, bins), the share of each layer's channels that lean to IN and to BN (rho below
    and above 0.5), and that are almost one of them (the outermost bins)."""
    half = len(shares[0]) // 2
    return {
        "to IN": [sum(row[:half]) for row in shares],
        "to BN": [sum(row[half:]) for row in shares],
        "almost IN": [row[0] for row in shares],
        "almost BN": [row[-1] for row in shares],
    }


def turns(means: Tensor, early: int) -> dict[str, Tensor]:
    """How a layer's mean rho changes from the start to the moment `early` and from there to the end, by seed.

    means (seeds, moments, L): "first" and "later", (seeds, L) each. A drop that rebounds is below 0 first, above 0 later.
    """
    return {"first": means[:, early] - means[:, 0], "later": means[:, -1] - means[:, early]}


# ---- surgery -------------------------------------------------------------------------------------------------------

OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "all BN": torch.ones_like,
    "all IN": torch.zeros_like,
    "layer's mean": lambda rho: rho.mean().expand_as(rho),
    "rounded": torch.round,
    "above ½ to 1": lambda rho: torch.where(rho > 0.5, 1.0, rho),
    "below ½ to 0": lambda rho: torch.where(rho < 0.5, 0.0, rho),
}


def shuffled(seed: int = 0) -> Callable[[Tensor], Tensor]:
    """An operation that gives each layer's values to other channels of that layer, by chance."""
    generator = torch.Generator().manual_seed(seed)
    return lambda rho: rho[torch.randperm(len(rho), generator=generator)]


def to_value(value: float) -> Callable[[Tensor], Tensor]:
    """An operation that gives every channel the same balance."""
    return lambda rho: torch.full_like(rho, value)


def operated(
    rho: Rho, operation: Callable[[Tensor], Tensor], layers: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """rho with an operation done on some layers, by name (None: on all), the others as they are; nothing is done in place."""
    return {
        name: operation(r.detach()) if layers is None or name in layers else r.detach()
        for name, r in rho.items()
    }


def reassigned(rho: Rho, scores: Rho) -> dict[str, Tensor]:
    """Each layer's own values of rho, dealt out anew: the higher a channel's score, the lower its rho (the more IN)."""
    return {
        name: r.detach().sort(descending=True).values[scores[name].argsort().argsort()]
        for name, r in rho.items()
    }


@contextmanager
def rho_set(model: ReIDModel, rho: Rho) -> Iterator[ReIDModel]:
    """Inside, the model has this rho; afterwards its own again. Raises ValueError for names that it hasn't."""
    own = balancing_parameters(model.extractor)
    if unknown := rho.keys() - own.keys():
        raise ValueError(
            f"no balancing parameters {', '.join(sorted(unknown))}: choose of {', '.join(own)}"
        )
    before = {name: own[name].detach().clone() for name in rho}
    try:
        _copy_to(own, rho)
        yield model
    finally:
        _copy_to(own, before)


@torch.no_grad()
def _copy_to(own: Rho, values: Rho) -> None:
    for name, value in values.items():
        own[name].copy_(value)


def on_each_street(model: ReIDModel, people: ImageSet) -> list[Retrieval]:
    """Retrieval on each street by itself: the first camera's pictures are the queries, the others' the gallery."""
    first = people.camids == people.camids.min()  # (N,)
    streets = [people.domains == d for d in people.domains.unique()]
    return [evaluate(model, people[here & first], people[here & ~first]) for here in streets]


def surgery(
    model: ReIDModel, people: ImageSet, changed: Mapping[str, Rho], metric: str = "mAP"
) -> dict[str, Tensor]:
    """Retrieval on each street with each of the `changed` rho in the model's layers: name -> (streets,), fractions.

    Weights and running statistics stay those that were trained with the model's own rho. The model is unchanged.
    """
    found = {}
    for name, rho in changed.items():
        with rho_set(model, rho):
            rates = [r.values(metric).mean() for r in on_each_street(model, people)]
        found[name] = torch.stack(rates)
    return found


@torch.no_grad()
def resettled(
    model: ReIDModel, rho: Rho, sources: ImageSet, batch_size: int = 80, seed: int = 0
) -> ReIDModel:
    """A copy with this rho whose running statistics, the neck's too, are collected anew on pictures of the sources.

    Means over one pass in train mode, in an order by chance; no weight moves and no target is looked at.
    """
    model = copy.deepcopy(model)
    _copy_to(balancing_parameters(model.extractor), rho)
    for layer in model.modules():
        if getattr(layer, "running_mean", None) is not None:
            layer.reset_running_stats()
            layer.momentum = None  # the plain mean over all batches
    order = torch.randperm(len(sources), generator=torch.Generator().manual_seed(seed))
    device = next(model.parameters()).device
    model.train()
    for index in order.split(batch_size):
        if len(index) == batch_size:  # a rest would count as much as a whole batch
            model.embed(normalize(sources.images[index.to(sources.images.device)].to(device)))
    return model.eval()


# ---- the probe -----------------------------------------------------------------------------------------------------


def input_statistics(model: ReIDModel, images: Tensor, batch_size: int = 256) -> dict[str, Tensor]:
    """What IN takes away: each picture's mean and log deviation of every channel at each BIN layer's input, (N, 2, C).

    images (N, 3, H, W) uint8; layers by the name of their rho.
    """
    parts, hooks = {}, []
    device = next(model.parameters()).device
    for name in balancing_parameters(model.extractor):

        def keep(layer, inputs, name=name):
            var, mean = torch.var_mean(inputs[0], (2, 3), correction=0)  # (N, C)
            parts.setdefault(name, []).append(
                torch.stack((mean, 0.5 * (var + layer.eps).log()), 1).cpu()
            )

        hooks.append(
            model.extractor.get_submodule(name.removesuffix(".rho")).register_forward_pre_hook(keep)
        )
    try:
        with eval_mode(model), torch.inference_mode():
            for batch in images.split(batch_size):
                model.extractor(normalize(batch.to(device)))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.cat(batches) for name, batches in parts.items()}


def variance_shares(values: Tensor, pids: Tensor) -> dict[str, Tensor]:
    """How much of a channel's variance is style and how much is identity, where every picture is seen in every style.

    values (S, P, ...), pids (P,): eta squared of a two-way analysis of variance, "style" and "identity", (...) each.
    Style: the variance of the styles' means. Identity: that of the people's means. What is left is pose, background, noise
    and what a style does to some pictures only. A channel that never moves has 0 of both.
    """
    total = values.var((0, 1), correction=0)
    _, who, count = pids.unique(return_inverse=True, return_counts=True)  # (P,), (I,)
    sums = torch.zeros(len(count), *values.shape[2:], dtype=values.dtype).index_add_(
        0, who, values.mean(0)
    )
    means = (sums / count.view(-1, *[1] * (values.dim() - 2)))[who]  # (P, ...)
    parts = {"style": values.mean(1).var(0, correction=0), "identity": means.var(0, correction=0)}
    return {
        name: torch.where(total > 0, part / total.clamp(min=1e-30), 0.0)
        for name, part in parts.items()
    }


def style_share_by_channel(model: ReIDModel, crossed: ImageSet) -> dict[str, dict[str, Tensor]]:
    """`variance_shares` of `input_statistics`, the mean over both: "style" or "identity" -> rho's name -> (C,).

    `crossed` is of `cross_styles`: all pictures in the first style, then all in the second, and so on.
    """
    count = crossed.num_domains
    pids = crossed.pids.view(count, -1)[0]  # (P,)
    shares = {"style": {}, "identity": {}}
    for name, values in input_statistics(model, crossed.images).items():
        for kind, share in variance_shares(
            values.double().view(count, -1, *values.shape[1:]), pids
        ).items():
            shares[kind][name] = share.mean(0).float()
    return shares


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's rank correlation along the last dimension; ties share their mean rank; 0 where one of both is constant."""
    ranks = [rankdata(x.detach().cpu().double().numpy(), axis=-1) for x in (a, b)]
    left, right = (r - r.mean(-1, keepdims=True) for r in ranks)
    size = np.sqrt((left**2).sum(-1) * (right**2).sum(-1))
    return torch.from_numpy(np.asarray((left * right).sum(-1) / np.where(size > 0, size, 1)))


def correlations(
    rho: Rho, shares: Rho, num: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Rank correlation of rho and of what channels carry, in each layer, and under "all" its mean over layers.

    With 95 % intervals, (value, low, high), over channels that are drawn again and again with replacement within their
    layer: what another network's channels of this kind would give, not another training.
    """
    generator = torch.Generator().manual_seed(seed)
    found, draws = {}, []
    for name, r in rho.items():
        drawn = torch.randint(len(r), (num, len(r)), generator=generator)  # (R, C)
        r, share = r.detach().cpu(), shares[name].cpu()
        draws.append(rank_correlation(r[drawn], share[drawn]))  # (R,)
        found[name] = (rank_correlation(r, share).item(), *percentiles(draws[-1]))
    overall = sum(value for value, *_ in found.values()) / len(found)
    return found | {"all": (overall, *percentiles(torch.stack(draws).mean(0)))}
