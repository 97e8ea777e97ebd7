"""The Re-ID model: feature extractor f_theta, BNNeck, classifier g_phi."""

import torch
from torch import Tensor, nn

from metabin.networks.backbones import build_backbone


class ReIDModel(nn.Module):
    """A backbone with average pooling, the BNNeck of Luo et al. [26] and a linear classifier.

    The metric losses see the pooled features, the cross-entropy sees the classifier on the neck's
    output, and retrieval uses the neck's output.
    """

    def __init__(self, backbone: nn.Module, num_ids: int):
        super().__init__()
        dim = backbone.out_channels
        self.extractor = nn.Sequential(backbone, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.neck = nn.BatchNorm1d(dim)
        # A bias would move the origin that the cosine is measured from.
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(dim, num_ids, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) -> pooled features (N, D) and identity logits (N, num_ids)."""
        features = self.extractor(images)  # (N, D)
        return features, self.classifier(self.neck(features.to(self.neck.weight.dtype)))

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> the retrieval feature (N, D), to be compared by cosine."""
        return self.neck(self.extractor(images).to(self.neck.weight.dtype))


def build_model(
    norm: str,
    num_ids: int,
    backbone: str = "streetnet",
    weights: str | None = None,
    seed: int | None = None,
) -> ReIDModel:
    """The named backbone, whose norms are all of the named kind, under a neck that stays a BN.

    With a `seed`, initial weights are drawn from it and torch's own stream stays as it is.
    """
    if seed is None:
        return ReIDModel(build_backbone(backbone, norm, weights), num_ids)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
        return build_model(norm, num_ids, backbone, weights)
