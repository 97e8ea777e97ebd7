"""What the inner step does to rho and to the held-out streets (Section 3.3, Fig. 1c)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metabin.analysis.readings import read_linearly
from metabin.data.augment import normalize
from metabin.data.batches import Batches, join
from metabin.data.images import ImageSet
from metabin.evaluate.intervals import paired_interval
from metabin.evaluate.retrieval import eval_mode, retrieval
from metabin.losses import META_TRAIN, Criterion
from metabin.meta import Batch
from metabin.networks.model import ReIDModel
from metabin.norm import balancing_parameters, frozen_running_stats
from metabin.samplers import split_domains
from metabin.train import Run

INNER_LOSSES = {  # which parts of Eq. 8 move rho
    "triplet": ("triplet",),
    "scatter + shuffle": ("scatter", "shuffle"),
    "all": ("scatter", "shuffle", "triplet"),
}


def inner_gradients(
    extractor: nn.Module, batch: Batch, criterion: Criterion = META_TRAIN
) -> dict[str, dict[str, torch.Tensor]]:
    """Gradient of each part of the meta-train loss with respect to rho (Eq. 9 and Fig. 5): part -> name -> (C,).

    A positive gradient moves rho toward IN, a negative one toward BN.
    """
    rho = balancing_parameters(extractor)
    with frozen_running_stats(extractor):
        features = extractor(batch.images)  # (N, D)
    _, parts = criterion(features, None, batch)
    gradients = {
        part: torch.autograd.grad(x, list(rho.values()), retain_graph=True)
        for part, x in parts.items()
    }
    return {part: dict(zip(rho, found, strict=True)) for part, found in gradients.items()}


def inner_step_effect(
    run: Run,
    people: ImageSet,
    step_sizes: Sequence[float],
    splits: int = 6,
    deployed: bool = False,
    seed: int = 0,
) -> dict[str, dict[str, torch.Tensor]]:
    """What the virtual move from rho to rho' (Eq. 9) does to the meta-test domains: loss -> quantity -> (splits, 1 + sizes).

    The first column is rho itself. In each split, a meta-train batch moves rho by each of INNER_LOSSES; then the meta-test
    streets' `people` are looked at: mAP and rank1 (mean over streets), `style` (which street and camera) and `identity`
    (from one camera to the other) as read by linear probes, and the mean move of rho (positive: toward BN). BN normalizes
    the meta-test streets by their own statistics, as in the meta-step, or by the running ones (`deployed`). Domain d of
    `people` is domain d of the run, which stays as it is. Raises ValueError when the streets differ.
    """
    if people.names != run.images.names:
        raise ValueError(
            f"people must come from the run's streets {run.images.names}, not {people.names}"
        )
    model, rho = run.model, balancing_parameters(run.model.extractor)
    batches = Batches(run.config, run.images, seed)
    rows = {loss: [] for loss in INNER_LOSSES}
    with eval_mode(model):
        for _ in range(splits):
            drawn = batches.draw()
            meta_train, meta_test = split_domains(len(drawn), run.num_meta_train, batches.generator)
            model.extractor.train()
            gradients = inner_gradients(model.extractor, join([drawn[d] for d in meta_train]))
            model.extractor.train(not deployed)
            streets = people[torch.isin(people.domains, meta_test)]
            start = _look(model, rho, rho, streets)
            for loss, parts in INNER_LOSSES.items():
                pull = {name: sum(gradients[part][name] for part in parts) for name in rho}
                moved = [
                    {name: (r - b * pull[name]).detach().clamp(0, 1) for name, r in rho.items()}
                    for b in step_sizes
                ]
                rows[loss].append([start, *(_look(model, rho, to, streets) for to in moved)])
    quantities = next(iter(rows.values()))[0][0]
    return {
        loss: {q: torch.tensor([[cell[q] for cell in row] for row in table]) for q in quantities}
        for loss, table in rows.items()
    }


def inner_step_changes(effect: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """From rho to rho', as mean over splits with its 95 % interval: loss -> quantity -> (sizes, 3), of `inner_step_effect`.

    The splits share one network: the interval says what another split and batch would give, not another training.
    """
    return {
        loss: {
            q: torch.tensor([paired_interval(c) for c in (v[:, 1:] - v[:, :1]).T])
            for q, v in values.items()
        }
        for loss, values in effect.items()
    }


@torch.no_grad()
def _look(model: ReIDModel, rho: dict, moved: dict, streets: ImageSet) -> dict[str, float]:
    """The quantities of `inner_step_effect` at rho', with the extractor in the mode that it is in."""
    images = normalize(streets.images.to(next(model.parameters()).device))
    with frozen_running_stats(model.extractor):
        features = model.neck(functional_call(model.extractor, moved, images)).cpu()  # (N, D)
    query = streets.camids == streets.camids.min()  # (N,)
    found = []
    for d in streets.domains.unique():
        q, g = query & (streets.domains == d), ~query & (streets.domains == d)
        found.append(retrieval(features[q], features[g], streets.pids[q], streets.pids[g]))
    place = streets.domains * (int(streets.camids.max()) + 1) + streets.camids  # (N,)
    return {
        "mAP": sum(r.mAP for r in found) / len(found),
        "rank1": sum(r.rank1 for r in found) / len(found),
        "style": read_linearly(features, place, streets.pids % 2 == 0),
        "identity": read_linearly(features, streets.pids, ~query),
        "move": torch.cat([moved[name] - r for name, r in rho.items()]).mean().item(),
    }
