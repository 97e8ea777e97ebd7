"""A trial: train on these streets, in this way, test on those. Trials are cached by content and run side by side."""

import ast
import functools
import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import joblib
import torch
from tqdm import tqdm

from metabin.analysis.oracle import oracle_rho
from metabin.config import Config
from metabin.data.images import ImageSet, cameras_as_domains, relabel
from metabin.evaluate.retrieval import METRICS, evaluate
from metabin.norm import balancing_parameters
from metabin.runs.provenance import ROOT, write_json
from metabin.streets import World, make_streets, query_gallery
from metabin.train import Run, train

PACKAGE = Path(__file__).parents[1]
CACHE = ROOT / "build" / "cache"
MOMENTS = 10  # so often rho is looked at during a run


@dataclass(frozen=True)
class Task:
    """What is trained on and where it is tested: streets of one world, by number."""

    world: World
    sources: tuple[int, ...] = (0, 1, 2, 3, 4)
    targets: tuple[int, ...] = (
        5,
        6,
        7,
        8,
        9,
        10,
    )  # unseen; the sources themselves: their held-out people
    train_ids: int = 120  # people per source domain
    test_ids: int = 100  # people per target domain
    cameras: int = 2  # on each source street
    by_camera: bool = False  # every camera of the sources is a domain, as in Table 2
    target_style: float | None = (
        None  # how far the target streets differ in style, where not as the sources
    )

    def train_set(self) -> ImageSet:
        people = self._people(
            self.world,
            self.sources,
            range(self.train_ids),
            cameras=self.cameras,
            images_per_camera=4,
        )
        return cameras_as_domains(people) if self.by_camera else people

    def target_set(self) -> ImageSet:
        """The people to be found: on unseen streets, or, where targets are sources, others than were trained on."""
        first = self.train_ids if set(self.sources) & set(self.targets) else 0
        world = (
            self.world
            if self.target_style is None
            else replace(self.world, style=self.target_style)
        )
        return self._people(
            world, self.targets, range(first, first + self.test_ids), images_per_camera=2
        )

    def _people(
        self, world: World, domains: tuple[int, ...], wanted: range, **counts: int
    ) -> ImageSet:
        """The people with these numbers on each street: `make_streets` numbers them street after street."""
        streets = make_streets(world, domains, wanted.stop, **counts, cache=CACHE)
        number = streets.pids % wanted.stop  # (N,)
        return relabel(streets[number >= wanted.start])


@dataclass(frozen=True)
class Trial:
    """One training run and its test."""

    method: str  # its name
    config: Config
    task: Task
    oracle: bool = False  # also fit rho on the targets: headroom, never a claim

    def key(self) -> str:
        """The content's hash: all of this but its name, and all code of the package that this file makes a trial of."""
        content = json.dumps(asdict(replace(self, method="")))
        return hashlib.sha256((content + _code_version()).encode()).hexdigest()[:16]


@functools.cache
def _code_version() -> str:
    """The hash of what a trial runs: this module's imports, theirs, and so on."""
    files, new = set(), {Path(__file__)}
    while new:
        files |= new
        new = {found for file in new for found in _imported_files(file)} - files
    code = (ast.dump(ast.parse(file.read_text())) for file in sorted(files - {Path(__file__)}))
    return hashlib.sha256("".join(code).encode()).hexdigest()


def _imported_files(file: Path) -> set[Path]:
    """The package's files that a file of it imports; a folder counts whole."""
    names = set()
    for node in ast.parse(
        file.read_text()
    ).body:  # what only a command line needs is imported further down
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "metabin":
            parts = node.module.split(".")[1:2]
            names.update(
                parts or (alias.name for alias in node.names)
            )  # `from metabin import distributed`
    return {
        found
        for name in names
        for found in (*(PACKAGE / name).glob("*.py"), PACKAGE / f"{name}.py")
        if found.exists()
    }


def run_trial(trial: Trial) -> dict:
    """Train and test once: metrics per target domain and their means, losses and rho on the way, as plain numbers."""
    started = time.monotonic()
    run = Run(trial.config, trial.task.train_set())
    history = train_and_watch(run)
    targets = trial.task.target_set()
    result = {"train_seconds": time.monotonic() - started} | test(run.model, targets) | history
    rho = balancing_parameters(run.model.extractor)
    if rho and trial.oracle:
        run.model.extractor.load_state_dict(
            oracle_rho(run.model, targets, seed=trial.config.seed), strict=False
        )
        result["oracle"] = test(run.model, targets)
    return result


def train_and_watch(run: Run) -> dict:
    """Train to the end. Returns "losses", each one's means over up to 30 equal parts of the schedule, and "rho", the values in
    every layer at the start and after each tenth: {"layers": [...], "iterations": [...], "values": [moment][layer][channel]}.
    """
    length, rho = run.config.iterations, balancing_parameters(run.model.extractor)

    def look() -> list[list[float]]:
        return [[round(value, 3) for value in r.tolist()] for r in rho.values()]

    losses, moments = [], {0: look()}
    for step in train(run):
        losses.append(step.losses)
        if step.iteration * MOMENTS % length < MOMENTS:
            moments[step.iteration] = look()
    curves = {
        name: torch.stack([at[name] for at in losses]) for name in losses[-1]
    }  # (iterations,) each
    result = {
        "losses": {
            k: [part.mean().item() for part in v.tensor_split(min(30, length))]
            for k, v in curves.items()
        }
    }
    if rho:
        layers = [name.removesuffix(".rho") for name in rho]
        result["rho"] = {
            "layers": layers,
            "iterations": list(moments),
            "values": list(moments.values()),
        }
    return result


def test(model: torch.nn.Module, targets: ImageSet) -> dict:
    """Retrieval on each target domain by itself, and the means over domains."""
    found = {
        targets.names[d]: evaluate(model, *query_gallery(targets[targets.domains == d]))
        for d in targets.domains.unique()
    }
    domains = {name: {m: r.values(m).mean().item() for m in METRICS} for name, r in found.items()}
    return {m: sum(d[m] for d in domains.values()) / len(domains) for m in METRICS} | {
        "domains": domains
    }


def run_trials(trials: Iterable[Trial], jobs: int) -> list[dict]:
    """Results in the trials' order: from the cache where they are known, else `jobs` at a time, one core each."""
    trials = list(trials)
    files = [CACHE.parent / "runs" / f"{trial.key()}.json" for trial in trials]
    missing = {file: trial for file, trial in zip(files, trials, strict=True) if not file.exists()}
    work = (joblib.delayed(_run_to_file)(trial, file) for file, trial in missing.items())
    done = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(work)
    for line in tqdm(
        done, total=len(missing), desc=f"{len(files) - len(missing)} known, {len(missing)} to run"
    ):
        tqdm.write(line)
    return [json.loads(file.read_text()) for file in files]


def _run_to_file(trial: Trial, file: Path) -> str:
    torch.set_num_threads(1)
    result = run_trial(trial)
    write_json(file, result)
    return f"{trial.method:8} seed {trial.config.seed:<5} Rank-1 {result['rank1']:.1%}  {result['train_seconds']:.0f} s"
