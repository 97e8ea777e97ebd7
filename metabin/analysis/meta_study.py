"""Numbers about the meta-step: what each line may move, what first order leaves out, what held statistics spare.

No drawing here: `plotting.meta` turns these numbers into figures (lesson 05).
"""

import copy
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metabin.guard import RUNNING, changes_only
from metabin.losses import META_TEST, META_TRAIN, Criterion
from metabin.meta import Batch, base_step, inner_step, meta_step
from metabin.norm import balancing_parameters, frozen_running_stats
from metabin.samplers import split_domains
from metabin.train import Batches, Run, join

# ---- one iteration, phase by phase ----------------------------------------------------------------------------------

GROUPS = ("weights θ_f", "classifier φ", "running statistics", "ρ")
WEIGHTS = ("*weight", "*bias")  # what Eq. 5 moves: every parameter but rho


def group_of(name: str) -> str:
    """Which of GROUPS a parameter or buffer belongs to, by its name in a ReIDModel; the neck counts as the classifier's."""
    if name.endswith("rho"):
        return "ρ"
    if name.rpartition(".")[2] in {pattern.strip("*") for pattern in RUNNING}:
        return "running statistics"
    return "classifier φ" if name.startswith(("neck.", "classifier.")) else "weights θ_f"


@dataclass(frozen=True)
class Phase:
    """What some lines of Algorithm 1 did: numbers moved and the length of the move by group, losses, the length of rho' - rho."""

    lines: str
    does: str
    moved: dict[str, tuple[int, float]] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    virtual: float = 0.0


def moves(before: dict[str, Tensor], after: dict[str, Tensor]) -> dict[str, tuple[int, float]]:
    """What moved between two state dicts: for each group that did, how many numbers, and how far in all (Euclidean)."""
    counts, squares = Counter(), Counter()
    for name, old in before.items():
        change = (after[name].double() - old.double()).flatten()
        counts[group_of(name)] += int(change.count_nonzero())
        squares[group_of(name)] += change.square().sum().item()
    return {group: (counts[group], squares[group] ** 0.5) for group in GROUPS if counts[group]}


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def trace_iteration(run: Run, inner_lr: float) -> list[Phase]:
    """Take a MetaBIN run one iteration further, by hand, and tell what each phase of Algorithm 1 moved.

    Raises AssertionError when a phase moves what it must not. The run's own iteration number stays.
    """
    model, extractor = run.model.train(), run.model.extractor
    rho, phases = balancing_parameters(extractor), []

    def phase(lines: str, does: str, may: Sequence[str], work: Callable):
        before = snapshot(model)
        with changes_only(model, *may):
            result = work()
        losses = result if isinstance(result, dict) else {}
        virtual = 0.0
        if lines == "9, 11, 12":
            target, losses = result
            virtual = torch.cat([target[name] - r for name, r in rho.items()]).norm().item()
        told = {name: loss.item() for name, loss in losses.items()}
        phases.append(Phase(lines, does, moves(before, snapshot(model)), told, virtual))
        return result

    batch = phase("4", "sample X_B", (), lambda: join(run.base_batches.draw()))
    phase("3, 5, 6", "base update", (*WEIGHTS, *RUNNING), lambda: base_step(model, run.optimizer, batch, run.base))
    streets = phase("10, 14", "sample X_S and X_T", (), run.meta_batches.draw)
    sides = phase("7, 8", "split the domains", (), lambda: _split(streets, run.num_meta_train, run.meta_batches))
    phase("9, 11, 12", "inner update", (), lambda: inner_step(extractor, rho, sides[0], inner_lr, run.criteria[0]))
    outer_lr, criteria = run.config.outer_lr, run.criteria
    phase("13, 15", "meta update", ("*.rho",), lambda: meta_step(extractor, *sides, inner_lr, outer_lr, criteria))
    return phases


def _split(streets: list[Batch], num_meta_train: int, batches: Batches) -> tuple[Batch, Batch]:
    sides = split_domains(len(streets), num_meta_train, batches.generator)
    return tuple(join([streets[d] for d in side]) for side in sides)


def draw_sides(batches: Batches, count: int, num_meta_train: int = 3) -> list[tuple[Batch, Batch]]:
    """Meta-train and meta-test batches of `count` random splits."""
    return [_split(batches.draw(), num_meta_train, batches) for _ in range(count)]


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
    return {"cosine": torch.stack(cosines).view(shape).cpu(), "length": torch.stack(lengths).view(shape).cpu()}


def order_cost(extractor: nn.Module, sides: tuple[Batch, Batch], inner_lr: float, rounds: int = 5) -> dict[int, dict]:
    """What an outer gradient costs in each order: median `seconds`, and the most `bytes` kept for backward at a time."""
    costs = {}
    for order in (1, 2):
        seconds = []
        for _ in range(rounds + 1):  # the first warms up
            started = time.perf_counter()
            outer_gradient(extractor, *sides, inner_lr, order)[0].item()
            seconds.append(time.perf_counter() - started)
        kept = most_kept(extractor, lambda order=order: outer_gradient(extractor, *sides, inner_lr, order))
        costs[order] = {"seconds": sorted(seconds[1:])[rounds // 2], "bytes": kept}
    return costs


class _Kept:
    """A saved tensor that tells a ledger of storages when it comes and when it goes."""

    def __init__(self, tensor: Tensor, ledger: dict):
        self.tensor, self.ledger, self.key = tensor, ledger, tensor.untyped_storage().data_ptr()
        size = tensor.untyped_storage().nbytes()
        holders = ledger["holders"]
        ledger["now"] += 0 if holders[self.key] else size
        holders[self.key] += 1
        ledger["most"] = max(ledger["most"], ledger["now"])

    def __del__(self):
        holders = self.ledger["holders"]
        holders[self.key] -= 1
        self.ledger["now"] -= 0 if holders[self.key] else self.tensor.untyped_storage().nbytes()


def most_kept(model: nn.Module, work: Callable) -> int:
    """The most bytes that are kept for backward passes at any one time during some work, the parameters left out."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    ledger = {"holders": Counter(), "now": 0, "most": 0}

    def pack(tensor):
        return tensor if tensor.untyped_storage().data_ptr() in own else _Kept(tensor, ledger)

    def unpack(kept):
        return kept.tensor if isinstance(kept, _Kept) else kept

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        work()
    return ledger["most"]


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
        batch, (meta_train, meta_test) = join(base.draw()), draw_sides(meta, 1, run.num_meta_train)[0]
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
            means.append(torch.stack([((m - m0).abs() / v0.sqrt()).mean() for (m, _), (m0, v0) in pairs]))
            ratios.append(torch.stack([(v / v0).log().mean().exp() for (_, v), (_, v0) in pairs]))
        found[kind] = {"mean": torch.stack(means).cpu(), "var": torch.stack(ratios).cpu()}
    return found


# ---- rho at the end of its range ------------------------------------------------------------------------------------


def silent_layers(extractor: nn.Module, batch: Batch, clamp: Callable, criterion: Criterion = META_TEST) -> Tensor:
    """For each layer, whether rho's gradient is exactly zero in all channels when `clamp` stands before the layer: (layers,)."""
    rho = balancing_parameters(extractor)
    with frozen_running_stats(extractor):
        features = functional_call(extractor, {name: clamp(r) for name, r in rho.items()}, batch.images)
    loss, _ = criterion(features, None, batch)
    gradients = torch.autograd.grad(loss, list(rho.values()), materialize_grads=True)
    return torch.stack([(gradient == 0).all() for gradient in gradients])
