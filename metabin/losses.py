"""The losses, one function per equation of the paper (Sections 3.2 and 3.3).

Sizes: N images in a batch, D feature dimensions, M identities. `features` are the extractor's pooled output, before
the neck and not normalized. Distances and losses are computed in float32 (float64 stays), outside autocast.
"""

import functools
import re

import torch
import torch.nn.functional as F
from torch import Tensor

OPTIONS = {  # where the paper leaves a choice; its own reading first
    "smooth": ("all", "others"),
    "centroid": ("raw", "normalized"),
    "mining": ("other identity", "any identity", "mean"),
}


def _check_option(name: str, value: str) -> None:
    if value not in OPTIONS.get(name, ()):
        choices = "; ".join(f"{option}: {', '.join(values)}" for option, values in OPTIONS.items())
        raise ValueError(f"no loss has the option {name}={value!r}. There are {choices}")


def _in_full_precision(loss):
    """Run a loss outside autocast, on float32 features (a distance in half precision loses three digits)."""

    @functools.wraps(loss)
    def wrapped(features: Tensor, *args, **kwargs) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return loss(
                features if features.dtype == torch.float64 else features.float(), *args, **kwargs
            )

    return wrapped


@_in_full_precision
def pairwise_distances(features: Tensor) -> Tensor:
    """Euclidean distances between all rows: features (N, D) -> (N, N).

    Built from differences, not from the Gram matrix, whose cancellation costs several per cent on features with an
    offset; the gradient at distance zero is zero instead of NaN, to any order.
    """
    return _Distances.apply(features)  # (N, N)


class _Distances(torch.autograd.Function):
    """Distances whose gradient needs no (N, N, D) differences: sum_j s_ij (x_i - x_j) is a product of matrices."""

    @staticmethod
    def forward(features):
        return torch.cdist(
            features, features, compute_mode="donot_use_mm_for_euclid_dist"
        )  # (N, N)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx, gradient):
        features, distances = ctx.saved_tensors
        apart = distances > 0
        slopes = (gradient + gradient.T) * apart / torch.where(apart, distances, 1.0)  # (N, N)
        centred = features - features.detach().mean(
            0
        )  # an offset would cancel in the difference only up to rounding
        return slopes.sum(1, keepdim=True) * centred - slopes @ centred  # (N, D)


def _mean_over(valid: Tensor, values: Tensor) -> Tensor:
    """Mean of `values` (N,) over the anchors in `valid` (N,); zero, with zero gradients, when there are none."""
    return torch.where(valid, values, 0.0).sum() / valid.sum().clamp(min=1)


@_in_full_precision
def id_loss(
    logits: Tensor, pids: Tensor, label_smoothing: float = 0.1, smooth: str = "all"
) -> Tensor:
    """Cross-entropy over identities with label smoothing eps (Eq. 2).

    logits (N, M), pids (N,) in 0..M-1 -> scalar. smooth="all": every identity's target gets eps / M, as in Szegedy et al.
    [38]; "others": every wrong one's gets eps / (M - 1), as in the released code.
    """
    _check_option("smooth", smooth)
    if smooth == "others":
        if label_smoothing > (most := 1 - 1 / logits.shape[1]):
            raise ValueError(
                f"label_smoothing={label_smoothing}: with {logits.shape[1]} identities at most {most:g}"
            )
        label_smoothing = label_smoothing / most if most else 0.0
    return F.cross_entropy(logits, pids, label_smoothing=label_smoothing)


@_in_full_precision
def triplet_loss(features: Tensor, pids: Tensor, margin: float = 0.3) -> Tensor:
    """Batch-hard triplet loss: mean of [d(a, p) - d(a, n) + m]+ (Eq. 3).

    For each anchor, the farthest image of its identity and the nearest image of another one, whatever the domain.
    features (N, D), pids (N,) -> scalar. Anchors without a positive or without a negative do not count.
    """
    distances = pairwise_distances(features)  # (N, N)
    same = pids[:, None] == pids[None, :]  # (N, N)
    itself = torch.eye(len(pids), dtype=torch.bool, device=pids.device)
    positive, negative = same & ~itself, ~same

    hardest_positive = distances.masked_fill(~positive, 0.0).amax(1)  # (N,)
    hardest_negative = distances.masked_fill(~negative, torch.finfo(distances.dtype).max).amin(
        1
    )  # (N,)
    return _mean_over(
        positive.any(1) & negative.any(1), F.relu(hardest_positive - hardest_negative + margin)
    )


@_in_full_precision
def scatter_loss(features: Tensor, domains: Tensor, centroid: str = "raw") -> Tensor:
    """Intra-domain scatter: mean cosine between each feature and the centroid of its domain (Eq. 6).

    Minimizing it spreads every domain out. features (N, D), domains (N,) -> scalar in [-1, 1]. centroid="normalized": that
    of the features at unit length, and every domain weighs the same however many samples it has, as in the released code.
    """
    _check_option("centroid", centroid)
    member = (domains[:, None] == domains[None, :]).to(features.dtype)  # (N, N)
    count = member.sum(1)  # (N,), samples of each sample's own domain
    averaged = F.normalize(features, dim=1) if centroid == "normalized" else features  # (N, D)
    cosines = F.cosine_similarity(features, member @ averaged / count[:, None], dim=1)  # (N,)
    return (
        (cosines / count).sum() / (1 / count).sum() if centroid == "normalized" else cosines.mean()
    )


@_in_full_precision
def shuffle_loss(
    features: Tensor, pids: Tensor, domains: Tensor, mining: str = "other identity"
) -> Tensor:
    """Inter-domain shuffle: mean of softplus(d(a, n-) - d(a, n+)) (Eq. 7).

    n- is the farthest image of another domain, n+ the nearest of the same domain, both of another identity. Minimizing it
    pulls the domains into each other. features (N, D), pids (N,), domains (N,) -> scalar. Anchors that lack one of the two
    do not count. The paper leaves the mining open. mining="any identity": n- may be the anchor's own person, as in the
    released code (it matters where people appear in several domains); "mean": both distances are means over candidates.
    """
    _check_option("mining", mining)
    distances = pairwise_distances(features)  # (N, N)
    other_id = pids[:, None] != pids[None, :]  # (N, N)
    same_domain = domains[:, None] == domains[None, :]  # (N, N)
    inter, intra = (
        ~same_domain if mining == "any identity" else other_id & ~same_domain,
        other_id & same_domain,
    )

    if mining == "mean":
        inter_negative, intra_negative = (  # (N,) each
            (distances * side).sum(1) / side.sum(1).clamp(min=1) for side in (inter, intra)
        )
    else:
        inter_negative = distances.masked_fill(~inter, 0.0).amax(1)  # (N,)
        intra_negative = distances.masked_fill(~intra, torch.finfo(distances.dtype).max).amin(
            1
        )  # (N,)
    return _mean_over(inter.any(1) & intra.any(1), F.softplus(inter_negative - intra_negative))


class Criterion:
    """A weighted sum of the losses above, with its parts (Eq. 4 and 8; Algorithm 1, lines 5 and 11).

    `formula` is such a sum, "scatter + shuffle + 0.5 triplet"; BASE, META_TRAIN and META_TEST below are the paper's. What may
    be varied in a loss is that loss's own argument.
    Raises ValueError when a formula cannot be read or an option is unknown.
    """

    LOSSES = ("id", "triplet", "scatter", "shuffle")

    def __init__(
        self, formula: str, label_smoothing: float = 0.1, margin: float = 0.3, **options: str
    ):
        self.formula, self.label_smoothing, self.margin = formula, label_smoothing, margin
        self.options = {name: choices[0] for name, choices in OPTIONS.items()} | options
        for name, value in self.options.items():
            _check_option(name, value)
        terms = [
            re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)?\s*([a-z]+)\s*", term)
            for term in formula.split("+")
        ]
        names = [term and term[2] for term in terms]
        if not set(names) <= set(self.LOSSES) or len(set(names)) < len(names):
            example = "scatter + shuffle + 0.5 triplet"
            raise ValueError(
                f'{formula!r} is no sum of losses ({", ".join(self.LOSSES)}), such as "{example}"'
            )
        self.weights = {term[2]: float(term[1] or 1) for term in terms}

    def __repr__(self) -> str:
        return f"Criterion({self.formula!r})"

    @property
    def needs_logits(self) -> bool:
        return "id" in self.weights

    def __call__(
        self, features: Tensor, logits: Tensor | None, batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """features (N, D), logits (N, M) where "id" is asked for, a batch with pids and domains (N,) -> sum, parts."""
        if self.needs_logits and logits is None:
            raise ValueError(
                f"{self!r} needs logits: pass the whole model, not its extractor alone"
            )
        smooth, centroid, mining = self.options.values()
        each = {
            "id": lambda: id_loss(logits, batch.pids, self.label_smoothing, smooth),
            "triplet": lambda: triplet_loss(features, batch.pids, self.margin),
            "scatter": lambda: scatter_loss(features, batch.domains, centroid),
            "shuffle": lambda: shuffle_loss(features, batch.pids, batch.domains, mining),
        }
        parts = {name: each[name]() for name in self.weights}
        return sum(weight * parts[name] for name, weight in self.weights.items()), parts


BASE = Criterion("id + triplet")  # Eq. 4
META_TRAIN = Criterion("scatter + shuffle + triplet")  # Eq. 8
META_TEST = Criterion("triplet")  # Eq. 10's
