"""The losses, one function per equation of the paper (Sections 3.2 and 3.3).

Sizes: N images in a batch, D feature dimensions, M identities. `features` are the extractor's pooled output, before
the neck and not normalized. Distances and losses are computed in float32 (float64 stays), outside autocast.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor


def _in_full_precision(loss):
    """Run a loss outside autocast, on float32 features (a distance in half precision loses three digits)."""

    @functools.wraps(loss)
    def wrapped(features: Tensor, *args, **kwargs) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return loss(features if features.dtype == torch.float64 else features.float(), *args, **kwargs)

    return wrapped


@_in_full_precision
def pairwise_distances(features: Tensor) -> Tensor:
    """Euclidean distances between all rows: features (N, D) -> (N, N).

    Built from differences, not from the Gram matrix, whose cancellation costs several per cent on features with an
    offset; the gradient at distance zero is zero instead of NaN, to any order.
    """
    squared = (features[:, None] - features[None, :]).square().sum(-1)  # (N, N)
    apart = squared > 0
    return torch.where(apart, squared, 1.0).sqrt() * apart  # (N, N)


def _mean_over(valid: Tensor, values: Tensor) -> Tensor:
    """Mean of `values` (N,) over the anchors in `valid` (N,); zero, with zero gradients, when there are none."""
    return torch.where(valid, values, 0.0).sum() / valid.sum().clamp(min=1)


@_in_full_precision
def id_loss(logits: Tensor, pids: Tensor, label_smoothing: float = 0.1) -> Tensor:
    """Cross-entropy over identities with label smoothing eps/M (Eq. 2).

    logits (N, M), pids (N,) in 0..M-1 -> scalar.
    """
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
    hardest_negative = distances.masked_fill(~negative, torch.finfo(distances.dtype).max).amin(1)  # (N,)
    return _mean_over(positive.any(1) & negative.any(1), F.relu(hardest_positive - hardest_negative + margin))


@_in_full_precision
def scatter_loss(features: Tensor, domains: Tensor) -> Tensor:
    """Intra-domain scatter: mean cosine between each feature and the centroid of its domain (Eq. 6).

    Minimizing it spreads every domain out. features (N, D), domains (N,) -> scalar in [-1, 1].
    """
    member = (domains[:, None] == domains[None, :]).to(features.dtype)  # (N, N)
    centroids = member @ features / member.sum(1, keepdim=True)  # (N, D), each sample's own domain's
    return F.cosine_similarity(features, centroids, dim=1).mean()


@_in_full_precision
def shuffle_loss(features: Tensor, pids: Tensor, domains: Tensor) -> Tensor:
    """Inter-domain shuffle: mean of softplus(d(a, n-) - d(a, n+)) (Eq. 7).

    n- is the farthest image of another domain, n+ the nearest of the same domain, both of another identity (the paper
    leaves the mining open). Minimizing it pulls the domains into each other. features (N, D), pids (N,), domains (N,)
    -> scalar. Anchors that lack one of the two do not count.
    """
    distances = pairwise_distances(features)  # (N, N)
    other_id = pids[:, None] != pids[None, :]  # (N, N)
    same_domain = domains[:, None] == domains[None, :]  # (N, N)
    inter, intra = other_id & ~same_domain, other_id & same_domain

    inter_negative = distances.masked_fill(~inter, 0.0).amax(1)  # (N,)
    intra_negative = distances.masked_fill(~intra, torch.finfo(distances.dtype).max).amin(1)  # (N,)
    return _mean_over(inter.any(1) & intra.any(1), F.softplus(inter_negative - intra_negative))


def base_loss(features: Tensor, logits: Tensor, pids: Tensor, label_smoothing: float = 0.1, margin: float = 0.3):
    """Loss of the base model update, cross-entropy plus triplet, with its parts (Eq. 4)."""
    parts = {"id": id_loss(logits, pids, label_smoothing), "triplet": triplet_loss(features, pids, margin)}
    return sum(parts.values()), parts


def meta_train_loss(features: Tensor, pids: Tensor, domains: Tensor, margin: float = 0.3):
    """Loss of the inner update, scatter plus shuffle plus triplet, with its parts (Eq. 8)."""
    parts = {
        "scatter": scatter_loss(features, domains),
        "shuffle": shuffle_loss(features, pids, domains),
        "triplet": triplet_loss(features, pids, margin),
    }
    return sum(parts.values()), parts
