"""Numbers about the meta-step: what first order leaves out, what held statistics spare, what a clamp silences.

No drawing here: `plotting.meta` turns these numbers into figures (lesson 05).
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metabin.data.batches import Batches, join, split_sides
from metabin.losses import META_TEST, META_TRAIN, Criterion
from metabin.meta import Batch, inner_step, meta_step
from metabin.norm import balancing_parameters, frozen_running_stats
from metabin.runs.measuring import most_kept, paired_seconds
from metabin.train import Run


def draw_sides(batches: Batches, count: int, num_meta_train: int = 3) -> list[tuple[Batch, Batch]]:
    """Meta-train and meta-test batches of `count` random splits."""
    return [split_sides(batches.draw(), num_meta_train, batches.generator) for _ in range(count)]


# ---- what first order leaves out ------------------------------------------------------------------------------------


def outer_gradient(
    extractor: nn.Module,
    meta_train: Batch,
    meta_test: Batch,
    inner_lr: float,
    order: int,
    criteria: tuple[Criterion, Criterion] = (META_TRAIN, META_TEST),
) -> Tensor:
    """What `meta_step` would follow, over all layers: (C,). rho stays, because the outer step has size 0."""
    found = []

    def note(gradient: Tensor) -> Tensor:
        found.append(gradient.detach().clone())
        return gradient

    meta_step(extractor, meta_train, meta_test, inner_lr, 0.0, criteria, order, control=note)
    return torch.cat(found)


def order_gap(
    extractor: nn.Module, sides: Sequence[tuple[Batch, Batch]], step_sizes: Sequence[float]
) -> dict[str, Tensor]:
    """First against second order: cosine of the two outer gradients and first's length over second's, (splits, sizes)."""
    cosines, lengths = [], []
    for pair in sides:
        for size in step_sizes:
            first, second = (outer_gradient(extractor, *pair, size, order) for order in (1, 2))
            cosines.append(torch.cosine_similarity(first, second, dim=0))
            lengths.append(first.norm() / second.norm())
    shape = len(sides), len(step_sizes)
    return {
        "cosine": torch.stack(cosines).view(shape).cpu(),
        "length": torch.stack(lengths).view(shape).cpu(),
    }


def order_cost(
    extractor: nn.Module, sides: tuple[Batch, Batch], inner_lr: float, rounds: int = 5
) -> dict[int, dict]:
    """What an outer gradient costs in each order: median `seconds`, and the most `bytes` kept for backward at a time."""
    device = next(extractor.parameters()).device
    works = {order: partial(outer_gradient, extractor, *sides, inner_lr, order) for order in (1, 2)}
    seconds = paired_seconds(list(works.values()), device, rounds)
    return {
        order: {"seconds": median(spent), "bytes": most_kept(extractor, work)}
        for (order, work), spent in zip(works.items(), seconds, strict=True)
    }


# ---- what holding the running statistics does -----------------------------------------------------------------------


def statistics(extractor: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Running mean and variance of each norm layer that keeps them."""
    return [
        (layer.running_mean.clone(), layer.running_var.clone())
        for layer in extractor.modules()
        if isinstance(layer, nn.BatchNorm2d)
    ]


def statistics_over(
    extractor: nn.Module, run: Run, iterations: int, inner_lr: float, seed: int = 0
) -> tuple[dict[str, nn.Module], dict[str, list]]:
    """Running statistics over iterations in which nothing but them moves, with the meta phases held or free.

    "held": they see the base batches alone. "free": also each meta-train batch at rho and each meta-test batch at rho', as
    without `frozen_running_stats`. "all": the plain mean over the same base batches, to compare with. Returns the three
    extractors and their statistics after each iteration ("all": at the end).
    """
    nets = {kind: copy.deepcopy(extractor).train() for kind in ("held", "free", "all")}
    for layer in nets["all"].modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the plain mean of all batches
    base, meta = (Batches(run.config, run.images, seed + i) for i in (1, 2))
    rho, history = balancing_parameters(nets["free"]), {"held": [], "free": []}
    for _ in range(iterations):
        batch, (meta_train, meta_test) = (
            join(base.draw()),
            draw_sides(meta, 1, run.num_meta_train)[0],
        )
        moved, _ = inner_step(nets["free"], rho, meta_train, inner_lr)
        with torch.no_grad():
            for net in nets.values():
                net(batch.images)
            functional_call(nets["free"], rho, meta_train.images)
            functional_call(nets["free"], moved, meta_test.images)
        for kind, seen in history.items():
            seen.append(statistics(nets[kind]))
    return nets, history | {"all": [statistics(nets["all"])]}


def drift(history: dict[str, list]) -> dict[str, dict[str, Tensor]]:
    """How far statistics are from "all": `mean` |difference| in standard deviations, `var` as a ratio; (iterations, layers).

    Both are averages over a layer's channels (the ratio's is geometric).
    """
    reference = history["all"][0]
    found = {}
    for kind in ("held", "free"):
        means, ratios = [], []
        for layers in history[kind]:
            pairs = list(zip(layers, reference, strict=True))
            means.append(
                torch.stack([((m - m0).abs() / v0.sqrt()).mean() for (m, _), (m0, v0) in pairs])
            )
            ratios.append(torch.stack([(v / v0).log().mean().exp() for (_, v), (_, v0) in pairs]))
        found[kind] = {"mean": torch.stack(means).cpu(), "var": torch.stack(ratios).cpu()}
    return found


# ---- rho at the end of its range ------------------------------------------------------------------------------------


def silent_layers(
    extractor: nn.Module, batch: Batch, clamp: Callable, criterion: Criterion = META_TEST
) -> Tensor:
    """For each layer, whether rho's gradient is exactly zero in all channels when `clamp` stands before the layer: (layers,)."""
    rho = balancing_parameters(extractor)
    with frozen_running_stats(extractor):
        features = functional_call(
            extractor, {name: clamp(r) for name, r in rho.items()}, batch.images
        )
    loss, _ = criterion(features, None, batch)
    gradients = torch.autograd.grad(loss, list(rho.values()), materialize_grads=True)
    return torch.stack([(gradient == 0).all() for gradient in gradients])
