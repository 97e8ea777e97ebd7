"""What the inner step does to rho and to the held-out streets (Section 3.3, Fig. 1c)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metabin.analysis.readings import read_linearly
from metabin.analysis.rho_at import Rho
from metabin.data.augment import normalize
from metabin.data.batches import Batches
from metabin.data.images import ImageSet
from metabin.evaluate.intervals import paired_interval
from metabin.evaluate.retrieval import eval_mode, retrieval
from metabin.losses import META_TRAIN, Criterion
from metabin.networks.model import ReIDModel
from metabin.norm import balancing_parameters, frozen_running_stats
from metabin.samplers import Batch, join, split_domains
from metabin.train import Run

INNER_LOSSES = {  # which parts of Eq. 8 move rho
    "triplet": ("triplet",),
    "scatter + shuffle": ("scatter", "shuffle"),
    "all": ("scatter", "shuffle", "triplet"),
}
TROUBLES = {  # signs of the changes that each of them would be
    "over": {"move": -1, "style": -1, "identity": -1, "mAP": -1},
    "under": {"move": 1, "style": 1, "mAP": -1},
}
QUANTITIES = ("mAP", "rank1", "style", "identity", "move")


def inner_gradients(
    extractor: nn.Module, batch: Batch, criterion: Criterion = META_TRAIN
) -> dict[str, dict[str, Tensor]]:
    """Gradient of each part of the meta-train loss with respect to rho (Eq. 9, Fig. 5).

    part -> name -> (C,). Positive moves rho toward IN, negative toward BN.
    """
    rho = balancing_parameters(extractor)
    with frozen_running_stats(extractor):
        features = extractor(batch.images)  # (N, D)
    _, parts = criterion(features, None, batch)
    gradients = {}
    for part, loss in parts.items():
        slopes = torch.autograd.grad(loss, list(rho.values()), retain_graph=True)
        gradients[part] = dict(zip(rho, slopes, strict=True))
    return gradients


def certain_sign(interval: Sequence[float]) -> int:
    """The sign that (mean, low, high) allows: 1 or -1, and 0 where it holds zero."""
    _, low, high = interval
    return int(low > 0) - int(high < 0)


def inner_step_effect(
    run: Run,
    people: ImageSet,
    step_sizes: Sequence[float],
    splits: int = 6,
    deployed: bool = False,
    seed: int = 0,
) -> dict[str, dict[str, Tensor]]:
    """What the virtual move from rho to rho' (Eq. 9) does to the meta-test domains.

    loss -> quantity -> (splits, 1 + sizes); the first column is rho itself. In each split a meta-
    train batch moves rho by each of INNER_LOSSES, and the meta-test streets' `people` are looked at
    (`seen_at`), with BN by their own statistics, as in the meta-step, or by the running ones
    (`deployed`). The run stays as it is. Raises ValueError when the people's streets are not its
    own.
    """
    if people.names != run.images.names:
        raise ValueError(
            f"people must come from the run's streets {run.images.names}, not {people.names}"
        )
    batches = Batches(run.config, run.images, seed)
    table = {loss: [] for loss in INNER_LOSSES}  # each a cell for each split and size
    extractor = run.model.extractor
    rho = balancing_parameters(extractor)
    with eval_mode(run.model):
        for _ in range(splits):
            drawn = batches.draw()
            meta_train, meta_test = split_domains(len(drawn), run.num_meta_train, batches.generator)
            extractor.train()
            gradients = inner_gradients(extractor, join([drawn[d] for d in meta_train]))
            extractor.train(not deployed)
            streets = people[torch.isin(people.domains, meta_test)]
            start = seen_at(run.model, streets, rho)
            for loss, parts in INNER_LOSSES.items():
                table[loss].append(start)
                for step in step_sizes:
                    moved = _moved(rho, [gradients[part] for part in parts], step)
                    table[loss].append(seen_at(run.model, streets, moved))
    effect = {}
    for loss, cells in table.items():
        columns = torch.tensor(cells).view(splits, 1 + len(step_sizes), len(QUANTITIES))
        effect[loss] = dict(zip(QUANTITIES, columns.unbind(2), strict=True))
    return effect


def _moved(rho: Rho, gradients: Sequence[Rho], step: float) -> dict[str, Tensor]:
    """rho' after a step against the sum of some gradients, clamped to Eq. 1's range."""
    moved = {}
    for name, values in rho.items():
        pull = sum(gradient[name] for gradient in gradients)
        moved[name] = (values - step * pull).detach().clamp(0, 1)
    return moved


@torch.no_grad()
def seen_at(model: ReIDModel, streets: ImageSet, rho: Rho) -> list[float]:
    """QUANTITIES of streets at another rho, with the extractor in the mode that it is in.

    mAP and Rank-1 (means over streets), how well linear probes read style (which street and camera)
    and identity (from one camera to the other), and the mean move of rho (positive: toward BN).
    """
    images = normalize(streets.images.to(next(model.parameters()).device))
    with frozen_running_stats(model.extractor):
        features = model.neck(functional_call(model.extractor, rho, images)).cpu()  # (N, D)
    query = streets.camids == streets.camids.min()  # (N,)
    results = []
    for street in streets.domains.unique():
        here = streets.domains == street  # (N,)
        q, g = query & here, ~query & here
        results.append(retrieval(features[q], features[g], streets.pids[q], streets.pids[g]))
    camera = streets.domains * (int(streets.camids.max()) + 1) + streets.camids  # (N,)
    own = balancing_parameters(model.extractor)
    moves = torch.cat([rho[name] - r for name, r in own.items()])
    return [
        sum(r.mAP for r in results) / len(results),
        sum(r.rank1 for r in results) / len(results),
        read_linearly(features, camera, streets.pids % 2 == 0),
        read_linearly(features, streets.pids, ~query),
        moves.mean().item(),
    ]


def inner_step_changes(
    effect: Mapping[str, Mapping[str, Tensor]],
) -> dict[str, dict[str, Tensor]]:
    """From rho to rho', as mean over splits with its 95 % CI: loss -> quantity -> (sizes, 3).

    `effect` is of `inner_step_effect`. The splits share one network: another training may differ
    more.
    """
    changes = {}
    for loss, quantities in effect.items():
        changes[loss] = {}
        for quantity, values in quantities.items():
            moves = values[:, 1:] - values[:, :1]  # (splits, sizes)
            changes[loss][quantity] = torch.tensor([paired_interval(move) for move in moves.T])
    return changes


def first_harm(change: Mapping[str, Tensor]) -> int | None:
    """The first of the step sizes after which mAP is lower beyond doubt, or None."""
    lower = (change["mAP"][:, 2] < 0).nonzero()
    return int(lower[0]) if len(lower) else None


def inner_verdict(change: Mapping[str, Tensor], size: int) -> str:
    """What a step of that size surely does (intervals that exclude 0), in Section 3.3's words."""
    signs = {quantity: certain_sign(rows[size].tolist()) for quantity, rows in change.items()}
    words = {-1: "toward IN", 1: "toward BN"}
    certain = [words[signs["move"]]] if signs["move"] else []
    for quantity in ("style", "identity", "mAP"):
        if signs[quantity]:
            certain.append(f"{quantity} {'higher' if signs[quantity] > 0 else 'lower'}")
    text = ", ".join(certain) or "nothing is certain"
    for name, pattern in TROUBLES.items():
        if all(signs[quantity] == sign for quantity, sign in pattern.items()):
            text += f": {name}-style-normalization"
    return text
