"""The open question's plan, and the rule by which its numbers are judged."""

import pytest

from metabin.experiments import EXPERIMENTS
from metabin.experiments.question import plan, plan_verdict

REGIMES = ("unseen streets", "far streets", "twice the schedule")


def verdict_of(*intervals: tuple[float, float, float]) -> str:
    """What the rule says of one variant with these intervals (mean, low, high)."""
    pairs = zip(REGIMES, intervals, strict=True)
    claims = [{"better": f"A: {r}", "worse": f"B: {r}", "rank1": list(found)} for r, found in pairs]
    return plan_verdict({"claims": claims})["A"]


ABOVE, HIGH, SMALL, BELOW = (
    (0.04, 0.01, 0.07),
    (0.01, -0.03, 0.05),
    (0.0, -0.02, 0.02),
    (-0.03, -0.05, -0.01),
)


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        ((ABOVE, ABOVE, BELOW), "adds something"),
        ((ABOVE, ABOVE, ABOVE), "adds something"),
        (
            (ABOVE, SMALL, SMALL),
            "undecided",
        ),  # a single interval is no evidence, but no evidence against either
        ((SMALL, BELOW, SMALL), "adds nothing worth having"),
        ((SMALL, SMALL, HIGH), "undecided"),  # 5 points are still possible
        ((SMALL, SMALL, (0.01, -0.01, 0.03)), "adds nothing worth having"),  # at most 3 points
        (
            (SMALL, SMALL, (0.015, 0.001, 0.029)),
            "undecided",
        ),  # one interval above zero, however small
    ],
)
def test_the_verdict_is_the_plans_rule(intervals, verdict):
    assert verdict_of(*intervals) == verdict


def test_a_verdict_is_given_for_each_variant_by_itself():
    intervals = {"MetaBIN": ABOVE, "no inner step": SMALL}
    claims = [
        {"better": f"{v}: {r}", "worse": r, "rank1": found}
        for v, found in intervals.items()
        for r in REGIMES
    ]
    assert plan_verdict({"claims": claims}) == {
        "MetaBIN": "adds something",
        "no inner step": "adds nothing worth having",
    }


def test_home_decides_nothing_in_finished_trainings_and_two_points_are_not_worth_having():
    def verdict(unseen, far, home) -> str:
        claims = []
        tests = {"unseen streets": unseen, "far streets": far, "at home": home}
        for test, interval in tests.items():
            claims.append({"better": f"A: {test}", "worse": f"B: {test}", "rank1": interval})
        return plan_verdict({"profile": "finished", "claims": claims})["A"]

    assert verdict(ABOVE, ABOVE, BELOW) == "adds something"
    assert verdict(ABOVE, SMALL, ABOVE) == "undecided"
    assert verdict(SMALL, SMALL, HIGH) == "adds nothing worth having"
    assert verdict(SMALL, (0.0, -0.02, 0.03), BELOW) == "undecided"


def test_the_plan_of_finished_trainings_is_another():
    text = plan(profile="finished")
    assert text.startswith("The plan of the question in finished trainings, written down before")
    assert "both reach at most 2 points" in " ".join(text.split())


def test_every_variant_of_the_declaration_meets_each_regime_once():
    regimes = {}
    for better, worse in EXPERIMENTS["question"].claims:
        variant, _, regime = better.partition(": ")
        assert worse == f"joint BIN: {regime}"
        regimes.setdefault(variant, []).append(regime)
    assert len(regimes) == 4 and all(tuple(found) == REGIMES for found in regimes.values())


def test_the_plan_is_told_with_its_measure_its_budget_and_the_rule_that_is_applied():
    text = plan()
    assert text.startswith("The plan of the question below, written down before its runs.")
    assert all(f"\n{part}: " in text for part in ("Measure", "Budget", "Verdict"))
    assert max(map(len, text.splitlines())) <= 88 and "#" not in text
    words = " ".join(text.split())
    assert "in two of the three regimes" in words and "at most 3 points" in words


def test_the_second_look_has_worlds_of_its_own_and_the_questions_settings():
    first, second = EXPERIMENTS["question"], EXPERIMENTS["second_look"]
    assert second.first == first.first + first.seeds
    assert all(row in first.rows for row in second.rows)
    better, worse = second.claims[0]
    assert (better, worse) == (
        "source statistics, no inner step: unseen streets",
        "joint BIN: unseen streets",
    )
    assert f"(6 to {second.first + second.seeds - 1})" in plan("second_look")
