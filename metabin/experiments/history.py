"""Losses and rho over training (Figs. 7 and 11), from the runs of MetaBIN that the tables have."""

from statistics import mean

import torch

from metabin.analysis import rho_summary
from metabin.experiments.declarations import METABIN
from metabin.experiments.runner import trials_of
from metabin.experiments.tasks import FIRST
from metabin.trials import run_trials


def history(seeds: int, jobs: int, profile: str = "demo") -> dict:
    """How the losses fall and where rho goes: losses by name (seeds, parts), rho (seeds, moments, layers + 1, 4)."""
    runs = run_trials(trials_of(METABIN, range(FIRST, FIRST + seeds), profile), jobs)
    rho = [[rho_summary([torch.tensor(layer) for layer in layers]) for layers in r["rho"]["values"]] for r in runs]
    return {
        "losses": {name: [r["losses"][name] for r in runs] for name in runs[0]["losses"]},
        "layers": runs[0]["rho"]["layers"],
        "iterations": runs[0]["rho"]["iterations"],
        "rho": [torch.stack(moments).tolist() for moments in rho],
    }


def history_text(report: dict) -> str:
    """The losses at the start and at the end, and the mean of rho over training, as Markdown tables."""
    lines = ["| loss | first part | last part |", "| --- | --- | --- |"]
    for name, seeds in report["losses"].items():
        lines.append(f"| {name} | {mean(s[0] for s in seeds):.3f} | {mean(s[-1] for s in seeds):.3f} |")
    lines += ["", "| iteration | mean of rho |", "| --- | --- |"]
    for moment, iteration in enumerate(report["iterations"]):
        lines.append(f"| {iteration} | {mean(s[moment][-1][0] for s in report['rho']):.3f} |")
    return "\n".join(lines)
