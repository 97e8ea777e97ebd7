"""The figures of lesson 11: every number where it belongs."""

import numpy as np
import pytest
import torch
from conftest import title_of

from metabin.plotting import LOOKS
from metabin.plotting.data import (
    draw_published,
    draw_repeated_tests,
    draw_rules,
    draw_selection,
    draw_two_areas,
)


def markers(axis, *kinds):
    """x and y of every marker of these kinds."""
    lines = [line for line in axis.lines if line.get_marker() in kinds]
    return [tuple(point) for line in lines for point in line.get_xydata()]


def area(axis):
    """Of what is filled in a panel, by the shoelace formula."""
    total = 0.0
    for collection in axis.collections:
        x, y = collection.get_paths()[0].vertices.T
        total += abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    return total


@pytest.mark.parametrize(
    "right, step, trapezoid",
    [([1, 0, 1, 0], (1 + 2 / 3) / 2, (1 + (1 / 2 + 2 / 3) / 2) / 2), ([0, 1], 1 / 2, 1 / 4)],
)
def test_the_filled_area_is_the_average_precision_of_each_definition(right, step, trapezoid):
    for axis, expected in zip(draw_two_areas(right).axes, (step, trapezoid), strict=True):
        assert area(axis) == pytest.approx(expected)
        assert title_of(axis).endswith(f"{expected:.3f}")


def test_a_bar_for_each_method_under_each_rule():
    rates = {"one": {"bn": 0.1, "metabin": 0.7}, "two": {"bn": 0.4, "metabin": 0.8}}
    (axis,) = draw_rules(rates).axes
    assert [bars.get_label() for bars in axis.containers] == ["BN", "MetaBIN"]
    for bars, heights in zip(axis.containers, ([10, 40], [70, 80]), strict=True):
        assert [bar.get_height() for bar in bars] == pytest.approx(heights)
    assert [label.get_text() for label in axis.get_xticklabels()] == ["one", "two"]
    assert axis.containers[0][0].get_hatch() == LOOKS["bn"].hatch


def test_tests_with_the_wrong_sign_are_hatched_and_counted():
    draws = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 3.0, 4.0])
    (axis,) = draw_repeated_tests({"step": (1.5, draws)}).axes
    right, wrong = axis.containers
    assert sum(bar.get_height() for bar in right) == 5
    assert sum(bar.get_height() for bar in wrong) == 3
    assert all(bar.get_hatch() for bar in wrong) and not any(bar.get_hatch() for bar in right)
    assert "truth +1.5, wrong sign 38%" in title_of(axis)
    assert axis.lines[0].get_xdata()[0] == 1.5


def test_each_rule_marks_its_checkpoint_and_an_oracle_is_hollow():
    lines = {"held-out": [0.2, 0.6, 0.5], "target": [0.3, 0.2, 0.1]}
    chosen = {"last": 30, "held-out": 20, "target (oracle)": 10}
    above, axis = draw_selection([10, 20, 30], lines, chosen).axes
    assert markers(above, "o", LOOKS["oracle"].marker) == [(30, 0), (20, 1), (10, 2)]
    assert [line.get_markerfacecolor() == "white" for line in above.lines] == [False, False, True]
    drawn = [line.get_ydata().tolist() for line in axis.lines]
    assert drawn == [pytest.approx([20, 60, 50]), pytest.approx([30, 20, 10])]


@pytest.mark.parametrize("ours", [None, 63.2])
def test_what_was_not_run_is_said_and_not_drawn(ours):
    (axis,) = draw_published([("A", 50.0), ("B", 60.0)], ours).axes
    assert markers(axis, LOOKS["paper"].marker) == [(50, 0), (60, 1)]
    assert markers(axis, LOOKS["metabin"].marker) == ([] if ours is None else [(63.2, 2)])
    assert ("not run" in [text.get_text() for text in axis.texts]) == (ours is None)
