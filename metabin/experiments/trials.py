"""Trials: train on these streets, in this way, test on those. What is known is not run again."""

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
from metabin.analysis.rho import rho_distribution, rho_summary
from metabin.config import Config
from metabin.data.images import ImageSet, cameras_as_domains, relabel
from metabin.evaluate.retrieval import METRICS, evaluate
from metabin.experiments.keys import Name, code_hash
from metabin.experiments.records import RECORDS, add_record, read_records
from metabin.experiments.results import rounded
from metabin.norm import balancing_parameters
from metabin.runs.provenance import ROOT, provenance
from metabin.streets import World, make_streets, query_gallery
from metabin.train import Run, train

CACHE = ROOT / "build" / "cache"
RHO_MOMENTS = 10  # so often rho is recorded during a run, beside its start
LOSS_PARTS = 30  # equal parts of the schedule over which losses are averaged


class NotRun(LookupError):
    """Something is needed that was not run; the message says how it is made."""


@dataclass(frozen=True)
class Task:
    """Which streets of one world are trained on, and which are tested on."""

    world: World
    sources: tuple[int, ...] = (0, 1, 2, 3, 4)
    targets: tuple[int, ...] = (5, 6, 7, 8, 9, 10)  # sources: their held-out people
    train_ids: int = 120  # people per source domain
    test_ids: int = 100  # people per target domain
    cameras: int = 2  # on each source street
    by_camera: bool = False  # every camera of the sources is a domain, as in Table 2
    target_style: float | None = None  # of the target streets, where not the sources'

    def train_set(self) -> ImageSet:
        people = range(self.train_ids)
        counts = {"cameras": self.cameras, "images_per_camera": 4}
        images = _streets(self.world, self.sources, people, **counts)
        return cameras_as_domains(images) if self.by_camera else images

    def target_set(self) -> ImageSet:
        """The people to be found. On a street that was trained on they are others."""
        at_home = set(self.sources) & set(self.targets)
        first = self.train_ids if at_home else 0
        world = self.world
        if self.target_style is not None:
            world = replace(world, style=self.target_style)
        people = range(first, first + self.test_ids)
        return _streets(world, self.targets, people, images_per_camera=2)


def _streets(world: World, domains: tuple[int, ...], people: range, **counts: int) -> ImageSet:
    """The people with these numbers on each street; `make_streets` numbers street after street."""
    streets = make_streets(world, domains, people.stop, **counts, cache=CACHE)
    number = streets.pids % people.stop  # (N,)
    return relabel(streets[number >= people.start])


@dataclass(frozen=True)
class Trial:
    """One training run and its test."""

    method: str  # its name
    config: Config
    task: Task
    oracle: bool = False  # also fit rho on the targets: headroom, never a claim
    also: tuple[tuple[str, Task], ...] = ()  # what it is tested on besides, by name

    def key(self) -> str:
        """Hash of the trial and of the code it runs. Weights count by what their file holds.

        The method's name doesn't count, nor does what is off (0, "", False): so a new option
        changes no older trial's key.
        """
        config = replace(self.config, weights=_digest(self.config.weights))
        content = json.dumps(
            asdict(replace(self, method="", config=config), dict_factory=_what_is_on)
        )
        return hashlib.sha256((content + _hash_of_code()).encode()).hexdigest()[:16]


def _digest(weights: str) -> str:
    """Hash of a file of weights; what is no file ("", "imagenet") as it is."""
    path = Path(weights)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else weights


def _what_is_on(fields: list[tuple[str, object]]) -> dict:
    return {name: value for name, value in fields if value}


@functools.cache
def _hash_of_code() -> str:
    here = functools.partial(Name, "metabin.experiments.trials")
    not_run = [here("CACHE"), Name("metabin.networks.pretrained", "load_weights")]
    return code_hash([here("run_trial"), here("Task")], ROOT, without=not_run)


def run_trial(trial: Trial) -> dict:
    """Train and test once.

    Returns plain numbers: each metric's mean over target domains and by domain, `train_seconds`,
    and `losses` and `rho` of `train_and_record`; with an oracle, its metrics too; `also` holds the
    metrics of the further tests by name.
    """
    started = time.monotonic()
    run = Run(trial.config, trial.task.train_set())
    history = train_and_record(run)
    targets = trial.task.target_set()
    result = {"train_seconds": time.monotonic() - started} | test(run.model, targets) | history
    if trial.also:
        result["also"] = {name: test(run.model, t.target_set()) for name, t in trial.also}
    if trial.oracle and balancing_parameters(run.model.extractor):
        rho = oracle_rho(run.model, targets, seed=trial.config.seed)
        run.model.extractor.load_state_dict(rho, strict=False)
        result["oracle"] = test(run.model, targets)
    return rounded(result)


def train_and_record(run: Run) -> dict:
    """Train to the end and record what happens on the way.

    `losses`: each one's means over up to LOSS_PARTS parts of the schedule. `rho`, where there is
    any: `layers`, `iterations`, `summary` [moment][layer, then all][mean and quartiles] at the
    start and after each tenth, and `shares` [layer][bin], the distribution at the end.
    """
    length, extractor = run.config.iterations, run.model.extractor
    rho = balancing_parameters(extractor)
    summaries = {0: rho_summary(extractor).tolist()} if rho else {}
    steps = []
    for step in train(run):
        steps.append(step.losses)
        if rho and step.iteration * RHO_MOMENTS % length < RHO_MOMENTS:
            summaries[step.iteration] = rho_summary(extractor).tolist()
    losses = {}
    for name in steps[-1]:
        curve = torch.stack([step[name] for step in steps])  # (iterations,)
        parts = curve.tensor_split(min(LOSS_PARTS, length))
        losses[name] = [part.mean().item() for part in parts]
    if not rho:
        return {"losses": losses}
    return {
        "losses": losses,
        "rho": {
            "layers": [name.removesuffix(".rho") for name in rho],
            "iterations": list(summaries),
            "summary": list(summaries.values()),
            "shares": rho_distribution(extractor).tolist(),
        },
    }


def test(model: torch.nn.Module, targets: ImageSet) -> dict:
    """Retrieval on each target domain by itself, and the means over domains."""
    domains = {}
    for domain in targets.domains.unique():
        retrieval = evaluate(model, *query_gallery(targets[targets.domains == domain]))
        rates = {metric: retrieval.values(metric).mean().item() for metric in METRICS}
        domains[targets.names[domain]] = rates
    means = {}
    for metric in METRICS:
        means[metric] = sum(rates[metric] for rates in domains.values()) / len(domains)
    return means | {"domains": domains}


def are_known(trials: Iterable[Trial]) -> bool:
    """Whether each of the trials was run."""
    records = read_records(RECORDS)
    return all(trial.key() in records for trial in trials)


def run_trials(trials: Iterable[Trial], jobs: int) -> list[dict]:
    """Records in the trials' order.

    Those that are not known run `jobs` at a time on one core each, and are kept as they come.
    Raises NotRun for them with `jobs` 0.
    """
    trials = list(trials)
    keys = [trial.key() for trial in trials]
    records = read_records(RECORDS)
    missing = {key: t for key, t in zip(keys, trials, strict=True) if key not in records}
    if missing and not jobs:
        raise NotRun(f"{len(missing)} of {len(trials)} trials were not run: leave --jobs out")
    made = {name: provenance()[name] for name in ("commit", "dirty")}
    work = [joblib.delayed(_run_on_one_core)(key, trial) for key, trial in missing.items()]
    runs = joblib.Parallel(n_jobs=jobs or 1, return_as="generator_unordered")(work)
    said = f"{len(trials) - len(missing)} known, {len(missing)} to run"
    for record in tqdm(runs, total=len(missing), desc=said):
        records[record["key"]] = compact(record) | made
        add_record(RECORDS, records[record["key"]])
        name = f"{record['method']} seed {record['seed']}"
        tqdm.write(f"{name:16} Rank-1 {record['rank1']:.1%}  {record['train_seconds']:.0f} s")
    return [records[key] for key in keys]


def compact(record: dict) -> dict:
    """A record with Rank-1 and mAP alone of single streets: thousands of its kind are kept."""
    short = {}
    for name, value in record.items():
        if name == "domains":
            short[name] = {}
            for street, rates in value.items():
                short[name][street] = {"rank1": rates["rank1"], "mAP": rates["mAP"]}
        else:
            short[name] = compact(value) if isinstance(value, dict) else value
    return short


def _run_on_one_core(key: str, trial: Trial) -> dict:
    torch.set_num_threads(1)
    return {"key": key, "method": trial.method, "seed": trial.config.seed} | run_trial(trial)
