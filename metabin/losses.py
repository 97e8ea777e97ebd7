"""The losses, one function per equation of the paper (Sections 3.2 and 3.3), and their sums.

Sizes: N images in a batch, D feature dimensions, M identities. `features` are the extractor's
pooled output, before the neck and not normalized. Distances and losses are computed in float32
(float64 stays), outside autocast.
"""

import functools
import inspect
import re
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from metabin.kernels.distances import all_distances

# Where the paper leaves a choice: an argument of a loss and its values, the paper's reading first.
OPTIONS = {
    "smooth": ("all", "others"),
    "centroid": ("raw", "normalized"),
    "mining": ("other identity", "any identity", "mean"),
}


def _in_full_precision(loss):
    """Run a loss outside autocast on float32: a distance in half precision loses three digits."""

    @functools.wraps(loss)
    def wrapped(features: Tensor, *args, **kwargs) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            if features.dtype != torch.float64:
                features = features.float()
            return loss(features, *args, **kwargs)

    return wrapped


@_in_full_precision
def id_loss(
    logits: Tensor, pids: Tensor, label_smoothing: float = 0.1, smooth: str = "all"
) -> Tensor:
    """Cross-entropy over identities with label smoothing eps (Eq. 2).

    logits (N, M), pids (N,) in 0..M-1 -> scalar. smooth="all": every identity's target gets
    eps / M, as in Szegedy et al. [38]; "others": every wrong identity's target gets
    eps / (M - 1), as in the released code.
    """
    _check_option("smooth", smooth)
    if smooth == "others":
        num_ids = logits.shape[1]
        most = 1 - 1 / num_ids
        if label_smoothing > most:
            raise ValueError(
                f"label_smoothing={label_smoothing}: with {num_ids} identities at most {most:g}"
            )
        label_smoothing = label_smoothing / most if most else 0.0
    return F.cross_entropy(logits, pids, label_smoothing=label_smoothing)


@_in_full_precision
def triplet_loss(features: Tensor, pids: Tensor, margin: float = 0.3) -> Tensor:
    """Batch-hard triplet loss: mean of [d(a, p) - d(a, n) + m]+ (Eq. 3).

    p is the anchor's farthest image of its identity, n its nearest image of another identity,
    whatever the domain. features (N, D), pids (N,) -> scalar. Anchors without a positive or
    without a negative do not count.
    """
    distances = pairwise_distances(features)  # (N, N)
    same = pids[:, None] == pids[None, :]  # (N, N)
    itself = torch.eye(len(pids), dtype=torch.bool, device=pids.device)
    positive, negative = same & ~itself, ~same

    hardest_positive = _farthest(distances, positive)  # (N,)
    hardest_negative = _nearest(distances, negative)  # (N,)
    valid = positive.any(1) & negative.any(1)
    return _mean_over(valid, F.relu(hardest_positive - hardest_negative + margin))


@_in_full_precision
def scatter_loss(features: Tensor, domains: Tensor, centroid: str = "raw") -> Tensor:
    """Intra-domain scatter: mean cosine between each feature and its domain's centroid (Eq. 6).

    Minimizing it spreads every domain out. features (N, D), domains (N,) -> scalar in [-1, 1].
    centroid="normalized": the centroid of the features at unit length, and every domain weighs
    the same however many samples it has, as in the released code.
    """
    _check_option("centroid", centroid)
    member = (domains[:, None] == domains[None, :]).to(features.dtype)  # (N, N)
    count = member.sum(1)  # (N,), samples of each sample's domain
    if centroid == "raw":
        centroids = member @ features / count[:, None]  # (N, D)
        return F.cosine_similarity(features, centroids, dim=1).mean()
    centroids = member @ F.normalize(features, dim=1) / count[:, None]  # (N, D)
    cosines = F.cosine_similarity(features, centroids, dim=1)  # (N,)
    return (cosines / count).sum() / (1 / count).sum()


@_in_full_precision
def shuffle_loss(
    features: Tensor, pids: Tensor, domains: Tensor, mining: str = "other identity"
) -> Tensor:
    """Inter-domain shuffle: mean of softplus(d(a, n-) - d(a, n+)) (Eq. 7).

    n- is the farthest image of another domain, n+ the nearest of the same domain, both of
    another identity. Minimizing it pulls the domains into each other. features (N, D), pids
    (N,), domains (N,) -> scalar. Anchors that lack one of the two do not count. The paper leaves
    the mining open. mining="any identity": n- may be the anchor's own person, as in the released
    code; "mean": both distances are means over the candidates.
    """
    _check_option("mining", mining)
    distances = pairwise_distances(features)  # (N, N)
    other_id = pids[:, None] != pids[None, :]  # (N, N)
    same_domain = domains[:, None] == domains[None, :]  # (N, N)
    intra = other_id & same_domain
    inter = ~same_domain if mining == "any identity" else other_id & ~same_domain

    if mining == "mean":
        d_inter, d_intra = _mean_distance(distances, inter), _mean_distance(distances, intra)
    else:
        d_inter, d_intra = _farthest(distances, inter), _nearest(distances, intra)  # (N,)
    return _mean_over(inter.any(1) & intra.any(1), F.softplus(d_inter - d_intra))


@_in_full_precision
def pairwise_distances(features: Tensor) -> Tensor:
    """Euclidean distances between all rows: features (N, D) -> (N, N)."""
    return all_distances(features)


def _farthest(distances: Tensor, candidates: Tensor) -> Tensor:
    """Each row's largest distance among its candidates, (N,); 0 where it has none."""
    return distances.masked_fill(~candidates, 0.0).amax(1)


def _nearest(distances: Tensor, candidates: Tensor) -> Tensor:
    """Each row's smallest distance among its candidates, (N,); huge where it has none."""
    return distances.masked_fill(~candidates, torch.finfo(distances.dtype).max).amin(1)


def _mean_distance(distances: Tensor, candidates: Tensor) -> Tensor:
    return (distances * candidates).sum(1) / candidates.sum(1).clamp(min=1)  # (N,)


def _mean_over(valid: Tensor, values: Tensor) -> Tensor:
    """Mean of `values` (N,) over the anchors in `valid` (N,); zero where there are none."""
    return torch.where(valid, values, 0.0).sum() / valid.sum().clamp(min=1)


def _check_option(name: str, value: str) -> None:
    if name in OPTIONS and value not in OPTIONS[name]:
        raise ValueError(f"{name}={value!r}: choose one of {', '.join(OPTIONS[name])}")


# A loss takes what it needs by these names: features (N, D), logits (N, M), pids (N,),
# domains (N,). Its other arguments are options. To add one: LOSSES["mine"] = my_loss.
LOSSES: dict[str, Callable[..., Tensor]] = {
    "id": id_loss,
    "triplet": triplet_loss,
    "scatter": scatter_loss,
    "shuffle": shuffle_loss,
}
INPUTS = ("features", "logits", "pids", "domains")


class Criterion:
    """A weighted sum of losses, with its parts (Eq. 4 and 8; Algorithm 1, lines 5 and 11).

    `formula` is such a sum, "scatter + shuffle + 0.5 triplet"; BASE, META_TRAIN and META_TEST
    below are the paper's. `options` are arguments of the losses (label_smoothing, margin, smooth,
    centroid, mining). Raises ValueError for a formula that cannot be read and for options that
    no loss has.
    """

    def __init__(self, formula: str, **options: float | str):
        self.formula = formula
        self.weights = _read_formula(formula)  # loss -> weight
        self.options = options
        self.arguments = {}  # loss -> the names of what it is given
        for name, loss in LOSSES.items():
            names = inspect.signature(loss).parameters
            self.arguments[name] = [n for n in names if n in INPUTS or n in options]
        usable = set().union(*self.arguments.values())
        for name, value in options.items():
            if name not in usable:
                raise ValueError(f"no loss has the option {name}; there are {', '.join(OPTIONS)}")
            _check_option(name, value)

    def __repr__(self) -> str:
        return f"Criterion({self.formula!r})"

    @property
    def needs_logits(self) -> bool:
        """Whether one of the losses sees the classifier's output."""
        return any("logits" in self.arguments[name] for name in self.weights)

    def __call__(
        self, features: Tensor, logits: Tensor | None, batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum and each loss by its name.

        features (N, D), logits (N, M) where a loss needs them, a batch with pids and domains (N,).
        """
        if self.needs_logits and logits is None:
            raise ValueError(
                f"{self!r} needs logits: pass the whole model, not its extractor alone"
            )
        inputs = {"features": features, "logits": logits}
        inputs |= {"pids": batch.pids, "domains": batch.domains}
        values = self.options | inputs
        losses = {}
        for name in self.weights:
            first, *others = self.arguments[name]
            options = {argument: values[argument] for argument in others}
            losses[name] = LOSSES[name](values[first], **options)
        return sum(weight * losses[name] for name, weight in self.weights.items()), losses


def _read_formula(formula: str) -> dict[str, float]:
    """Losses and their weights: "a + 0.5 b" -> {"a": 1.0, "b": 0.5}."""
    weights = {}
    for text in formula.split("+"):
        term = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)?\s*(\w+)\s*", text)
        if not term or term[2] not in LOSSES or term[2] in weights:
            example = "scatter + shuffle + 0.5 triplet"
            raise ValueError(
                f'{formula!r} is no sum of losses ({", ".join(LOSSES)}), such as "{example}"'
            )
        weights[term[2]] = float(term[1] or 1)
    return weights


BASE = Criterion("id + triplet")  # Eq. 4
META_TRAIN = Criterion("scatter + shuffle + triplet")  # Eq. 8
META_TEST = Criterion("triplet")  # of Eq. 10
