"""The lessons' networks: the spine's first world with its chosen settings, at the end of training and on the way."""

import argparse
import os
from pathlib import Path

import joblib
import torch

from metabin.experiments.tasks import FIRST, SPINE, chosen, trial, unseen_streets
from metabin.experiments.trials import CACHE, Trial, test
from metabin.networks.model import ReIDModel
from metabin.runs.checkpoints import load_model, save_model
from metabin.runs.provenance import ROOT
from metabin.train import Run, train

CHECKPOINTS = ROOT / "data" / "checkpoints"
MOMENTS = (10, 40)  # percent of the schedule: also kept of every method but "half"


def load_network(method: str, percent: int = 100, folder: Path = CHECKPOINTS) -> ReIDModel:
    """A lesson's network at the end of its training, or after one of MOMENTS."""
    name = method if percent == 100 else f"{method}_at_{percent}"
    return load_model(folder / f"{name}.safetensors")[0]


def make_checkpoints(jobs: int, compare: bool) -> int:
    """Train the lessons' networks, or `compare` new ones with those committed.

    On the machine that made them they come out equal; elsewhere rounding may differ, so retrieval is compared: the
    exit code is 1 when a Rank-1 at the end is off by more than 3 points.
    """
    trials = [trial(method, unseen_streets(FIRST), FIRST, **chosen(method)) for method in SPINE]
    folder = CACHE.parent / "checkpoints" if compare else CHECKPOINTS
    joblib.Parallel(n_jobs=jobs)(joblib.delayed(_train_and_save)(t, folder) for t in trials)
    worst = 0.0
    for method in SPINE if compare else ():
        new, old = (
            test(load_network(method, folder=place), trials[0].task.target_set())["rank1"]
            for place in (folder, CHECKPOINTS)
        )
        worst = max(worst, abs(new - old))
        print(f"{method:8} Rank-1 committed {old:.1%}, made again {new:.1%}")
    return int(worst > 0.03)


def _train_and_save(t: Trial, folder: Path):
    torch.set_num_threads(1)
    run = Run(t.config, t.task.train_set())
    moments = (
        {}
        if t.method == "half"
        else {t.config.iterations * m // 100: f"{t.method}_at_{m}" for m in MOMENTS}
    )
    for step in train(run):
        if name := (moments | {t.config.iterations: t.method}).get(step.iteration):
            save_model(
                folder / f"{name}.safetensors",
                run.model,
                t.config.norm,
                t.config.backbone,
                method=t.method,
            )


def main(arguments: list[str]) -> int:
    """`python -m metabin checkpoints`: make or compare the lessons' networks."""
    parser = argparse.ArgumentParser(
        prog="python -m metabin checkpoints",
        description="Train the networks that the lessons read.",
    )
    parser.add_argument(
        "--compare", action="store_true", help="compare with the committed, change nothing"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    options = parser.parse_args(arguments)
    return make_checkpoints(options.jobs, options.compare)
