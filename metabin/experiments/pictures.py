"""Figures 3 and 5, from the lessons' networks: features in the plane, and inner gradients."""

from collections.abc import Mapping

import joblib
import torch
from torch import nn

from metabin.analysis.embedding_study import QUANTITIES, embedding_study, tightest
from metabin.analysis.gradient_signs import ORIGINS
from metabin.analysis.gradient_study import CLAIMS, STEPS, gradient_study, signs
from metabin.analysis.networks import ON_THE_WAY, load_network
from metabin.data.images import ImageSet
from metabin.experiments.results import how_far, interval_text, markdown
from metabin.experiments.tasks import FIRST, lesson_streets, lesson_trial
from metabin.train import Run

MOMENTS = {"start": 0, "10 %": 10, "40 %": 40, "end": 100}  # of Fig. 5 -> percent of training


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
        streets, people = (interval_text(intervals[q], 1, 3) for q in ("ratio", "ratio, people"))
        lines.append(f"{pair:16}over streets {streets}   over people {people}")
    wins = tightest(report)
    counts = ", ".join(f"{method} {count}" for method, count in wins.items())
    lines += ["", f"tightest in how many of {sum(wins.values())} pictures: {counts}"]
    return "\n".join(lines)


# ---- Figure 5 ------------------------------------------------------------------------


def figure5_report(seeds: int, jobs: int) -> dict:
    """Which way each meta-train loss pushes rho in every layer, at four moments of training.

    Of the lessons' one MetaBIN, with intervals over batches: `seeds` changes nothing.
    """
    work = [joblib.delayed(_measured)(moment) for moment in MOMENTS]
    moments = dict(zip(MOMENTS, joblib.Parallel(n_jobs=jobs or 1)(work), strict=True))
    return {
        "verdict": figure5_verdict(moments),
        "worlds": [FIRST],
        "seeds": [FIRST],
        "interval_over": "batches",
        "origins": list(ORIGINS),
        "step_sizes": list(STEPS),
        "moments": moments,
    }


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


def figure5_network(moment: str, images: ImageSet) -> nn.Module:
    """The extractor of the lessons' MetaBIN at one of MOMENTS; at the start every rho is 1."""
    if MOMENTS[moment] == 0:
        return Run(lesson_trial("metabin").config, images, "cpu").model.extractor
    return load_network("metabin", MOMENTS[moment]).extractor


def _measured(moment: str) -> dict:
    torch.set_num_threads(1)
    images = lesson_streets().train_set()
    return gradient_study(figure5_network(moment, images), images)


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
    first = f"One training, 95 % intervals over {report['interval_over']}"
    return first + "\n" + markdown([*heads, "length", "the paper's sign"], rows)
