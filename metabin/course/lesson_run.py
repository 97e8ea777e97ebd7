"""The training run of lesson 06: its data in each profile, and what it is compared with."""

import os
import shlex
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from metabin.course.lesson import repo_root
from metabin.data.augment import MEAN, STD
from metabin.data.batches import Batches
from metabin.data.images import ImageSet, concat_sets
from metabin.datasets.protocols import open_protocol, protocol_run
from metabin.evaluate.retrieval import Retrieval, evaluate
from metabin.experiments import (
    FIRST,
    SPINE,
    at_home,
    chosen,
    finished_difference,
    lesson_streets,
    load_network,
    unseen_streets,
)
from metabin.experiments.tasks import FINISHED
from metabin.experiments.trials import CACHE, Task
from metabin.networks.model import ReIDModel
from metabin.runs.checkpoints import load_run, save_run
from metabin.runs.flags import configure, parser
from metabin.streets import query_gallery
from metabin.train import Run

Pair = tuple[ImageSet, ImageSet]  # query, gallery
HELD_OUT = 40  # people of each source whom the run doesn't learn


@dataclass(frozen=True)
class Prepared:
    """A run that has not begun, and the pictures that it is tested on.

    unseen: name -> query and gallery of each street, or set, outside the run. others: people of the
    run's own streets whom it doesn't learn, each as two cameras saw them.
    """

    run: Run
    unseen: dict[str, Pair]
    others: ImageSet


def prepare(
    profile: str,
    seed: int,
    iterations: int = 0,
    data_root: str = "",
    protocol: str = "no_duke",
    flags: str = "",
) -> Prepared:
    """A run of MetaBIN on streets, or in profile "paper" on the sets of a protocol.

    The demo is a finished training: it starts from the studio's weights, with the settings that
    were chosen on other worlds. Raises ValueError where the real sets' folder isn't given.
    """
    settings = FINISHED | chosen("metabin", "finished") if profile == "demo" else {}
    settings |= {"seed": seed} | ({"iterations": iterations} if iterations else {})
    words = ["--profile", profile]
    for name, value in settings.items():
        values = value if isinstance(value, tuple) else (value,)
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    given = parser().parse_args(words + shlex.split(flags or os.environ.get("METABIN_FLAGS", "")))
    config = configure(given)
    if torch.cuda.is_available():  # slower, but two runs can be equal to the bit there, too
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    if profile == "paper":
        sources, unseen, others = _of_sets(data_root, protocol, given, config.size)
    else:
        task = lesson_streets() if profile == "demo" else unseen_streets(FIRST)
        sources, unseen, others = _of_streets(task, config.size)
    return Prepared(Run(config, sources), unseen, others)


def _of_streets(task: Task, size: tuple[int, int]) -> tuple[ImageSet, dict[str, Pair], ImageSet]:
    task = replace(task, world=replace(task.world, height=size[0], width=size[1]))
    targets, home = task.target_set(), at_home(task).target_set()
    unseen = {}
    for domain in targets.domains.unique():
        unseen[targets.names[domain]] = query_gallery(targets[targets.domains == domain])
    return task.train_set(), unseen, home[home.pids % task.test_ids < HELD_OUT]


def _of_sets(
    data_root: str, protocol: str, given, size: tuple[int, int]
) -> tuple[ImageSet, dict[str, Pair], ImageSet]:
    """All sources but their held-out people, the first split of each target, and these people."""
    root = data_root or os.environ.get("METABIN_DATA", "")
    if not root:
        raise ValueError(
            "profile paper needs the folder of the real sets: METABIN_DATA=~/reid, or -p data_root=…"
        )
    opened = open_protocol(
        protocol_run(protocol, given.target),
        repo_root() / Path(root).expanduser(),
        size,
        CACHE,
        held_out=given.held_out or HELD_OUT,
        opt_in=given.opt_in,
    )
    for name, reason in opened.missing.items():
        print(f"without {name}: {reason[:70]} …")
    unseen = {name: next(test.pairs()) for name, test in opened.tests.items()}
    others = [_two_cameras(kept.images) for kept in opened.validation.values()]
    return opened.train, unseen, concat_sets(others)


def _two_cameras(images: ImageSet) -> ImageSet:
    """The people whom both of a set's busiest cameras saw, by these two, numbered 0 and 1."""
    first, second = images.camids.bincount().topk(2).indices
    by_first = images.pids[images.camids == first]
    by_second = images.pids[images.camids == second]
    both = by_first[torch.isin(by_first, by_second)]
    either = (images.camids == first) | (images.camids == second)
    kept = images[either & torch.isin(images.pids, both)]
    return replace(kept, camids=(kept.camids == second).long())


def drawn_batch(run: Run) -> dict[str, Tensor]:
    """Name of a source -> its uint8 pictures in a mini-batch, as augmentation leaves them.

    The run stays where it is: the batch is like its own, from another random stream.
    """
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    pictures = {}
    drawn = Batches(run.config, run.images, run.config.seed).draw()
    for name, batch in zip(run.images.names, drawn, strict=True):
        colours = batch.images.cpu() * std + mean  # (N, 3, H, W)
        pictures[name] = colours.clamp(0, 1).mul(255).to(torch.uint8)
    return pictures


def search(model: ReIDModel, unseen: dict[str, Pair]) -> Retrieval:
    """Retrieval on each street by itself, joined into one list of queries."""
    results = [evaluate(model, *pair) for pair in unseen.values()]
    columns = []
    for column in fields(Retrieval)[:-1]:
        columns.append(torch.cat([getattr(result, column.name) for result in results]))
    return Retrieval(*columns, num_unmatched=sum(result.num_unmatched for result in results))


def saved_and_loaded(run: Run) -> Run:
    """The same run a second time, put together from its checkpoint."""
    twin = Run(run.config, run.images)
    with TemporaryDirectory() as folder:
        save_run(Path(folder) / "half.pt", run)
        load_run(Path(folder) / "half.pt", twin)
    return twin


def finished_networks(profile: str) -> dict[str, ReIDModel]:
    """The committed networks by method; none where pictures are larger than theirs."""
    return {method: load_network(method) for method in SPINE} if profile == "demo" else {}


def metabin_minus_others() -> dict[str, list[float]]:
    """Method -> Rank-1 of MetaBIN minus the method's on unseen streets, mean and 95 % CI.

    Over the ten worlds of finished trainings.
    """
    return {method: finished_difference("metabin", method) for method in SPINE[:-1]}
