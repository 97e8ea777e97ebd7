"""What decides the sign of a meta-train loss's gradient with respect to rho.

Two channels for a pencil, and rules for networks. Sizes: N images, D features, L norm layers, B
batches, K domains. A layer's gradient is the mean over its channels: what all of them together
would do. Positive: the inner step moves rho toward IN; negative: toward BN.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabin.losses import pairwise_distances, scatter_loss
from metabin.norm import BatchInstanceNorm2d, balancing_parameters, frozen_running_stats
from metabin.samplers import Batch

# Where the cosine is measured from: shares of the way from zero to the features' mean.
ORIGINS = (0.0, 0.5, 0.75, 0.9, 1.0)
Sides = Sequence[tuple[Batch, Batch]]  # meta-train and meta-test batches


class TwoChannels(nn.Module):
    """A BIN layer of two channels and the mean over the picture, beside a constant, `offset`.

    Images (N, 2, H, W) -> features (N, 3), in float64. An IN output's mean over the picture is 0.
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
    """Two streets, two people on each, two cameras for each: eight pictures (8, 2, 1, 2).

    Channel 1 has style alone: its level is ± street ± camera, its two pixels differ by ± 1 from it.
    Channel 2 has identity alone: its level is ± person, its pixels differ by ± 24.
    """
    sign = torch.tensor([1.0, -1.0]).double()
    streets, people, cameras = torch.cartesian_prod(sign, sign, sign).unbind(1)  # (8,) each
    levels = torch.stack([street * streets + camera * cameras, person * people], 1)  # (8, 2)
    stripes = torch.tensor([[1.0, -1.0], [24.0, -24.0]]).double()  # (channels, pixels)
    images = (levels[:, :, None] + stripes)[:, :, None]  # (8, 2, 1, 2)
    return Batch(images, torch.arange(8) // 2, torch.arange(8) // 4)


def centre_and_spread(features: Tensor, domains: Tensor) -> tuple[Tensor, Tensor]:
    """Each domain's squared length of the centroid, and how far features (N, D) are from it: (K,).

    Far: the mean square at right angles to the centroid. What lies along it changes no angle.
    """
    centres, spreads = [], []
    for domain in domains.unique():
        group = features[domains == domain]  # (n, D)
        centre = group.mean(0).square().sum()
        along = (group @ group.mean(0)).square().mean() / centre
        centres.append(centre)
        spreads.append(group.square().sum(1).mean() - along)
    return torch.stack(centres), torch.stack(spreads)


def mean_cosine(features: Tensor) -> float:
    """Mean cosine between the features (N, D) of two different pictures."""
    unit = F.normalize(features.detach(), dim=1)
    cosines = unit @ unit.T  # (N, N)
    others = ~torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    return cosines[others].mean().item()


class WithoutLastReLU(nn.Module):
    """A StreetNet extractor whose last maps keep their negative values; parameters are shared."""

    def __init__(self, extractor: nn.Module):
        super().__init__()
        self.extractor = extractor  # first, so that its parameters keep their order

    def maps(self, images: Tensor) -> Tensor:
        """What the extractor's last ReLU would see, (N, D, H, W)."""
        *blocks, last = self.extractor[0]
        x = images
        for block in blocks:
            x = block(x)
        y = last.conv2(F.relu(last.norm1(last.conv1(x))))
        return last.norm2(y) + last.shortcut(x)

    def forward(self, images: Tensor) -> Tensor:
        return self.maps(images).mean((2, 3))  # (N, D)


def layer_means(gradients: Sequence[Tensor]) -> Tensor:
    """The mean over channels of each layer's gradient, (L,)."""
    return torch.stack([gradient.mean() for gradient in gradients]).cpu()


def origin_study(
    extractor: nn.Module, sides: Sides, origins: Sequence[float] = ORIGINS
) -> dict[str, Tensor]:
    """The scatter loss's gradient over the cosine's origin, and what explains it.

    "measured", and how "centre" and "spread" grow toward BN: (origins, B, L) each. Near the
    centroid 1 - cos is about spread / (2 centre), so the gradient is about half of "centre" -
    "spread". Growth is the logarithm's derivative, weighted over domains by spread / centre. The
    cosine is measured from zero (0), from the mean of the batch's features, held fixed (1), or from
    in between.
    """
    extractor.train()
    rho = list(balancing_parameters(extractor).values())
    table = {"measured": [], "centre": [], "spread": []}
    for batch, _ in sides:
        with frozen_running_stats(extractor):
            features = extractor(batch.images)  # (N, D)
        columns = {name: [] for name in table}
        for origin in origins:
            shifted = features - origin * features.detach().mean(0)  # (N, D)
            for name, value in _growth(shifted, batch.domains).items():
                gradients = torch.autograd.grad(value, rho, retain_graph=True)
                columns[name].append(layer_means(gradients))
        for name, column in columns.items():
            table[name].append(torch.stack(column))  # (origins, L)
    return {name: torch.stack(batches, 1) for name, batches in table.items()}


def _growth(features: Tensor, domains: Tensor) -> dict[str, Tensor]:
    """What `origin_study` differentiates at one origin; features (N, D)."""
    centre, spread = centre_and_spread(features, domains)  # (K,) each
    weights = (spread / centre).detach() / len(centre)
    return {
        "measured": scatter_loss(features, domains),
        "centre": (weights * centre.log()).sum(),
        "spread": (weights * spread.log()).sum(),
    }


def triplet_terms(extractor: nn.Module, sides: Sides, margin: float = 0.3) -> dict[str, Tensor]:
    """The triplet loss's gradient in two parts, and the share of "active" anchors, (B,).

    "positive" and "negative", (B, L): the slopes of d(a, p) and of d(a, n), averaged over all
    anchors, where the hinge is active.
    """
    extractor.train()
    rho = list(balancing_parameters(extractor).values())
    terms = {"positive": [], "negative": [], "active": []}
    for batch, _ in sides:
        with frozen_running_stats(extractor):
            distances = pairwise_distances(extractor(batch.images))  # (N, N)
        same = batch.pids[:, None] == batch.pids  # (N, N)
        positive = distances.masked_fill(~same, 0.0).amax(1)  # (N,)
        negative = distances.masked_fill(same, torch.inf).amin(1)  # (N,)
        active = (positive - negative + margin > 0).to(distances.dtype)  # (N,)
        for name, hardest in {"positive": positive, "negative": negative}.items():
            gradients = torch.autograd.grad((active * hardest).mean(), rho, retain_graph=True)
            terms[name].append(layer_means(gradients))
        terms["active"].append(active.mean().cpu())
    return {name: torch.stack(values) for name, values in terms.items()}
