"""Which way each meta-train loss pushes rho, layer by layer and moment by moment (Section 4.4, Fig. 5).

Sizes: L norm layers, B batches, T trainings. A layer's gradient is the mean over its channels: what all of them
together would do. Positive: the inner step moves rho toward IN; negative: toward BN.
"""

import copy
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import joblib
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabin.analysis.gradient_signs import ORIGINS, Sides, origin_study
from metabin.analysis.inner_step import inner_gradients
from metabin.analysis.meta_study import draw_sides, outer_gradient
from metabin.config import METHODS, demo
from metabin.data.batches import Batches
from metabin.data.images import ImageSet
from metabin.evaluate.intervals import paired_interval
from metabin.losses import META_TRAIN, Criterion
from metabin.meta import Batch
from metabin.norm import balancing_parameters
from metabin.runs.checkpoints import load_model
from metabin.runs.provenance import ROOT
from metabin.streets import World, make_streets
from metabin.train import Run

PARTS = ("scatter", "shuffle", "triplet")
CLAIMS = {"scatter": 1, "shuffle": 1, "triplet": -1}  # the signs that the paper's Section 4.4 names
STEPS = (0.1, 1.0, 10.0)  # inner step sizes


def with_rho(extractor: nn.Module, value: float) -> nn.Module:
    """A copy of an extractor in which every rho has this value."""
    changed = copy.deepcopy(extractor)
    for rho in balancing_parameters(changed).values():
        rho.data.fill_(value)
    return changed


def batches_of(images: ImageSet, count: int, seed: int) -> list[tuple[Batch, Batch]]:
    """Meta-train and meta-test batches as a demo run draws them, each with a split of its own."""
    return draw_sides(Batches(demo(**METHODS["metabin"]), images, seed), count)


def directions(
    extractor: nn.Module, sides: Sides, criterion: Criterion = META_TRAIN, held: bool = False
) -> dict[str, dict[str, Tensor]]:
    """Each loss's gradient on each meta-train batch: loss -> "mean" over channels and share "positive", (B, L) each.

    BN takes the batch's own statistics, as in the inner step, whatever mode the extractor is in; `held`: the running ones.
    """
    extractor.train(not held)
    drawn = [inner_gradients(extractor, batch, criterion) for batch, _ in sides]
    measures = {"mean": Tensor.mean, "positive": lambda g: (g > 0).float().mean()}
    return {
        part: {
            name: torch.stack(
                [torch.stack([measure(g) for g in found[part].values()]) for found in drawn]
            ).cpu()
            for name, measure in measures.items()
        }
        for part in drawn[0]
    }


def agreement(extractor: nn.Module, sides: Sides) -> dict[str, Tensor]:
    """Cosines between the losses' gradients, their sum and the outer gradient, all at rho, over all channels: pair -> (B,).

    "scatter" and so on with no partner are the gradients' lengths.
    """
    extractor.train()
    rows = []
    for meta_train, meta_test in sides:
        parts = inner_gradients(extractor, meta_train)
        arrows = {part: torch.cat(list(found.values())) for part, found in parts.items()}
        arrows["sum"] = sum(arrows.values())
        arrows["outer"] = outer_gradient(extractor, meta_train, meta_test, 0.0, order=1)
        cosines = {
            f"{a}, {b}": F.cosine_similarity(arrows[a], arrows[b], dim=0)
            for a, b in combinations(arrows, 2)
        }
        rows.append(cosines | {name: arrow.norm() for name, arrow in arrows.items()})
    return {name: torch.stack([row[name] for row in rows]).cpu() for name in rows[0]}


def outer_changes(
    extractor: nn.Module, sides: Sides, step_sizes: Sequence[float] = STEPS
) -> Tensor:
    """Cosine between the outer gradient at rho and at rho', the inner step taken in these sizes: (B, sizes)."""
    extractor.train()

    def arrows(step: float) -> Tensor:
        return torch.stack(
            [outer_gradient(extractor, *pair, step, order=1) for pair in sides]
        )  # (B, channels)

    before = arrows(0.0)
    return torch.stack([F.cosine_similarity(before, arrows(step)) for step in step_sizes], 1).cpu()


# ---- Figure 5 -------------------------------------------------------------------------------------------------------

MOMENTS = {"start": None, "10 %": "metabin_at_10", "40 %": "metabin_at_40", "end": "metabin"}
COMMITTED = {
    1: ROOT / "data" / "checkpoints"
}  # a training's seed (its world's too) -> where its networks lie
BATCHES, SEED = 12, 1000  # how many batches, and the seed that they are drawn by: no training's


def source_streets(seed: int) -> ImageSet:
    """The five streets that the training with this seed learns from."""
    return make_streets(
        World(seed=seed), range(5), 120, images_per_camera=4, cache=ROOT / "build" / "cache"
    )


def network_at(moment: str, seed: int, images: ImageSet, folder: Path) -> nn.Module:
    """The extractor of a training at one of MOMENTS; at the "start" nothing has moved and every rho is 1."""
    if MOMENTS[moment] is None:
        return Run(demo(seed=seed, **METHODS["metabin"]), images, "cpu").model.extractor
    return load_model(folder / f"{MOMENTS[moment]}.safetensors")[0].extractor


def measure(moment: str, seed: int, folder: Path) -> dict:
    """What Figure 5's report holds of one network: [mean, low, high] of each quantity, intervals over batches."""
    torch.set_num_threads(1)
    images = source_streets(seed)
    extractor, sides = network_at(moment, seed, images, folder), batches_of(images, BATCHES, SEED)
    some = sides[: BATCHES // 2]
    found = directions(extractor, sides)
    return {
        "rho": torch.cat(list(balancing_parameters(extractor).values())).mean().item(),
        "layers": {part: interval(rows["mean"]) for part, rows in found.items()},
        "positive": {part: interval(rows["positive"]) for part, rows in found.items()},
        "agreement": {
            name: interval(values) for name, values in agreement(extractor, some).items()
        },
        "outer_changes": interval(outer_changes(extractor, some)),
        "origins": {
            name: interval(v.transpose(0, 1)) for name, v in origin_study(extractor, some).items()
        },
    }


def interval(samples: Tensor) -> list:
    """Mean over the first dimension with its 95 % interval, [mean, low, high] for each of the others, to four digits."""
    if samples.dim() > 1:
        return [interval(column) for column in samples.unbind(1)]
    return [float(f"{value:.4g}") for value in paired_interval(samples)]


def figure5(seeds: int, jobs: int, folders: Mapping[int, Path] = COMMITTED) -> dict:
    """Directions of the inner gradients at four moments of MetaBIN's training, in at most `seeds` of the trainings in `folders`.

    Each training has a folder with its networks (MOMENTS), and a world of its own. Intervals are over trainings where
    there are several, else over the batches of the one. Raises FileNotFoundError when a network isn't there.
    """
    trained = dict(list(folders.items())[:seeds])
    plan = [(moment, seed, folder) for moment in MOMENTS for seed, folder in trained.items()]
    found = joblib.Parallel(n_jobs=jobs)(joblib.delayed(measure)(*one) for one in plan)
    moments = {m: [x for (n, *_), x in zip(plan, found, strict=True) if n == m] for m in MOMENTS}
    return {
        "trainings": list(trained),
        "interval_over": "trainings" if len(trained) > 1 else "batches",
        "origins": list(ORIGINS),
        "step_sizes": list(STEPS),
        "moments": {moment: over_trainings(runs) for moment, runs in moments.items()},
        "first": {moment: runs[0]["layers"] for moment, runs in moments.items()},
    }


def over_trainings(runs: Sequence):
    """What `measure` found in several networks as one: means over them, and intervals over them; a single one as it is."""
    if len(runs) == 1:
        return runs[0]
    if isinstance(runs[0], dict):
        return {key: over_trainings([run[key] for run in runs]) for key in runs[0]}
    values = torch.tensor(runs, dtype=torch.float64)  # (T, ..., 3), or rho's mean, (T,)
    return interval(values[..., 0]) if values.dim() > 1 else values.mean().item()


def signs(rows: Sequence[Sequence[float]]) -> list[int]:
    """The sign that each [mean, low, high] allows: 1 or -1, and 0 where the interval holds zero."""
    return [int(low > 0) - int(high < 0) for _, low, high in rows]


def figure5_text(report: dict) -> str:
    """Figure 5 in words: how many layers each loss pushes which way at each moment, and whether that is the paper's sign."""
    lines = [
        f"{len(report['trainings'])} training(s), 95 % intervals over {report['interval_over']}",
        "| moment | loss | layers toward IN | toward BN | undecided | channels > 0 | length | the paper's sign |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for moment, found in report["moments"].items():
        for part, rows in found["layers"].items():
            told = signs(rows)
            share = 100 * sum(mean for mean, *_ in found["positive"][part]) / len(told)
            verdict = (
                "yes" if set(told) == {CLAIMS[part]} else "partly" if CLAIMS[part] in told else "no"
            )
            counts = " | ".join(str(told.count(sign)) for sign in (1, -1, 0))
            length = found["agreement"][part][0]
            lines.append(
                f"| {moment} | {part} | {counts} | {share:.0f} % | {length:.2g} | {verdict} |"
            )
    return "\n".join(lines)
