"""The networks that the lessons read: trained, or trained again and compared. And the studio's."""

from pathlib import Path

import joblib
import torch

from metabin.analysis.networks import CHECKPOINTS, ON_THE_WAY, load_network, network_file
from metabin.config import METHODS, demo
from metabin.experiments.tasks import (
    SPINE,
    STUDIO,
    STUDIO_TRAINING,
    STUDIO_WEIGHTS,
    lesson_trial,
)
from metabin.experiments.trials import CACHE, Trial, test
from metabin.runs.checkpoints import save_model
from metabin.train import Run, train


def make_checkpoints(jobs: int, compare: bool) -> int:
    """Train the lessons' networks, or `compare` new ones with those committed: the exit code.

    They are finished trainings in the first reported world. Rounding differs between machines, so
    retrieval is compared: the code is 1 when a Rank-1 is off by more than 3 points.
    """
    trials = [lesson_trial(method) for method in SPINE]
    folder = CACHE.parent / "checkpoints" if compare else CHECKPOINTS
    joblib.Parallel(n_jobs=jobs)(joblib.delayed(_train_and_save)(t, folder) for t in trials)
    if not compare:
        return 0
    worst, targets = 0.0, trials[0].task.target_set()
    for method in SPINE:
        new = test(load_network(method, folder=folder), targets)["rank1"]
        old = test(load_network(method), targets)["rank1"]
        worst = max(worst, abs(new - old))
        print(f"{method:8} Rank-1 committed {old:.1%}, made again {new:.1%}")
    return int(worst > 0.03)


def _train_and_save(t: Trial, folder: Path) -> None:
    torch.set_num_threads(1)
    run = Run(t.config, t.task.train_set())
    moments = (100,) if t.method == "half" else (*ON_THE_WAY, 100)
    percents = {t.config.iterations * percent // 100: percent for percent in moments}
    for step in train(run):
        if step.iteration in percents:
            path = network_file(t.method, percents[step.iteration], folder)
            save_model(path, run.model, t.config.norm, t.config.backbone, method=t.method)


def make_studio() -> None:
    """Train the weights that finished trainings start from, on one core, and test them."""
    torch.set_num_threads(1)
    config = demo(**METHODS["bn"] | STUDIO_TRAINING)
    run = Run(config, STUDIO.train_set())
    for step in train(run):
        if step.iteration % 100 == 0:
            print(f"{step.iteration:5}  identity loss {step.losses['base/id'].item():.2f}")
    save_model(STUDIO_WEIGHTS, run.model, config.norm, config.backbone, method="studio")
    rank1 = test(load_network("studio"), STUDIO.target_set())["rank1"]
    print(f"{STUDIO_WEIGHTS.name}: Rank-1 {rank1:.1%} on other people in the studio")
