"""What decides the sign of a meta-train loss's gradient with respect to rho: two channels for a pencil, and rules for networks.

Sizes: N images, D features, L norm layers, B batches, K domains. A layer's gradient is the mean over its channels: what all
of them together would do. Positive: the inner step moves rho toward IN; negative: toward BN.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabin.losses import pairwise_distances, scatter_loss
from metabin.meta import Batch
from metabin.norm import BatchInstanceNorm2d, balancing_parameters, frozen_running_stats

ORIGINS = (
    0.0,
    0.5,
    0.75,
    0.9,
    1.0,
)  # where the cosine is measured from: shares of the way to the features' mean
Sides = Sequence[tuple[Batch, Batch]]  # meta-train and meta-test batches


class TwoChannels(nn.Module):
    """A BIN layer of two channels and the mean over the picture, beside a feature that never moves, `offset`.

    Images (N, 2, H, W) -> features (N, 3), all in float64. Over the whole picture an IN output's mean is 0.
    """

    def __init__(self, rho: Sequence[float] = (1.0, 1.0), offset: float = 0.0):
        super().__init__()
        self.norm = BatchInstanceNorm2d(2, eps=0.0).double()
        self.norm.rho.data.copy_(torch.tensor(rho, dtype=torch.float64))
        self.offset = offset

    def forward(self, images: Tensor) -> Tensor:
        means = self.norm(images).mean((2, 3))  # (N, 2)
        return F.pad(means, (0, 1), value=self.offset)  # (N, 3)


def two_channel_batch(street: float = 32, camera: float = 8, person: float = 7) -> Batch:
    """Two streets, two people on each, two cameras for each: eight pictures (8, 2, 1, 2) of two pixels.

    Channel 1 has style alone: its level is ± street ± camera, its two pixels differ by ± 1 from it. Channel 2 has identity
    alone: its level is ± person, its pixels differ by ± 24.
    """
    signs = torch.cartesian_prod(
        *3 * [torch.tensor([1.0, -1.0])]
    ).double()  # (8, 3): of street, person, camera
    levels = torch.stack(
        [street * signs[:, 0] + camera * signs[:, 2], person * signs[:, 1]], 1
    )  # (8, 2)
    stripes = torch.tensor([[1.0, -1.0], [24.0, -24.0]]).double()  # (channels, pixels)
    images = (levels[:, :, None] + stripes)[:, :, None]  # (8, 2, 1, 2)
    return Batch(images, torch.arange(8) // 2, torch.arange(8) // 4)


def centre_and_spread(features: Tensor, domains: Tensor) -> tuple[Tensor, Tensor]:
    """Each domain's squared length of the centroid, and how far its features (N, D) are from that direction: (K,) each.

    Far: the mean square of what is at right angles to the centroid. What lies along it changes no angle.
    """
    groups = [features[domains == d] for d in domains.unique()]
    centres = torch.stack([group.mean(0).square().sum() for group in groups])  # (K,)
    along = [
        (group @ group.mean(0)).square().mean() / centre
        for group, centre in zip(groups, centres, strict=True)
    ]
    whole = torch.stack([group.square().sum(1).mean() for group in groups])  # (K,)
    return centres, whole - torch.stack(along)


def origin_study(
    extractor: nn.Module, sides: Sides, origins: Sequence[float] = ORIGINS
) -> dict[str, Tensor]:
    """The scatter loss's gradient, and how centre and spread grow toward BN, over the cosine's origin: (origins, B, L) each.

    Where samples lie near their domain's centroid, 1 - cos is about spread / (2 centre), so that the gradient ("measured")
    is about half of "centre" - "spread". Growth is the logarithm's derivative, weighted over domains by spread / centre.
    The cosine is measured from zero (0), from the mean of the batch's features, held fixed (1), or from in between.
    """
    extractor.train()
    rho = list(balancing_parameters(extractor).values())
    rows = []
    for batch, _ in sides:
        with frozen_running_stats(extractor):
            features = extractor(batch.images)  # (N, D)
        rows.append([_growth(features, batch.domains, origin, rho) for origin in origins])
    return {
        name: torch.stack([torch.stack([g[name] for g in row]) for row in rows], 1).cpu()
        for name in rows[0][0]
    }


def _growth(
    features: Tensor, domains: Tensor, origin: float, rho: list[Tensor]
) -> dict[str, Tensor]:
    """The three quantities of `origin_study` at one origin, (L,) each."""
    features = features - origin * features.detach().mean(0)
    centre, spread = centre_and_spread(features, domains)  # (K,) each
    weights = (spread / centre).detach() / len(centre)
    wanted = {
        "measured": scatter_loss(features, domains),
        "centre": (weights * centre.log()).sum(),
        "spread": (weights * spread.log()).sum(),
    }
    found = {name: torch.autograd.grad(x, rho, retain_graph=True) for name, x in wanted.items()}
    return {name: torch.stack([g.mean() for g in layers]) for name, layers in found.items()}


def triplet_terms(extractor: nn.Module, sides: Sides, margin: float = 0.3) -> dict[str, Tensor]:
    """The triplet loss's gradient in two: "positive" and "negative" pairs' distances, (B, L); "active", anchors' share, (B,).

    Its gradient is the mean over all anchors of the slope of d(a, p), minus that of d(a, n), where the hinge is active.
    """
    extractor.train()
    rho, rows = list(balancing_parameters(extractor).values()), []
    for batch, _ in sides:
        with frozen_running_stats(extractor):
            distances = pairwise_distances(extractor(batch.images))  # (N, N)
        same = batch.pids[:, None] == batch.pids
        positive = distances.masked_fill(~same, 0.0).amax(1)  # (N,)
        negative = distances.masked_fill(same, torch.inf).amin(1)  # (N,)
        active = (positive - negative + margin > 0).to(distances.dtype)  # (N,)
        found = [
            torch.autograd.grad((active * d).mean(), rho, retain_graph=True)
            for d in (positive, negative)
        ]
        slopes = [torch.stack([g.mean() for g in layers]).cpu() for layers in found]  # (L,) each
        rows.append((*slopes, active.mean().cpu()))
    return dict(
        zip(
            ("positive", "negative", "active"),
            map(torch.stack, zip(*rows, strict=True)),
            strict=True,
        )
    )
