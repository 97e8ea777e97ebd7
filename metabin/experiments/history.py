"""Losses and rho over training (Figs. 7 and 11), from the runs of MetaBIN that the tables have."""

from collections import defaultdict
from statistics import mean

import torch
from torch import Tensor

from metabin.analysis.rho import turns
from metabin.evaluate.intervals import paired_interval
from metabin.experiments.results import how_far, markdown
from metabin.experiments.runner import trials_of
from metabin.experiments.tables import METABIN
from metabin.experiments.tasks import FIRST
from metabin.experiments.trials import run_trials


def history_report(seeds: int, jobs: int) -> dict:
    """How the losses fall and where rho goes in finished trainings.

    losses by name (seeds, parts); rho (seeds, moments, layers + 1, 4).
    """
    numbers = range(FIRST, FIRST + seeds)
    records = run_trials(trials_of(METABIN, numbers, "finished"), jobs)
    rho, losses = records[0]["rho"], defaultdict(list)
    for record in records:
        for name, curve in record["losses"].items():
            losses[name].append(curve)
    summaries = [record["rho"]["summary"] for record in records]
    means = torch.tensor(summaries)[:, :, :-1, 0]  # (seeds, moments, layers)
    return {
        "worlds": list(numbers),
        "seeds": list(numbers),
        "verdict": {"Fig. 7": beginning(records), "Fig. 11": rebounds(means)},
        "losses": dict(losses),
        "layers": rho["layers"],
        "iterations": rho["iterations"],
        "rho": summaries,
    }


def beginning(records: list[dict]) -> str:
    """Fig. 7's observation: in the first fifth scatter and shuffle rise, and triplet falls."""
    shown = []
    for name, sign in {"scatter": 1, "shuffle": 1, "triplet": -1}.items():
        changes = []
        for record in records:
            curve = record["losses"][f"meta_train/{name}"]
            changes.append(sign * (curve[len(curve) // 5] - curve[0]))
        _, low, _ = paired_interval(changes)
        if low > 0:
            shown.append(name)
    claim = "at the beginning scatter and shuffle rise, triplet falls"
    return f"{how_far(len(shown), 3)}: {claim}: shown of {', '.join(shown) or 'none'}"


def rebounds(means: Tensor) -> str:
    """Fig. 11's observation: in some layers rho falls at the beginning and comes back.

    means (seeds, moments, layers). Counted from the first moment after the start: a lowest moment
    chosen afterwards would always show a rise.
    """
    change, layers = turns(means, early=1), []
    for layer in range(means.shape[2]):
        _, _, first = paired_interval(change["first"][:, layer])
        _, later, _ = paired_interval(change["later"][:, layer])
        if first < 0 < later:
            layers.append(str(layer + 1))
    state = "partly" if layers else "no"  # the paper names layers of its own network: 1, 2, 8, 9
    which = f"layer {', '.join(layers)}" if layers else "no layer"
    claim = "rho falls in the first tenth of the schedule and comes back"
    return f"{state}: {claim} in {which} of {means.shape[2]}"


def history_text(report: dict) -> str:
    """The losses at the start and at the end, and the mean of rho, as Markdown tables."""
    losses = []
    for name, seeds in report["losses"].items():
        first, last = mean(curve[0] for curve in seeds), mean(curve[-1] for curve in seeds)
        losses.append([name, f"{first:.3f}", f"{last:.3f}"])
    rho = []
    for moment, iteration in enumerate(report["iterations"]):
        value = mean(summary[moment][-1][0] for summary in report["rho"])
        rho.append([iteration, f"{value:.3f}"])
    return (
        markdown(["loss", "first part", "last part"], losses)
        + "\n\n"
        + markdown(["iteration", "mean of rho"], rho)
    )
