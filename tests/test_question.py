"""The open question's plan, and the rule by which its numbers are judged."""

import pytest

from metabin.experiments import EXPERIMENTS
from metabin.experiments.question import plan, plan_verdict

REGIMES = ("unseen streets", "far streets", "twice the schedule")
TESTS = ("unseen streets", "far streets", "at home")  # of finished trainings
ABOVE, HIGH = (0.04, 0.01, 0.07), (0.01, -0.03, 0.05)
SMALL, BELOW = (0.0, -0.02, 0.02), (-0.03, -0.05, -0.01)
ADDS, UNDECIDED, NOTHING = "adds something", "undecided", "adds nothing worth having"


def claims_of(variant: str, intervals, regimes=REGIMES) -> list[dict]:
    """Claims of a variant with these intervals (mean, low, high), one for each regime."""
    claims = []
    for regime, interval in zip(regimes, intervals, strict=True):
        names = {"better": f"{variant}: {regime}", "worse": f"joint BIN: {regime}"}
        claims.append(names | {"rank1": list(interval)})
    return claims


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        ((ABOVE, ABOVE, BELOW), ADDS),
        ((ABOVE, ABOVE, ABOVE), ADDS),
        ((ABOVE, SMALL, SMALL), UNDECIDED),  # a single interval is no evidence either way
        ((SMALL, BELOW, SMALL), NOTHING),
        ((SMALL, SMALL, HIGH), UNDECIDED),  # 5 points are still possible
        ((SMALL, SMALL, (0.01, -0.01, 0.03)), NOTHING),  # at most 3 points
        ((SMALL, SMALL, (0.015, 0.001, 0.029)), UNDECIDED),  # one above zero, however small
    ],
)
def test_the_verdict_is_the_plans_rule_for_each_variant_by_itself(intervals, verdict):
    claims = claims_of("A", intervals) + claims_of("other", (SMALL,) * 3)
    assert plan_verdict({"claims": claims}) == {"A": verdict, "other": NOTHING}


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        ((ABOVE, ABOVE, BELOW), ADDS),
        ((ABOVE, SMALL, ABOVE), UNDECIDED),
        ((SMALL, SMALL, HIGH), NOTHING),
        ((SMALL, (0.0, -0.02, 0.03), BELOW), UNDECIDED),  # at most 2 points
    ],
)
def test_home_decides_nothing_in_finished_trainings(intervals, verdict):
    report = {"profile": "finished", "claims": claims_of("A", intervals, TESTS)}
    assert plan_verdict(report) == {"A": verdict}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), ("two of the three regimes", "at most 3 points")),
        (("second_look",), ("in fifteen worlds", "above zero")),
        (("question", "finished"), ("finished trainings", "both reach at most 2 points")),
    ],
)
def test_a_plan_is_told_with_its_measure_and_the_rule_that_is_applied(names, words):
    text = plan(*names)
    assert "\nMeasure: " in text and "\nVerdict: " in text
    assert max(map(len, text.splitlines())) <= 88 and "#" not in text
    assert all(word in " ".join(text.split()) for word in words)


def test_every_variant_of_the_declaration_meets_each_regime_once():
    regimes = {}
    for better, worse in EXPERIMENTS["question"].claims:
        variant, _, regime = better.partition(": ")
        assert worse == f"joint BIN: {regime}"
        regimes.setdefault(variant, []).append(regime)
    assert len(regimes) == 4 and all(tuple(found) == REGIMES for found in regimes.values())


def test_the_second_look_has_worlds_of_its_own_and_the_questions_settings():
    first, second = EXPERIMENTS["question"], EXPERIMENTS["second_look"]
    assert second.first == first.first + first.seeds
    assert all(row in first.rows for row in second.rows)
    best, joint = "source statistics, no inner step: unseen streets", "joint BIN: unseen streets"
    assert second.claims[0] == (best, joint)
    assert f"(6 to {second.first + second.seeds - 1})" in plan("second_look")
