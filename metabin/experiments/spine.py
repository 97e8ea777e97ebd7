"""The settings of each method, chosen on source streets, and the spine: BN, IN, Half, BIN and MetaBIN on unseen streets."""

from dataclasses import replace
from itertools import combinations
from statistics import mean, stdev

from metabin.experiments.results import paired
from metabin.experiments.tasks import (
    DEVELOPMENT,
    FIRST,
    SETTINGS,
    SPINE,
    chosen,
    development,
    same_streets,
    trial,
    unseen_streets,
)
from metabin.experiments.trials import METRICS, run_trials


def tuning(seeds: int, jobs: int) -> dict:
    """The best of each method's settings by mean mAP over the development worlds, and all that was tried."""
    tried = [(method, setting) for method in SETTINGS for setting in SETTINGS[method]]
    trials = [
        replace(trial(m, development(s), s, **setting), oracle=False)
        for m, setting in tried
        for s in DEVELOPMENT
    ]
    found = iter(run_trials(trials, jobs))
    log = [
        {"method": m, "setting": setting, "mAP": [next(found)["mAP"] for _ in DEVELOPMENT]}
        for m, setting in tried
    ]
    best = {
        m: max((row for row in log if row["method"] == m), key=lambda row: sum(row["mAP"]))
        for m in SETTINGS
    }
    return {"tuning": log, "chosen": {m: row["setting"] for m, row in best.items()}}


def tuning_text(report: dict) -> str:
    """What was chosen, as a Markdown table."""
    lines = ["| method | chosen | of | mAP |", "| --- | --- | --- | --- |"]
    for method, setting in report["chosen"].items():
        tried = [row for row in report["tuning"] if row["method"] == method]
        best = max(100 * mean(row["mAP"]) for row in tried)
        told = ", ".join(f"{name}={value:g}" for name, value in setting.items())
        lines.append(f"| {method} | {told} | {len(tried)} | {best:.1f} |")
    return "\n".join(lines)


def spine(seeds: int, jobs: int) -> dict:
    """Do BN, IN, Half, BIN and MetaBIN differ on unseen streets, and where should IN lose?"""
    tasks = {"unseen_streets": unseen_streets, "same_streets": same_streets}
    plan = [(name, m, s) for name in tasks for m in SPINE for s in range(FIRST, FIRST + seeds)]
    found = run_trials([trial(m, tasks[name](s), s, **chosen(m)) for name, m, s in plan], jobs)
    report = {"chosen": {m: chosen(m) for m in SPINE}}
    for name in tasks:
        runs = {
            m: [r for (n, k, _), r in zip(plan, found, strict=True) if (n, k) == (name, m)]
            for m in SPINE
        }
        oracles = {
            f"{m} + oracle rho": [r["oracle"] for r in rs]
            for m, rs in runs.items()
            if "oracle" in rs[0]
        }
        rows = {m: {k: [r[k] for r in rs] for k in METRICS} for m, rs in (runs | oracles).items()}
        report[name] = {
            "methods": rows,
            "paired": {f"{a} - {b}": paired(rows[a], rows[b]) for a, b in combinations(rows, 2)},
        }
    return report


def spine_table(report: dict, setting: str) -> str:
    """One setting of the spine as a Markdown table: mean over seeds ± standard deviation, in percent."""
    lines = ["| method | Rank-1 | mAP | mINP |", "| --- | --- | --- | --- |"]
    for method, row in report[setting]["methods"].items():
        cells = [
            f"{100 * mean(row[k]):.1f} ± {100 * stdev(row[k]):.1f}"
            for k in ("rank1", "mAP", "mINP")
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spine_text(report: dict) -> str:
    """Both settings of the spine, to be printed."""
    return "\n\n".join(
        f"{name}\n{spine_table(report, name)}" for name in ("unseen_streets", "same_streets")
    )
