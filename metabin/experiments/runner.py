"""From a declaration to its report: the trials it takes, and what their numbers say."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, pairwise
from pathlib import Path
from statistics import mean

import numpy as np
import torch

from metabin.config import Config
from metabin.evaluate.intervals import paired_interval
from metabin.experiments.results import (
    how_far,
    interval_text,
    markdown,
    paired,
    percent,
    rates_of,
    rounded,
)
from metabin.experiments.rows import Experiment, Row
from metabin.experiments.tasks import chosen, task_and_test, trial
from metabin.experiments.trials import NotRun, Trial, are_known, run_trials


def settings(row: Row, profile: str) -> dict:
    """The configuration's changes of a row: those chosen for its method, then its own."""
    changes = {} if profile == "gpu" else chosen(row.method, profile)
    changes = changes | row.changes
    if row.inner is not None:
        step = row.inner * changes.get("inner_lr_high", Config.inner_lr_high)
        changes |= {"inner_lr_low": step, "inner_lr_high": step}
    if row.outer != 1:
        changes["outer_lr"] = row.outer * changes.get("outer_lr", Config.outer_lr)
    return changes


def trials_of(row: Row, seeds: Sequence[int], profile: str = "demo") -> list[Trial]:
    """One trial for each seed, which is the world's and the training's."""
    changes, trials = settings(row, profile), []
    for seed in seeds:
        task, _ = task_and_test(row.task, seed, profile)
        one = trial(row.method, task, seed, profile, **changes)
        trials.append(replace(one, oracle=one.oracle and row.plain))
    return trials


def run_groups(groups: Mapping[Hashable, list[Trial]], jobs: int) -> dict[Hashable, list[dict]]:
    """Records of groups of trials, by the groups' names."""
    records = iter(run_trials(chain(*groups.values()), jobs))
    return {name: list(islice(records, len(trials))) for name, trials in groups.items()}


def experiment_report(experiment: Experiment, seeds: int, jobs: int, profile: str = "demo") -> dict:
    """Rows with every seed's numbers, and how each of the claims came out.

    With `jobs` 0 nothing is run: rows that are not known whole, and their claims, are left out, and
    `not_run` names them.
    """
    numbers = range(experiment.first, experiment.first + seeds)
    needed = {row.name: _needed(row, numbers, profile, jobs) for row in experiment.rows}
    records = run_groups(needed, jobs)
    declared = [row for row in experiment.rows if needed[row.name]]
    tests = [task_and_test(row.task, experiment.first, profile)[1] for row in declared]
    rows = []
    for row, test in zip(declared, tests, strict=True):
        tested = [record | record.get("also", {}).get(test, {}) for record in records[row.name]]
        entry = _row(row, tested, experiment.keeps_rho)
        if set(tests) == {"unseen"} and "also" in tested[0]:
            entry["also"] = {}
            for name in tested[0]["also"]:
                entry["also"][name] = _rates([record["also"][name] for record in tested])
        rows.append(entry | {"settings": _changed(needed[row.name][0].config)})
    metrics = {row["name"]: row["metrics"] for row in rows}
    claims = []
    for better, worse in experiment.claims:
        if better in metrics and worse in metrics:
            claim = {"better": better, "worse": worse}
            claims.append(claim | paired(metrics[better], metrics[worse]))
    falls = experiment.keeps_rho and experiment.axis
    return {
        "title": experiment.title,
        "axis": experiment.axis,
        "profile": profile,
        "worlds": list(numbers),
        "seeds": list(numbers),
        "verdict": falling(rows) if falls else verdict(claims),
        "rows": rows,
        "not_run": [row.name for row in experiment.rows if row.name not in metrics],
        "claims": claims,
    }


def _needed(row: Row, seeds: Sequence[int], profile: str, jobs: int) -> list[Trial]:
    """A row's trials; none where nothing may be run and they are not known whole."""
    try:
        trials = trials_of(row, seeds, profile)
    except NotRun:  # its method has no settings
        if jobs:
            raise
        return []
    return trials if jobs or are_known(trials) else []


def _changed(config: Config) -> dict:
    """Where a configuration differs from the default, but for its seed."""
    changed = {}
    for name, value in vars(config).items():
        if name != "seed" and value != getattr(Config, name):
            changed[name] = Path(value).name if name == "weights" else value
    return changed


def _rates(records: list[dict]) -> dict:
    """Every seed's metrics, and the intervals of Rank-1 and mAP."""
    metrics = rates_of(records)
    intervals = {name: list(paired_interval(metrics[name])) for name in ("rank1", "mAP")}
    return {"metrics": metrics, "interval": intervals}


def _row(row: Row, records: list[dict], keeps_rho: bool) -> dict:
    entry = {
        "name": row.name,
        "method": row.method,
        "series": row.series,
        "at": row.at,
        "paper": list(row.paper),
        **_rates(records),
        "seconds": round(mean(record["train_seconds"] for record in records)),
    }
    if "oracle" in records[0]:
        entry["oracle"] = rates_of([record["oracle"] for record in records])
    if "rho" in records[0]:
        entry["rho_mean"] = [record["rho"]["summary"][-1][-1][0] for record in records]
        if keeps_rho:
            shares = torch.tensor([record["rho"]["shares"] for record in records])
            entry["layers"] = records[0]["rho"]["layers"]
            entry["rho"] = rounded(shares.mean(0).tolist())
    return entry


def verdict(claims: Sequence[dict]) -> str:
    """How many claims the streets show, and the first of them.

    One is shown where the 95 % CI of the paired difference of Rank-1 lies above zero.
    """
    if not claims:
        return "measured"
    shown = sum(claim["rank1"][1] > 0 for claim in claims)
    against = sum(claim["rank1"][2] < 0 for claim in claims)
    counts = f"{shown} of {len(claims)} differences"
    if against:
        counts += f", {against} the other way round"
    return f"{how_far(shown, len(claims))}: {counts}. {difference(claims[0])}"


def falling(rows: Sequence[dict]) -> str:
    """Fig. 9's observation: rho goes further to IN with every larger step, in the rows' order."""
    means = [row["rho_mean"] for row in rows]
    shown = 0
    for before, after in pairwise(means):
        _, _, high = paired_interval(np.subtract(after, before))
        shown += high < 0
    steps = len(means) - 1
    course = ", ".join(f"{mean(worlds):.2f}" for worlds in means)
    return f"{how_far(shown, steps)}: mean rho falls in {shown} of {steps} steps: {course}"


def difference(claim: dict) -> str:
    """A claim's paired difference of Rank-1 with its 95 % CI, in points; a shared setting once."""
    better, _, setting = claim["better"].partition(": ")
    if setting != claim["worse"].partition(": ")[2]:
        better = claim["better"]
    return f"{better} − {claim['worse']}: {interval_text(claim['rank1'])}"


def experiment_text(report: dict) -> str:
    """A report as a Markdown table, in percent: mean over seeds ± standard deviation."""
    further = list(report["rows"][0].get("also", {})) if report["rows"] else []
    rows = []
    for row in report["rows"]:
        cells = [percent(row["metrics"]["rank1"]), percent(row["metrics"]["mAP"])]
        for test in further:
            cells.append(percent(row["also"][test]["metrics"]["rank1"]))
        if not further:
            cells.append(percent(row["oracle"]["rank1"]) if "oracle" in row else "")
        rows.append([row["name"], *cells, *(row["paper"] or ("", ""))])
    middle = [f"Rank-1, {test}" for test in further] or ["with oracle rho"]
    heads = ["", "Rank-1", "mAP", *middle, "paper: Rank-1", "mAP"]
    claims = [f"- {difference(claim)}" for claim in report["claims"]]
    table = markdown(heads, rows)
    missing = report.get("not_run", [])
    not_run = [f"Not run: {'; '.join(missing)}.", ""] if missing else []
    return "\n".join([report["title"], "", table, "", *claims, "", *not_run, report["verdict"]])
