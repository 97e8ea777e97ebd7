"""Figures 3 and 5, from the lessons' networks: features in the plane, and inner gradients."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import joblib
import torch
from torch import nn

from metabin.analysis.embedding_study import QUANTITIES, embedding_study, tightest
from metabin.analysis.gradient_signs import ORIGINS
from metabin.analysis.gradient_study import (
    CLAIMS,
    STEPS,
    gradient_study,
    over_trainings,
    signs,
)
from metabin.analysis.networks import CHECKPOINTS, ON_THE_WAY, load_network
from metabin.data.images import ImageSet
from metabin.experiments.results import how_far, markdown
from metabin.experiments.tasks import FIRST, finished_streets, lesson_streets, lesson_trial
from metabin.train import Run

MOMENTS = {"start": 0, "10 %": 10, "40 %": 40, "end": 100}  # of Fig. 5 -> percent of training
COMMITTED = {FIRST: CHECKPOINTS}  # a training's seed (its world's too) -> where its networks lie


# ---- Figure 3 ------------------------------------------------------------------------


def figure3_report(seeds: int, jobs: int) -> dict:
    """What t-SNE shows of four networks on unseen streets, from `seeds` starts."""
    networks = {}
    for method in ("bn", "in", "bin", "metabin"):
        networks[method] = {at: load_network(method, at) for at in (*ON_THE_WAY, 100)}
    targets = lesson_streets().target_set()
    report = embedding_study(networks, targets, starts=seeds, jobs=jobs)
    pairs = [rows for pair, rows in report["paired"].items() if pair.endswith(" - metabin")]
    shown = sum(rows["ratio"][1] > 0 for rows in pairs)
    verdict = (
        f"{how_far(shown, len(pairs))}: own pictures nearer than others' in MetaBIN"
        f" than in {shown} of {len(pairs)} networks (one training)"
    )
    return {"worlds": [FIRST], "seeds": [FIRST], "starts": seeds, "verdict": verdict} | report


def figure3_text(report: Mapping) -> str:
    """The finished networks' numbers, means over streets; differences of ratios with 95 % CI."""
    heads = ["own", "others", "own / others", "Rank-1", "silhouette: person", "street"]
    rows = []
    for method, moments in report["numbers"].items():
        numbers = list(moments.values())[-1]
        means = [sum(numbers[q]) / len(numbers[q]) for q in QUANTITIES]
        means.append(report["all_streets"]["scores"][method]["trust"])
        rows.append([method, *(f"{value:.3f}" for value in means)])
    lines = [markdown(["method", *heads, "street purity", "trust"], rows), ""]
    lines.append("own / others, differences with 95 % CI")
    for pair, intervals in report["paired"].items():
        over_streets = _signed("over streets", intervals["ratio"])
        lines.append(
            f"{pair:16}{over_streets}   {_signed('over people', intervals['ratio, people'])}"
        )
    wins = tightest(report)
    counts = ", ".join(f"{method} {count}" for method, count in wins.items())
    lines += ["", f"tightest in how many of {sum(wins.values())} pictures: {counts}"]
    return "\n".join(lines)


def _signed(name: str, interval: Sequence[float]) -> str:
    middle, low, high = interval
    return f"{name} {middle:+.3f} [{low:+.3f}, {high:+.3f}]"


# ---- Figure 5 ------------------------------------------------------------------------


def figure5_report(seeds: int, jobs: int, folders: Mapping[int, Path] = COMMITTED) -> dict:
    """Which way each meta-train loss pushes rho in every layer, at four moments of training.

    Of at most `seeds` of the trainings in `folders`; each has a folder with its networks and a
    world of its own. Intervals are over trainings where there are several, else over the batches
    of the one. Raises FileNotFoundError when a network isn't there.
    """
    trained = dict(list(folders.items())[:seeds])
    plan = []
    for moment in MOMENTS:
        plan += [(moment, seed, folder) for seed, folder in trained.items()]
    runs = joblib.Parallel(n_jobs=jobs)(joblib.delayed(_measured)(*one) for one in plan)
    by_moment = {moment: [] for moment in MOMENTS}
    for (moment, *_), measured in zip(plan, runs, strict=True):
        by_moment[moment].append(measured)
    report = {
        "worlds": list(trained),
        "seeds": list(trained),
        "trainings": list(trained),
        "interval_over": "trainings" if len(trained) > 1 else "batches",
        "origins": list(ORIGINS),
        "step_sizes": list(STEPS),
        "moments": {moment: over_trainings(measured) for moment, measured in by_moment.items()},
        "first": {moment: measured[0]["layers"] for moment, measured in by_moment.items()},
    }
    return {"verdict": figure5_verdict(report["moments"])} | report


def figure5_verdict(moments: Mapping[str, Mapping]) -> str:
    """In how many layers, moment by moment, each loss has the sign that the paper names."""
    counts = {}
    for loss, sign in CLAIMS.items():
        layers = []
        for measured in moments.values():
            layers += signs(measured["layers"][loss])
        counts[loss] = layers.count(sign)
    words = ", ".join(f"{loss} {count}" for loss, count in counts.items())
    state = how_far(sum(counts.values()), len(layers) * len(counts))
    return f"{state}: the paper's sign, of {len(layers)} layers at four moments: {words}"


def figure5_network(moment: str, images: ImageSet, folder: Path = CHECKPOINTS) -> nn.Module:
    """The extractor of a training at one of MOMENTS.

    At the start it has the studio's weights, and every rho is 1.
    """
    if MOMENTS[moment] == 0:
        return Run(lesson_trial("metabin").config, images, "cpu").model.extractor
    return load_network("metabin", MOMENTS[moment], folder).extractor


def _measured(moment: str, seed: int, folder: Path) -> dict:
    torch.set_num_threads(1)
    images = finished_streets(seed).train_set()
    return gradient_study(figure5_network(moment, images, folder), images)


def figure5_text(report: Mapping) -> str:
    """How many layers each loss pushes which way, and whether that is the paper's sign."""
    rows = []
    for moment, measured in report["moments"].items():
        for loss, intervals in measured["layers"].items():
            layers = signs(intervals)
            positive = [mean for mean, *_ in measured["positive"][loss]]
            share = f"{100 * sum(positive) / len(positive):.0f} %"
            length = f"{measured['agreement'][loss][0]:.2g}"
            counts = [layers.count(sign) for sign in (1, -1, 0)]
            state = how_far(layers.count(CLAIMS[loss]), len(layers))
            rows.append([moment, loss, *counts, share, length, state])
    heads = ["moment", "loss", "layers toward IN", "toward BN", "undecided", "channels > 0"]
    trainings = f"{len(report['trainings'])} training(s)"
    first = f"{trainings}, 95 % intervals over {report['interval_over']}"
    return first + "\n" + markdown([*heads, "length", "the paper's sign"], rows)
