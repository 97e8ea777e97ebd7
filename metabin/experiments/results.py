"""The committed numbers of the experiments: where they are, how they are read, how rows are compared."""

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from scipy.special import nctdtr, stdtrit

from metabin.evaluate.intervals import paired_interval
from metabin.runs.provenance import ROOT

RESULTS = ROOT / "figures" / "results"


def read_results(experiment: str) -> dict:
    """The committed numbers of an experiment. Raises FileNotFoundError with the command that makes them."""
    path = RESULTS / f"{experiment}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"no results at {path}: run `make tables EXPERIMENT={experiment}` first"
        )
    return json.loads(path.read_text())


def paired(a: Mapping, b: Mapping) -> dict:
    """Mean difference over seeds with its 95 % interval, [mean, low, high], for Rank-1 and mAP."""
    return {
        k: list(paired_interval([x - y for x, y in zip(a[k], b[k], strict=True)]))
        for k in ("rank1", "mAP")
    }


def known_results(profile: str = "demo") -> dict[str, dict]:
    """All reports that are there, of experiments with rows and claims, by the experiment's name."""
    ending = "" if profile == "demo" else f"-{profile}"
    found = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    found = {
        name: report
        for name, report in found.items()
        if report.get("profile") == profile and "claims" in report
    }
    return {name.removesuffix(ending): report for name, report in found.items()}


def compared(report: Mapping, reference: str, names: Sequence[str] = ()) -> dict:
    """The same report with other claims: every row, or those of these names, against the row `reference`."""
    rows = {row["name"]: row["metrics"] for row in report["rows"]}
    if reference not in rows:
        raise ValueError(f"there is no row {reference!r}: choose one of {', '.join(rows)}")
    others = names or [name for name in rows if name != reference]
    claims = [
        {"better": name, "worse": reference} | paired(rows[name], rows[reference])
        for name in others
    ]
    return dict(report) | {"claims": claims}


def worlds_needed(spread: float, difference: float, power: float = 0.8) -> int:
    """How many worlds it takes until a true difference is seen with this chance: until its 95 % interval lies above zero.

    `spread` is the standard deviation between worlds of the paired difference, in the same unit (noncentral t).
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
