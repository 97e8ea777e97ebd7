"""What the phases of an iteration of MetaBIN cost: time, and memory for backward passes."""

from collections.abc import Callable
from functools import partial

from metabin.kernels.precision import autocast
from metabin.meta import base_step, inner_step, meta_gradient
from metabin.norm import balancing_parameters
from metabin.runs.measuring import kept_for_backward, peak_bytes
from metabin.samplers import join, split_sides
from metabin.train import Run

Phases = dict[str, Callable[[], object]]


def phases(run: Run) -> Phases:
    """The phases of an iteration, on batches of their own: data, base, meta-train, meta.

    "meta" is the whole meta-gradient: the meta-test phase is what it takes beyond "meta-train".
    """
    model, options = run.model.train(), run.options
    base = join(run.base_batches.draw())
    sides = split_sides(run.meta_batches.draw(), run.num_meta_train, run.meta_batches.shared)
    extractor, inner_lr = model.extractor, run.config.inner_lr_high
    rho = balancing_parameters(extractor)

    works = {
        "base": partial(base_step, model, run.optimizer, base, options.base, run.scaler),
        "meta-train": partial(inner_step, extractor, rho, sides[0], inner_lr, options),
        "meta": partial(meta_gradient, extractor, *sides, inner_lr, options),
    }

    def in_precision(work: Callable) -> None:
        with autocast(run.device, run.precision):
            work()

    drawing = {"data": lambda: (join(run.base_batches.draw()), run.meta_batches.draw())}
    return drawing | {name: partial(in_precision, work) for name, work in works.items()}


def phase_bytes(run: Run, works: Phases) -> tuple[int, int]:
    """Bytes of the base step and of the meta-step.

    On a GPU the peak beyond weights and images, elsewhere what a phase keeps for backward.
    """
    if run.device.type == "cuda":
        return peak_bytes(run.model, works["base"]), peak_bytes(run.model, works["meta"])
    kept = {}
    for name in ("base", "meta-train", "meta"):
        with kept_for_backward(run.model) as so_far:
            works[name]()
            kept[name] = so_far()
    meta_test = kept["meta"] - kept["meta-train"]  # one phase after the other
    return kept["base"], max(kept["meta-train"], meta_test)
