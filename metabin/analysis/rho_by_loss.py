"""Where each meta-train loss leads when rho alone follows it downhill (lesson 04)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metabin.analysis.inner_step import inner_gradients
from metabin.analysis.retrieval_study import similar_first
from metabin.analysis.rho_at import Rho, settled
from metabin.data.images import ImageSet
from metabin.evaluate.retrieval import extract_features
from metabin.losses import Criterion
from metabin.meta import MetaOptions, inner_step
from metabin.networks.model import ReIDModel
from metabin.norm import balancing_parameters
from metabin.samplers import Batch


@dataclass(frozen=True)
class Walk:
    """rho by name before the first and after every step, the loss before every step, step size."""

    path: list[dict[str, Tensor]]
    losses: list[float]
    step_size: float

    def rho(self, step: int = -1) -> Tensor:
        """All channels of all layers, (C,), after so many steps."""
        return torch.cat(list(self.path[step].values()))


def walks_by_loss(
    extractor: nn.Module, batches: Sequence[Batch], first_move: float = 0.1
) -> dict[str, Walk]:
    """A Walk down each meta-train loss by itself, a step for each batch, all from the same rho.

    Step sizes make the first steps equally long, `first_move` in a channel's root mean square; a
    loss without a slope moves nothing. Weights stay, rho stays in [0, 1], BN takes the batch's
    statistics.
    """
    training = extractor.training
    extractor.train()
    walks = {}
    for loss, gradients in inner_gradients(extractor, batches[0]).items():
        slope = torch.cat(list(gradients.values())).square().mean().sqrt().item()
        walks[loss] = _walk(extractor, batches, loss, first_move / slope if slope else 0.0)
    extractor.train(training)
    return walks


def _walk(extractor: nn.Module, batches: Sequence[Batch], loss: str, step_size: float) -> Walk:
    options = MetaOptions(meta_train=Criterion(loss))
    path = [{name: rho.detach().clone() for name, rho in balancing_parameters(extractor).items()}]
    losses = []
    for batch in batches:
        here = {name: rho.clone().requires_grad_() for name, rho in path[-1].items()}
        moved, values = inner_step(extractor, here, batch, step_size, options)
        path.append({name: rho.detach().clamp(0, 1) for name, rho in moved.items()})
        losses += [value.item() for value in values.values()]
    return Walk(path, losses, step_size)


def network_at(model: ReIDModel, rho: Rho, images: Tensor) -> ReIDModel:
    """`settled` on one batch of the sources' normalized images (N, 3, H, W)."""
    return settled(model, rho, [images])


@dataclass(frozen=True)
class RankLists:
    """Each picture as a query on its own street: its nearest pictures (N, K), and what they show.

    `hits` (N,): the first one shows the query's person. `own_camera` (N,): share of the nearest
    that the query's own camera took, by the camera rule all of other people.
    """

    order: Tensor
    right: Tensor
    hits: Tensor
    own_camera: Tensor


def rank_lists_of(model: ReIDModel, streets: ImageSet, nearest: int = 10) -> RankLists:
    """What a network finds nearest to each picture of these streets, K = `nearest`."""
    features = extract_features(model, streets)
    queries = torch.arange(len(streets))
    order, right = similar_first(features, queries, streets, nearest)
    own = streets.camids[order] == streets.camids[:, None]  # (N, K)
    return RankLists(order, right, right[:, 0].double(), own.double().mean(1))
