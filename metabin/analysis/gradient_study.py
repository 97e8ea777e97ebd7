"""Which way each meta-train loss pushes rho, layer by layer (Section 4.4, Fig. 5).

Sizes: L norm layers, B batches. A layer's gradient is the mean over its channels: what
all of them together would do. Positive: the inner step moves rho toward IN; negative: toward BN.
"""

import copy
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor, nn

from metabin.analysis.gradient_signs import Sides, layer_means, origin_study
from metabin.analysis.inner_step import certain_sign, inner_gradients
from metabin.analysis.meta_study import draw_sides, outer_gradient
from metabin.config import METHODS, demo
from metabin.data.batches import Batches
from metabin.data.images import ImageSet
from metabin.evaluate.intervals import paired_interval
from metabin.losses import META_TRAIN, Criterion
from metabin.norm import balancing_parameters

PARTS = ("scatter", "shuffle", "triplet")
CLAIMS = {"scatter": 1, "shuffle": 1, "triplet": -1}  # the signs that the paper's Section 4.4 names
STEPS = (0.1, 1.0, 10.0)  # inner step sizes
BATCHES, SEED = 12, 1000  # how many batches, and the seed that they are drawn by: no training's


def with_rho(extractor: nn.Module, value: float) -> nn.Module:
    """A copy of an extractor in which every rho has this value."""
    changed = copy.deepcopy(extractor)
    for rho in balancing_parameters(changed).values():
        rho.data.fill_(value)
    return changed


def batches_of(images: ImageSet, count: int, seed: int) -> Sides:
    """Meta-train and meta-test batches as a demo run draws them, each with a split of its own."""
    return draw_sides(Batches(demo(**METHODS["metabin"]), images, seed), count)


def directions(
    extractor: nn.Module, sides: Sides, criterion: Criterion = META_TRAIN, held: bool = False
) -> dict[str, dict[str, Tensor]]:
    """Each loss's gradient on each meta-train batch.

    loss -> "mean" over channels and share "positive", (B, L) each. BN takes the batch's statistics,
    as in the inner step, whatever mode the extractor is in; `held`: the running ones.
    """
    extractor.train(not held)
    means, shares = defaultdict(list), defaultdict(list)
    for batch, _ in sides:
        for part, gradients in inner_gradients(extractor, batch, criterion).items():
            layers = list(gradients.values())
            means[part].append(layer_means(layers))
            shares[part].append(layer_means([(g > 0).float() for g in layers]))
    found = {}
    for part in means:
        found[part] = {"mean": torch.stack(means[part]), "positive": torch.stack(shares[part])}
    return found


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine between two gradients (C,), NaN where one is zero: it has no direction."""
    return a @ b / (a.norm() * b.norm())


def agreement(extractor: nn.Module, sides: Sides) -> dict[str, Tensor]:
    """Cosines between the losses' gradients, their sum and the outer gradient, over all channels.

    All at rho: pair -> (B,); a name alone: the gradient's length. The triplet loss and the outer
    gradient are zero where no anchor's hinge is open.
    """
    extractor.train()
    columns = defaultdict(list)
    for meta_train, meta_test in sides:
        arrows = {}
        for part, gradients in inner_gradients(extractor, meta_train).items():
            arrows[part] = torch.cat(list(gradients.values()))
        arrows["sum"] = sum(arrows.values())
        arrows["outer"] = outer_gradient(extractor, meta_train, meta_test, 0.0)
        for a, b in combinations(arrows, 2):
            columns[f"{a}, {b}"].append(cosine(arrows[a], arrows[b]))
        for name, arrow in arrows.items():
            columns[name].append(arrow.norm())
    return {name: torch.stack(column).cpu() for name, column in columns.items()}


def outer_changes(
    extractor: nn.Module, sides: Sides, step_sizes: Sequence[float] = STEPS
) -> Tensor:
    """Cosine between the outer gradients at rho and at rho', (B, sizes); NaN where one is zero."""
    extractor.train()
    rows = []
    for meta_train, meta_test in sides:
        before = outer_gradient(extractor, meta_train, meta_test, 0.0)  # (C,)
        cosines = []
        for step in step_sizes:
            after = outer_gradient(extractor, meta_train, meta_test, step)
            cosines.append(cosine(before, after))
        rows.append(torch.stack(cosines))
    return torch.stack(rows).cpu()


# ---- Figure 5 ------------------------------------------------------------------------


def gradient_study(extractor: nn.Module, images: ImageSet) -> dict:
    """What Fig. 5 tells of one network: [mean, low, high], 95 % CI over batches.

    `silent` is the share of batches without an outer gradient; its cosines are over the others.
    """
    sides = batches_of(images, BATCHES, SEED)
    some = sides[: BATCHES // 2]
    found = directions(extractor, sides)
    origins = origin_study(extractor, some)  # (origins, B, L) each
    cosines = agreement(extractor, sides)
    return {
        "rho": torch.cat(list(balancing_parameters(extractor).values())).mean().item(),
        "layers": {part: intervals(rows["mean"]) for part, rows in found.items()},
        "positive": {part: intervals(rows["positive"]) for part, rows in found.items()},
        "agreement": {name: intervals(values) for name, values in cosines.items()},
        "silent": (cosines["outer"] == 0).double().mean().item(),
        "outer_changes": intervals(outer_changes(extractor, sides)),
        "origins": {name: intervals(v.transpose(0, 1)) for name, v in origins.items()},
    }


def intervals(samples: Tensor) -> list:
    """Mean over the first dimension with its 95 % CI, to four digits; NaN are left out.

    [mean, low, high] for each of the other dimensions' places.
    """
    if samples.dim() > 1:
        return [intervals(column) for column in samples.unbind(1)]
    known = samples[~samples.isnan()]
    return [float(f"{value:.4g}") for value in paired_interval(known)]


def signs(rows: Sequence[Sequence[float]]) -> list[int]:
    """`certain_sign` of each [mean, low, high]."""
    return [certain_sign(row) for row in rows]
