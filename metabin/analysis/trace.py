"""One iteration of a MetaBIN run, phase by phase: what each line of Algorithm 1 moved, and that nothing else did.

No drawing here: `plotting.meta` turns these phases into a figure (lesson 05).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from metabin.analysis.guard import RUNNING, changes_only
from metabin.data.batches import join, split_sides
from metabin.meta import base_step, inner_step, meta_step
from metabin.norm import balancing_parameters
from metabin.train import Run

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
    phase(
        "3, 5, 6",
        "base update",
        (*WEIGHTS, *RUNNING),
        lambda: base_step(model, run.optimizer, batch, run.base),
    )
    streets = phase("10, 14", "sample X_S and X_T", (), run.meta_batches.draw)
    sides = phase(
        "7, 8",
        "split the domains",
        (),
        lambda: split_sides(streets, run.num_meta_train, run.agreed[0]),
    )
    phase(
        "9, 11, 12",
        "inner update",
        (),
        lambda: inner_step(extractor, rho, sides[0], inner_lr, run.criteria[0]),
    )
    outer_lr, criteria = run.config.outer_lr, run.criteria
    phase(
        "13, 15",
        "meta update",
        ("*.rho",),
        lambda: meta_step(extractor, *sides, inner_lr, outer_lr, criteria),
    )
    return phases
