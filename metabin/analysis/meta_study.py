"""The meta-step in numbers: what first order leaves out, and what held statistics spare."""

import copy
from collections.abc import Sequence
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metabin.analysis.rho_at import average_all_batches
from metabin.data.batches import Batches
from metabin.meta import PAPER_OPTIONS, MetaOptions, inner_step, meta_gradient
from metabin.norm import balancing_parameters
from metabin.runs.measuring import most_kept, paired_seconds
from metabin.samplers import Batch, join, split_sides
from metabin.train import Run


def draw_sides(batches: Batches, count: int, num_meta_train: int = 3) -> list[tuple[Batch, Batch]]:
    """Meta-train and meta-test batches of `count` random splits."""
    return [split_sides(batches.draw(), num_meta_train, batches.generator) for _ in range(count)]


# ---- what first order leaves out -----------------------------------------------------


def outer_gradient(
    extractor: nn.Module,
    meta_train: Batch,
    meta_test: Batch,
    inner_lr: float,
    options: MetaOptions = PAPER_OPTIONS,
) -> Tensor:
    """What `meta_step` follows, all layers in one: (C,)."""
    gradients, _ = meta_gradient(extractor, meta_train, meta_test, inner_lr, options)
    return torch.cat(list(gradients.values()))


def order_gap(
    extractor: nn.Module, sides: Sequence[tuple[Batch, Batch]], step_sizes: Sequence[float]
) -> dict[str, Tensor]:
    """First against second order: `cosine` of the outer gradients and ratio of `length`.

    (splits, sizes) each.
    """
    cosines, lengths = [], []
    for pair in sides:
        for size in step_sizes:
            first = outer_gradient(extractor, *pair, size)
            second = outer_gradient(extractor, *pair, size, MetaOptions(order=2))
            cosines.append(torch.cosine_similarity(first, second, dim=0))
            lengths.append(first.norm() / second.norm())
    shape = len(sides), len(step_sizes)
    gaps = {"cosine": torch.stack(cosines), "length": torch.stack(lengths)}
    return {name: values.view(shape).cpu() for name, values in gaps.items()}


def order_cost(
    extractor: nn.Module, sides: tuple[Batch, Batch], inner_lr: float, rounds: int = 5
) -> dict[int, dict]:
    """Median `seconds` of an outer gradient in each order, and the most `bytes` kept at a time."""
    device = next(extractor.parameters()).device
    works = []
    for order in (1, 2):
        options = MetaOptions(order=order)
        works.append(partial(outer_gradient, extractor, *sides, inner_lr, options))
    costs = {}
    for order, seconds in enumerate(paired_seconds(works, device, rounds), 1):
        kept = most_kept(extractor, works[order - 1])
        costs[order] = {"seconds": median(seconds), "bytes": kept}
    return costs


# ---- what holding the running statistics does ----------------------------------------


def running_statistics(extractor: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Running mean and variance of each norm layer that keeps them."""
    statistics = []
    for layer in extractor.modules():
        if isinstance(layer, nn.BatchNorm2d):
            statistics.append((layer.running_mean.clone(), layer.running_var.clone()))
    return statistics


def statistics_over(
    extractor: nn.Module, run: Run, iterations: int, inner_lr: float, seed: int = 0
) -> tuple[dict[str, nn.Module], dict[str, list]]:
    """Running statistics over iterations in which nothing but them moves.

    "held": they see the base batches alone. "free": also each meta-train batch at rho and each
    meta-test batch at rho', as without `frozen_running_stats`. "all": the plain mean over the base
    batches. Returns the three extractors, and their statistics after each iteration ("all": at the
    end).
    """
    nets = {kind: copy.deepcopy(extractor).train() for kind in ("held", "free", "all")}
    average_all_batches(nets["all"])
    base, meta = (Batches(run.config, run.images, seed + i) for i in (1, 2))
    rho, history = balancing_parameters(nets["free"]), {"held": [], "free": []}
    for _ in range(iterations):
        batch = join(base.draw())
        [(meta_train, meta_test)] = draw_sides(meta, 1, run.num_meta_train)
        moved, _ = inner_step(nets["free"], rho, meta_train, inner_lr)
        with torch.no_grad():
            for net in nets.values():
                net(batch.images)
            functional_call(nets["free"], rho, meta_train.images)
            functional_call(nets["free"], moved, meta_test.images)
        for kind, moments in history.items():
            moments.append(running_statistics(nets[kind]))
    return nets, history | {"all": [running_statistics(nets["all"])]}


def drift(history: dict[str, list]) -> dict[str, dict[str, Tensor]]:
    """How far statistics are from "all", means over a layer's channels: (iterations, layers) each.

    `mean`: |difference| in standard deviations; `var`: a ratio (geometric mean).
    """
    [reference] = history["all"]
    drifts = {}
    for kind in ("held", "free"):
        means, ratios = [], []
        for layers in history[kind]:
            for (mean, var), (mean_all, var_all) in zip(layers, reference, strict=True):
                means.append(((mean - mean_all).abs() / var_all.sqrt()).mean())
                ratios.append((var / var_all).log().mean().exp())
        shape = len(history[kind]), len(reference)
        columns = {"mean": torch.stack(means), "var": torch.stack(ratios)}
        drifts[kind] = {name: values.view(shape).cpu() for name, values in columns.items()}
    return drifts
