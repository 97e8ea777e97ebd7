"""Settings of every method, chosen on development worlds with the same budget for all."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from statistics import mean

from metabin.experiments.results import markdown
from metabin.experiments.runner import run_groups
from metabin.experiments.tasks import (
    DEVELOPMENT,
    DEVELOPMENT_WORLDS,
    FINISHED_SETTINGS,
    TUNED,
    development,
    finished_streets,
    trial,
)
from metabin.experiments.trials import Trial, are_known


def tuning_report(seeds: int, jobs: int, profile: str = "demo") -> dict:
    """Each method's best setting by mean mAP over the development worlds, and all that was tried.

    Short trainings leave one source street out, finished ones are tested on unseen streets. `seeds`
    changes nothing. With `jobs` 0 nothing is run, and a method is left out that is not known whole.
    """
    finished = profile == "finished"
    worlds = DEVELOPMENT_WORLDS if finished else DEVELOPMENT
    settings_of = FINISHED_SETTINGS if finished else TUNED
    groups = {}
    for method, settings in settings_of.items():
        tried = {}
        for number, setting in enumerate(settings):
            tried[method, number] = [_trial(method, setting, seed, profile) for seed in worlds]
        if jobs or are_known(chain(*tried.values())):
            groups |= tried
    rows, best = [], {}
    for (method, number), records in run_groups(groups, jobs).items():
        row = {"method": method, "setting": settings_of[method][number]}
        row["mAP"] = [record["mAP"] for record in records]
        rows.append(row)
        if method not in best or sum(row["mAP"]) > sum(best[method]["mAP"]):
            best[method] = row
    return {
        "worlds": list(worlds),
        "seeds": list(worlds),
        "tuning": rows,
        "chosen": {method: row["setting"] for method, row in best.items()},
    }


def _trial(method: str, setting: Mapping, seed: int, profile: str) -> Trial:
    task = finished_streets(seed) if profile == "finished" else development(seed)
    return replace(trial(method, task, seed, profile, **setting), oracle=False)


def tuning_text(report: dict) -> str:
    """What was chosen, as a Markdown table."""
    rows = []
    for method, setting in report["chosen"].items():
        tried = [row for row in report["tuning"] if row["method"] == method]
        best = max(100 * mean(row["mAP"]) for row in tried)
        words = ", ".join(f"{name}={value:g}" for name, value in setting.items())
        rows.append([method, words, len(tried), f"{best:.1f}"])
    return markdown(["method", "chosen", "of", "mAP"], rows)
