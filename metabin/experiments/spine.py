"""The spine: five methods on two tasks."""

from collections import defaultdict
from itertools import combinations

from metabin.experiments.results import markdown, paired, percent, rates_of
from metabin.experiments.tasks import (
    FIRST,
    SPINE,
    chosen,
    same_streets,
    trial,
    unseen_streets,
)
from metabin.experiments.trials import run_trials

TASKS = {"unseen_streets": unseen_streets, "same_streets": same_streets}


def spine_report(seeds: int, jobs: int) -> dict:
    """Whether BN, IN, Half, BIN and MetaBIN differ on unseen streets, and where IN should lose."""
    numbers, trials, keys = range(FIRST, FIRST + seeds), [], []
    for name, task in TASKS.items():
        for method in SPINE:
            for seed in numbers:
                keys.append((name, method))
                trials.append(trial(method, task(seed), seed, **chosen(method)))
    records = defaultdict(list)
    for key, record in zip(keys, run_trials(trials, jobs), strict=True):
        records[key].append(record)
    report = {"worlds": list(numbers), "seeds": list(numbers)}
    report["chosen"] = {method: chosen(method) for method in SPINE}
    for name in TASKS:
        report[name] = _compared_methods({m: records[name, m] for m in SPINE})
    return report


def _compared_methods(records: dict[str, list[dict]]) -> dict:
    """Each method's rates, those with the oracle's rho, and all differences."""
    rows = {method: rates_of(runs) for method, runs in records.items()}
    for method, runs in records.items():
        if "oracle" in runs[0]:
            rows[f"{method} + oracle rho"] = rates_of([run["oracle"] for run in runs])
    differences = {f"{a} - {b}": paired(rows[a], rows[b]) for a, b in combinations(rows, 2)}
    return {"methods": rows, "paired": differences}


def spine_table(report: dict, setting: str) -> str:
    """One task of the spine as a Markdown table, in percent: mean ± standard deviation."""
    metrics, rows = ("rank1", "mAP", "mINP"), []
    for method, rates in report[setting]["methods"].items():
        rows.append([method, *(percent(rates[metric]) for metric in metrics)])
    return markdown(["method", "Rank-1", "mAP", "mINP"], rows)


def spine_text(report: dict) -> str:
    """Both tasks of the spine, to be printed."""
    return "\n\n".join(f"{name}\n{spine_table(report, name)}" for name in TASKS)
