"""Committed numbers of the experiments: where they are, how they are read, compared and printed."""

import inspect
import json
import re
import textwrap
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean, stdev

from scipy.special import nctdtr, stdtrit

from metabin.evaluate.intervals import paired_interval
from metabin.evaluate.retrieval import METRICS
from metabin.experiments.names import results_name
from metabin.runs.provenance import ROOT

RESULTS = ROOT / "figures" / "results"


def read_results(experiment: str, profile: str = "demo") -> dict:
    """The committed report of an experiment.

    Raises FileNotFoundError with the command that makes it.
    """
    path = RESULTS / f"{results_name(experiment, profile)}.json"
    if not path.exists():
        command = f"make tables EXPERIMENT={experiment}"
        command += f" PROFILE={profile}" if profile != "demo" else ""
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
    rates = {metric: [] for metric in METRICS}
    for run in runs:
        for metric, values in rates.items():
            values.append(run[metric])
    return rates


def paired(a: Mapping, b: Mapping) -> dict:
    """Mean difference over seeds with its 95 % CI, [mean, low, high], for Rank-1 and mAP."""
    intervals = {}
    for metric in ("rank1", "mAP"):
        differences = [x - y for x, y in zip(a[metric], b[metric], strict=True)]
        intervals[metric] = list(paired_interval(differences))
    return intervals


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


def how_far(shown: int, claimed: int) -> str:
    """How far observations show what is claimed: "yes", "partly" or "no"."""
    if shown == claimed:
        return "yes"
    return "partly" if shown else "no"


def worlds_needed(spread: float, difference: float, power: float = 0.8) -> int:
    """How many worlds it takes until a true difference is seen with this chance.

    It is seen where its 95 % CI lies above zero. `spread` is the standard deviation between worlds
    of the paired difference, in the same unit (noncentral t).
    """
    if not (spread > 0 and difference > 0 and 0 < power < 1):
        raise ValueError(
            "a spread and a difference above zero and a power between 0 and 1 are needed"
        )

    def chance(worlds: int) -> float:
        freedom = worlds - 1
        return 1 - nctdtr(freedom, difference * worlds**0.5 / spread, stdtrit(freedom, 0.975))

    most = 2
    while chance(most) < power:
        most *= 2
    return bisect_left(range(most + 1), power, lo=2, key=chance)


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
