"""The question nobody has answered, as its plan says: what would count as an answer, and what the numbers say then."""

import inspect
from collections.abc import Mapping

from metabin.experiments import declarations

ENOUGH = 2  # regimes of the three in which the interval has to lie above zero
WORTH = 0.03  # of Rank-1: what stays below is not worth having


def plan() -> str:
    """The plan as it stands above the question's declaration, where it was written down before the runs."""
    lines = (inspect.getcomments(declarations._question) or "").splitlines()
    return "\n".join(line.removeprefix("#").strip() for line in lines)


def plan_verdict(report: Mapping) -> dict[str, str]:
    """What the plan's rule says of each variant: "adds something", "adds nothing worth having" or "undecided".

    Claims of one variant are those whose first row has its name before a colon; what follows is the regime.
    """
    intervals: dict[str, list] = {}
    for claim in report["claims"]:
        intervals.setdefault(claim["better"].partition(":")[0], []).append(claim["rank1"])
    return {variant: _verdict(regimes) for variant, regimes in intervals.items()}


def _verdict(regimes: list) -> str:
    above = sum(low > 0 for _, low, _ in regimes)
    if above >= ENOUGH:
        return "adds something"
    if not above and all(high <= WORTH for *_, high in regimes):
        return "adds nothing worth having"
    return "undecided"
