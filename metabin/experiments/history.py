"""Losses and rho over training (Figs. 7 and 11), from the runs of MetaBIN that the tables have."""

from statistics import mean

import torch

from metabin.analysis import rho_summary
from metabin.analysis.rho_study import turns
from metabin.evaluate.intervals import paired_interval
from metabin.experiments.runner import trials_of
from metabin.experiments.tables import METABIN
from metabin.experiments.tasks import FIRST
from metabin.experiments.trials import run_trials


def history(seeds: int, jobs: int, profile: str = "demo") -> dict:
    """How the losses fall and where rho goes: losses by name (seeds, parts), rho (seeds, moments, layers + 1, 4)."""
    runs = run_trials(trials_of(METABIN, range(FIRST, FIRST + seeds), profile), jobs)
    rho = [
        [rho_summary([torch.tensor(layer) for layer in layers]) for layers in r["rho"]["values"]]
        for r in runs
    ]
    told = torch.stack([torch.stack(moments) for moments in rho])  # (seeds, moments, layers + 1, 4)
    return {
        "verdict": {"Fig. 7": _beginning(runs), "Fig. 11": _rebounds(told[:, :, :-1, 0])},
        "losses": {
            k: [[round(x, 4) for x in r["losses"][k]] for r in runs] for k in runs[0]["losses"]
        },
        "layers": runs[0]["rho"]["layers"],
        "iterations": runs[0]["rho"]["iterations"],
        "rho": [
            [[[round(x, 4) for x in row] for row in rows] for rows in moments]
            for moments in told.tolist()
        ],
    }


def _beginning(runs: list[dict]) -> str:
    """Fig. 7's observation: at the beginning, here a fifth of the schedule, scatter and shuffle rise and triplet falls."""
    shown = []
    for name, sign in {"scatter": 1, "shuffle": 1, "triplet": -1}.items():
        curves = [r["losses"][f"meta_train/{name}"] for r in runs]
        _, low, _ = paired_interval(
            [sign * (curve[len(curve) // 5] - curve[0]) for curve in curves]
        )
        shown += [name] * (low > 0)
    state = "yes" if len(shown) == 3 else "partly" if shown else "no"
    return f"{state}: at the beginning scatter and shuffle rise, triplet falls: shown of {', '.join(shown) or 'none'}"


def _rebounds(means: torch.Tensor) -> str:
    """Fig. 11's observation: in some layers rho falls at the beginning and comes back. means (seeds, moments, layers).

    Both counted from the first moment after the start: a lowest moment chosen afterwards would always show a rise.
    """
    change = turns(means, early=1)
    first, later = (
        [paired_interval(layer) for layer in change[part].T] for part in ("first", "later")
    )
    found = [
        str(n) for n, (a, b) in enumerate(zip(first, later, strict=True), 1) if a[2] < 0 < b[1]
    ]
    state = "partly" if found else "no"  # the paper names layers of its own network: 1, 2, 8, 9
    which = f"layer {', '.join(found)}" if found else "no layer"
    return f"{state}: rho falls in the first tenth of the schedule and comes back in {which} of {means.shape[2]}"


def history_text(report: dict) -> str:
    """The losses at the start and at the end, and the mean of rho over training, as Markdown tables."""
    lines = ["| loss | first part | last part |", "| --- | --- | --- |"]
    for name, seeds in report["losses"].items():
        lines.append(
            f"| {name} | {mean(s[0] for s in seeds):.3f} | {mean(s[-1] for s in seeds):.3f} |"
        )
    lines += ["", "| iteration | mean of rho |", "| --- | --- |"]
    for moment, iteration in enumerate(report["iterations"]):
        lines.append(f"| {iteration} | {mean(s[moment][-1][0] for s in report['rho']):.3f} |")
    return "\n".join(lines)
