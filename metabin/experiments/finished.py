"""Finished trainings of Table 1, as lessons read them: each method in ten worlds, tested thrice."""

from collections.abc import Mapping, Sequence

from metabin.experiments.results import interval_text, markdown, paired, percent, read_results
from metabin.experiments.tasks import SPINE, TESTS


def finished_metrics(method: str, test: str = "unseen") -> Mapping[str, Sequence[float]]:
    """Rank-1, mAP and more of a method, a number for each world.

    `test`: "unseen" streets, "far" ones, or "home", other people of the training streets. Raises
    KeyError for a method that was not run.
    """
    row = _rows()[method]
    return row["also"].get(test, row)["metrics"]


def finished_difference(method: str, other: str, test: str = "unseen") -> list[float]:
    """Rank-1 of a method minus another's, paired by world: mean and 95 % CI, [mean, low, high]."""
    return paired(finished_metrics(method, test), finished_metrics(other, test))["rank1"]


def finished_table(methods: Sequence[str] = SPINE) -> str:
    """Rank-1 in the three tests as a Markdown table, in percent: mean ± standard deviation."""
    lines = []
    for method in methods:
        rates = [percent(finished_metrics(method, test)["rank1"]) for test in TESTS.values()]
        lines.append([_rows()[method]["name"], *rates])
    return markdown(["", *(f"Rank-1, {test}" for test in TESTS.values())], lines)


def finished_gains(methods: Sequence[str], reference: str = "bn") -> str:
    """Rank-1 minus the reference's in the three tests, in points with 95 % CI, as a Markdown table.

    Worlds are paired. Raises KeyError for what was not run.
    """
    lines = []
    for method in methods:
        gaps = [finished_difference(method, reference, test) for test in TESTS.values()]
        lines.append([_rows()[method]["name"], *map(interval_text, gaps)])
    return markdown([f"Rank-1 minus {_rows()[reference]['name']}'s", *TESTS.values()], lines)


def _rows() -> dict[str, Mapping]:
    """The rows of Table 1 by method."""
    return {row["method"]: row for row in read_results("table1", "finished")["rows"]}
