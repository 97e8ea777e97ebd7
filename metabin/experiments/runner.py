"""From a declaration to its report: which trials it takes, and what is told of them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import mean, stdev

import torch

from metabin.analysis import rho_distribution
from metabin.config import Config
from metabin.evaluate.intervals import paired_interval
from metabin.experiments.results import paired
from metabin.experiments.rows import Experiment, Row
from metabin.experiments.tasks import chosen, trial
from metabin.experiments.trials import METRICS, Trial, run_trials


def settings(row: Row, profile: str) -> dict:
    """The configuration's changes of a row: what was chosen for its method on small streets, then what the row is about."""
    found = chosen(row.method) if profile == "demo" else {}
    found = found | row.changes
    if row.inner is not None:
        top = found.get("inner_lr_high", Config.inner_lr_high)
        found |= {"inner_lr_low": row.inner * top, "inner_lr_high": row.inner * top}
    if row.outer != 1:
        found["outer_lr"] = row.outer * found.get("outer_lr", Config.outer_lr)
    return found


def trials_of(row: Row, seeds: Sequence[int], profile: str = "demo") -> list[Trial]:
    """One trial for each seed, which is the world's and the training's."""
    runs = [
        trial(row.method, row.task(seed), seed, profile, **settings(row, profile)) for seed in seeds
    ]
    return [replace(run, oracle=run.oracle and row.plain) for run in runs]


def report(experiment: Experiment, seeds: int, jobs: int, profile: str = "demo") -> dict:
    """Run what isn't known yet and tell of it: rows with every seed's numbers, and how each of the claims came out."""
    numbers = range(experiment.first, experiment.first + seeds)
    plan = [trials_of(row, numbers, profile) for row in experiment.rows]
    found = iter(run_trials([t for runs in plan for t in runs], jobs))
    rows = []
    for row, runs in zip(experiment.rows, plan, strict=True):
        rows.append(_row(row, [next(found) for _ in runs], experiment.keeps_rho))
        config = vars(runs[0].config)
        rows[-1]["settings"] = {
            k: v for k, v in config.items() if v != getattr(Config, k) and k != "seed"
        }
    by_name = {row["name"]: row["metrics"] for row in rows}
    claims = [
        {"better": a, "worse": b} | paired(by_name[a], by_name[b]) for a, b in experiment.claims
    ]
    told = {"title": experiment.title, "axis": experiment.axis, "profile": profile}
    state = _falling(rows) if experiment.keeps_rho and experiment.axis else verdict(claims)
    return told | {"verdict": state, "rows": rows, "claims": claims}


def _row(row: Row, runs: list[dict], keeps_rho: bool) -> dict:
    told = {
        "name": row.name,
        "method": row.method,
        "series": row.series,
        "at": row.at,
        "paper": list(row.paper),
    }
    told["metrics"] = {k: [run[k] for run in runs] for k in METRICS}
    told["interval"] = {
        k: list(paired_interval(told["metrics"][k])) for k in ("rank1", "mAP")
    }  # mean, low, high
    told["seconds"] = round(mean(run["train_seconds"] for run in runs))
    if "oracle" in runs[0]:
        told["oracle"] = {k: [run["oracle"][k] for run in runs] for k in METRICS}
    if "rho" in runs[0]:
        final = [[torch.tensor(layer) for layer in run["rho"]["values"][-1]] for run in runs]
        told["rho_mean"] = [torch.cat(layers).mean().item() for layers in final]
        if keeps_rho:
            told["layers"] = runs[0]["rho"]["layers"]
            told["rho"] = (
                torch.stack([rho_distribution(layers) for layers in final]).mean(0).tolist()
            )
    return told


def verdict(claims: Sequence[dict]) -> str:
    """Whether the streets show what the paper's numbers say: "yes", "partly" or "no", of how many claims, and the first.

    A claim is shown where the 95 % interval of the paired difference of Rank-1 lies above zero.
    """
    if not claims:
        return "measured"
    shown = sum(claim["rank1"][1] > 0 for claim in claims)
    against = sum(claim["rank1"][2] < 0 for claim in claims)
    state = "yes" if shown == len(claims) else "partly" if shown else "no"
    reversed_ = f", {against} the other way round" if against else ""
    return f"{state}: {shown} of {len(claims)} differences{reversed_}. {difference(claims[0])}"


def _falling(rows: Sequence[dict]) -> str:
    """Fig. 9's observation, of rows in the order of what is varied: with every step along them rho goes further to IN."""
    means = [row["rho_mean"] for row in rows]
    changes = [
        paired_interval([b - a for a, b in zip(*pair, strict=True)]) for pair in pairwise(means)
    ]
    shown = sum(high < 0 for _, _, high in changes)
    state = "yes" if shown == len(changes) else "partly" if shown else "no"
    course = ", ".join(f"{mean(worlds):.2f}" for worlds in means)
    return f"{state}: mean rho falls in {shown} of {len(changes)} steps: {course}"


def difference(claim: dict) -> str:
    """A claim's paired difference of Rank-1 with its interval, in points; a setting that both share is said once."""
    middle, low, high = (100 * x for x in claim["rank1"])
    (better, _, shared), (_, _, setting) = (
        claim[side].partition(": ") for side in ("better", "worse")
    )
    better = better if shared == setting else claim["better"]
    return f"{better} − {claim['worse']}: {middle:+.1f} [{low:+.1f}, {high:+.1f}]"


def text(found: dict) -> str:
    """A report as a Markdown table, in percent: mean over seeds ± standard deviation, beside it what the paper printed."""
    lines = ["| | Rank-1 | mAP | with oracle rho | paper: Rank-1 | mAP |", "| --- " * 6 + "|"]
    for row in found["rows"]:
        cells = [_percent(row["metrics"]["rank1"]), _percent(row["metrics"]["mAP"])]
        cells.append(_percent(row["oracle"]["rank1"]) if "oracle" in row else "")
        lines.append(
            f"| {row['name']} | {' | '.join(cells)} | {' | '.join(map(str, row['paper'] or ('', '')))} |"
        )
    lines += ["", *(f"- {difference(claim)}" for claim in found["claims"]), "", found["verdict"]]
    return "\n".join([found["title"], "", *lines])


def _percent(seeds: Sequence[float]) -> str:
    return f"{100 * mean(seeds):.1f} ± {100 * stdev(seeds):.1f}"
