"""Losses and rho over training (Figs. 7 and 11), from the runs of MetaBIN that the tables have."""

from statistics import mean

import torch

from metabin.analysis import rho_summary
from metabin.evaluate import paired_interval
from metabin.experiments.runner import trials_of
from metabin.experiments.tables import METABIN
from metabin.experiments.tasks import FIRST
from metabin.trials import run_trials


def history(seeds: int, jobs: int, profile: str = "demo") -> dict:
    """How the losses fall and where rho goes: losses by name (seeds, parts), rho (seeds, moments, layers + 1, 4)."""
    runs = run_trials(trials_of(METABIN, range(FIRST, FIRST + seeds), profile), jobs)
    rho = [[rho_summary([torch.tensor(layer) for layer in layers]) for layers in r["rho"]["values"]] for r in runs]
    told = torch.stack([torch.stack(moments) for moments in rho])  # (seeds, moments, layers + 1, 4)
    return {
        "verdict": {"Fig. 7": _falls(runs), "Fig. 11": _rebounds(told[:, :, :-1, 0], runs[0]["rho"]["layers"])},
        "losses": {k: [[round(x, 4) for x in r["losses"][k]] for r in runs] for k in runs[0]["losses"]},
        "layers": runs[0]["rho"]["layers"],
        "iterations": runs[0]["rho"]["iterations"],
        "rho": [[[[round(x, 4) for x in row] for row in rows] for rows in moments] for moments in told.tolist()],
    }


def _falls(runs: list[dict]) -> str:
    """Fig. 7's observation: the meta-train losses fall."""
    curves = {name: [r["losses"][f"meta_train/{name}"] for r in runs] for name in ("scatter", "shuffle", "triplet")}
    fallen = [name for name, seeds in curves.items() if paired_interval([s[-1] - s[0] for s in seeds])[2] < 0]
    state = "yes" if len(fallen) == len(curves) else "partly" if fallen else "no"
    return f"{state}: from its first to its last part falls {', '.join(fallen) or 'none'} of {', '.join(curves)}"


def _rebounds(means: torch.Tensor, layers: list[str]) -> str:
    """Fig. 11's observation: in some layers rho falls first and comes back. means (seeds, moments, layers)."""
    back = means[:, -1] - means.amin(dim=1)  # (seeds, layers), from the lowest moment to the end
    intervals = [paired_interval(layer) for layer in back.T]
    found = [name for name, (_, low, _) in zip(layers, intervals, strict=True) if low > 0.01]
    state = "yes" if len(found) >= 4 else "partly" if found else "no"  # the paper names four
    return f"{state}: rho falls and comes back by more than 0.01 in {len(found)} of {len(layers)} layers"


def history_text(report: dict) -> str:
    """The losses at the start and at the end, and the mean of rho over training, as Markdown tables."""
    lines = ["| loss | first part | last part |", "| --- | --- | --- |"]
    for name, seeds in report["losses"].items():
        lines.append(f"| {name} | {mean(s[0] for s in seeds):.3f} | {mean(s[-1] for s in seeds):.3f} |")
    lines += ["", "| iteration | mean of rho |", "| --- | --- |"]
    for moment, iteration in enumerate(report["iterations"]):
        lines.append(f"| {iteration} | {mean(s[moment][-1][0] for s in report['rho']):.3f} |")
    return "\n".join(lines)
