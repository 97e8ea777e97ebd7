"""Committed numbers of the experiments: where they are, how they are read, compared and printed."""

import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean, stdev

import numpy as np
from scipy.special import nctdtr, stdtrit

from metabin.evaluate.intervals import paired_interval
from metabin.evaluate.retrieval import METRICS
from metabin.experiments.names import results_name
from metabin.runs.provenance import ROOT

RESULTS = ROOT / "figures" / "results"


def read_results(experiment: str, profile: str = "demo") -> dict:
    """The committed report of an experiment; FileNotFoundError names the command that makes it."""
    path = RESULTS / f"{results_name(experiment, profile)}.json"
    if not path.exists():
        command = f"make tables EXPERIMENT={experiment} PROFILE={profile}"
        raise FileNotFoundError(f"no results at {path}: run `{command}` first")
    return json.loads(path.read_text(encoding="utf-8"))


def known_results(profile: str = "demo") -> dict[str, dict]:
    """All committed reports with rows and claims, by the experiment's name."""
    ending = "" if profile == "demo" else f"-{profile}"
    reports = {}
    for path in sorted(RESULTS.glob("*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        if report.get("profile") == profile and "claims" in report:
            reports[path.stem.removesuffix(ending)] = report
    return reports


# ---- comparing -----------------------------------------------------------------------


def rates_of(runs: Sequence[Mapping]) -> dict[str, list[float]]:
    """Each metric's values in the order of the runs."""
    rates = {}
    for metric in METRICS:
        rates[metric] = [run[metric] for run in runs]
    return rates


def paired(a: Mapping, b: Mapping) -> dict:
    """Mean difference over seeds with its 95 % CI, [mean, low, high], for Rank-1 and mAP."""
    gaps = {metric: np.subtract(a[metric], b[metric]) for metric in ("rank1", "mAP")}
    return {metric: list(paired_interval(gap)) for metric, gap in gaps.items()}


def compared(report: Mapping, reference: str, names: Sequence[str] = ()) -> dict:
    """The same report with other claims: every row, or those named, against the row `reference`.

    Raises ValueError when there is no such row.
    """
    rows = {row["name"]: row["metrics"] for row in report["rows"]}
    if reference not in rows:
        raise ValueError(f"there is no row {reference!r}: choose one of {', '.join(rows)}")
    claims = []
    for name in names or rows:
        if name != reference:
            claim = {"better": name, "worse": reference}
            claims.append(claim | paired(rows[name], rows[reference]))
    return dict(report) | {"claims": claims}


def interval_text(interval: Sequence[float], scale: float = 100, digits: int = 1) -> str:
    """(estimate, low, high) as "+1.0 [-0.5, +2.5]"; of a rate in points."""
    middle, low, high = (f"{scale * value:+.{digits}f}" for value in interval)
    return f"{middle} [{low}, {high}]"


def how_far(shown: int, claimed: int) -> str:
    """How far observations show what is claimed: "yes", "partly" or "no"."""
    if shown == claimed:
        return "yes"
    return "partly" if shown else "no"


def worlds_needed(spread: float, difference: float, power: float = 0.8) -> int:
    """How many worlds it takes until a true difference is seen with this chance (`power`).

    It is seen where its 95 % CI lies above zero. `spread` is the standard deviation between worlds
    of the paired difference, in the same unit (noncentral t).
    """
    if not (spread > 0 and difference > 0 and 0 < power < 1):
        raise ValueError("give a spread and a difference above zero, a power between 0 and 1")

    def chance(worlds: int) -> float:
        freedom = worlds - 1
        return 1 - nctdtr(freedom, difference * worlds**0.5 / spread, stdtrit(freedom, 0.975))

    worlds = 2
    while chance(worlds) < power:
        worlds += 1
    return worlds


# ---- writing and printing ------------------------------------------------------------


def rounded(value, digits: int = 4):
    """Plain values with every float in them rounded to so many digits after the point."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, Mapping):
        return {name: rounded(part, digits) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part, digits) for part in value]
    return value


def written_plan(function: Callable) -> str:
    """The comment above a function: a plan or a rule that stands there since before its runs."""
    lines = (inspect.getcomments(function) or "").splitlines()
    text = "\n".join(line.removeprefix("#").strip() for line in lines)
    paragraphs = re.split(r"\n(?=[\w ]+: )", text)  # each begins with its subject: "Measure: "
    return "\n".join(textwrap.fill(paragraph, 88) for paragraph in paragraphs)


def markdown(heads: Sequence[str], rows: Iterable[Sequence]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def percent(seeds: Sequence[float]) -> str:
    """Mean over seeds ± standard deviation, in percent."""
    return f"{100 * mean(seeds):.1f} ± {100 * stdev(seeds):.1f}"
