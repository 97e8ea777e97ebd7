"""One iteration of MetaBIN by phase: what each line of Algorithm 1 moved (lesson 05)."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from metabin.analysis.guard import RUNNING, changes_only, snapshot
from metabin.meta import base_step, inner_step, meta_step
from metabin.norm import balancing_parameters
from metabin.samplers import join, split_sides
from metabin.train import Run

GROUPS = ("weights θ_f", "classifier φ", "running statistics", "ρ")
INNER = "9, 11, 12"  # the lines of Algorithm 1 that move rho to rho'
WEIGHTS = ("*weight", "*bias")  # what Eq. 5 moves: every parameter but rho


def group_of(name: str) -> str:
    """Which of GROUPS a parameter or buffer of a ReIDModel is in; the neck is the classifier's."""
    if name.endswith("rho"):
        return "ρ"
    if name.endswith(tuple(pattern.removeprefix("*") for pattern in RUNNING)):
        return "running statistics"
    return "classifier φ" if name.startswith(("neck.", "classifier.")) else "weights θ_f"


@dataclass(frozen=True)
class Phase:
    """What some lines of Algorithm 1 did: by group, numbers moved and how far; |rho' - rho|."""

    lines: str
    does: str
    moved: dict[str, tuple[int, float]] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    virtual: float = 0.0


def moves(before: dict[str, Tensor], after: dict[str, Tensor]) -> dict[str, tuple[int, float]]:
    """How many numbers of each group moved between two state dicts, and how far (Euclidean)."""
    counts, squares = Counter(), Counter()
    for name, old in before.items():
        change = (after[name].double() - old.double()).flatten()
        counts[group_of(name)] += int(change.count_nonzero())
        squares[group_of(name)] += change.square().sum().item()
    return {group: (counts[group], squares[group] ** 0.5) for group in GROUPS if counts[group]}


def trace_iteration(run: Run, inner_lr: float) -> list[Phase]:
    """Take a run one iteration further, by hand, and record what each phase moved.

    Raises AssertionError when a phase moves what it must not. The run's own iteration number stays.
    """
    model, extractor, options = run.model.train(), run.model.extractor, run.options
    rho, phases = balancing_parameters(extractor), []

    def phase(lines: str, does: str, work: Callable, *may_change: str):
        before = snapshot(model)
        with changes_only(model, *may_change):
            result = work()
        virtual, losses = result if lines == INNER else (rho, result)
        values = {}
        if isinstance(losses, dict):
            values = {name: loss.item() for name, loss in losses.items()}
        length = torch.cat([virtual[name] - r for name, r in rho.items()]).norm().item()
        phases.append(Phase(lines, does, moves(before, snapshot(model)), values, length))
        return result

    batch = phase("4", "sample X_B", lambda: join(run.base_batches.draw()))
    base = partial(base_step, model, run.optimizer, batch, options.base)
    phase("3, 5, 6", "base update", base, *WEIGHTS, *RUNNING)
    streets = phase("10, 14", "sample X_S and X_T", run.meta_batches.draw)
    split = partial(split_sides, streets, run.num_meta_train, run.meta_batches.shared)
    sides = phase("7, 8", "split the domains", split)
    inner = partial(inner_step, extractor, rho, sides[0], inner_lr, options)
    phase(INNER, "inner update", inner)
    meta = partial(meta_step, extractor, *sides, inner_lr, run.config.outer_lr, options)
    phase("13, 15", "meta update", meta, "*.rho")
    return phases
