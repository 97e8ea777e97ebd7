"""The figures of lesson 11: every number where it belongs, and the committed teaser up to date."""

import re

import matplotlib
import numpy as np
import pytest
import torch
from conftest import title_of

from metabin.evaluate.certainty import half_width
from metabin.plotting import LOOKS, STYLE, save
from metabin.plotting.data import (
    TARGETS,
    ablation_steps,
    draw_half_widths,
    draw_published,
    draw_repeated_tests,
    draw_rules,
    draw_selection,
    draw_teaser,
    draw_two_areas,
)
from metabin.runs.provenance import ROOT

FIGURES = ROOT / "figures"


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
    [
        (
            [1, 0, 1, 0, 0, 1],
            (1 + 2 / 3 + 3 / 6) / 3,
            (1 + (1 / 2 + 2 / 3) / 2 + (2 / 5 + 3 / 6) / 2) / 3,
        ),
        ([0, 0, 0, 1], 1 / 4, 1 / 8),
        ([1, 1], 1, 1),
    ],
)
def test_the_filled_area_is_the_average_precision_of_each_definition(right, step, trapezoid):
    for axis, expected in zip(draw_two_areas(right).axes, (step, trapezoid), strict=True):
        assert area(axis) == pytest.approx(expected)
        assert title_of(axis).endswith(f"{expected:.3f}")


def test_a_bar_for_each_method_under_each_rule():
    rates = {"one": {"bn": 0.1, "metabin": 0.7}, "two": {"bn": 0.4, "metabin": 0.8}}
    (axis,) = draw_rules(rates).axes
    heights = {
        container.get_label(): [bar.get_height() for bar in container]
        for container in axis.containers
    }
    assert heights == {"BN": pytest.approx([10, 40]), "MetaBIN": pytest.approx([70, 80])}
    assert [label.get_text() for label in axis.get_xticklabels()] == ["one", "two"]
    assert axis.containers[0][0].get_hatch() == LOOKS["bn"].hatch


def test_targets_stand_at_their_queries_and_half_widths_over_the_band_of_differences():
    targets = {"a": (0.5, 100), "b": (0.8, 400)}
    (axis,) = draw_half_widths(targets, [0.3, 0.1, 2.0]).axes
    assert markers(axis, *TARGETS) == [
        (n, pytest.approx(100 * half_width(rate, n))) for rate, n in targets.values()
    ]
    labels = [line.get_label() for line in axis.lines if len(line.get_xdata()) == 1]
    assert labels == ["a, 100 queries: ±9.8", "b, 400 queries: ±3.9"]
    (band,) = axis.patches
    assert (band.get_bbox().y0, band.get_bbox().y1) == (0.1, 2.0)


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
    above, axis = draw_selection(
        [10, 20, 30], lines, {"last": 30, "held-out": 20, "target (oracle)": 10}
    ).axes
    assert markers(above, "o", LOOKS["oracle"].marker) == [(30, 0), (20, 1), (10, 2)]
    assert [line.get_markerfacecolor() == "white" for line in above.lines] == [False, False, True]
    assert [line.get_ydata().tolist() for line in axis.lines] == [
        pytest.approx([20, 60, 50]),
        pytest.approx([30, 20, 10]),
    ]


@pytest.mark.parametrize("ours", [None, 63.2])
def test_what_was_not_run_is_said_and_not_drawn(ours):
    (axis,) = draw_published([("A", 50.0), ("B", 60.0)], ours).axes
    assert markers(axis, LOOKS["paper"].marker) == [(50, 0), (60, 1)]
    assert markers(axis, LOOKS["metabin"].marker) == ([] if ours is None else [(63.2, 2)])
    assert ("not run" in [text.get_text() for text in axis.texts]) == (ours is None)


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    one, two = (save(draw_teaser(), tmp_path / f"{name}.svg").read_bytes() for name in "ab")
    assert one == two and len(one) > 1000


def test_the_teaser_shows_the_printed_rates_on_one_split():
    (axis,) = draw_teaser().axes
    printed = [
        (0.569, 316),
        (0.725, 100),
        (0.497, 125),
        (0.797, 60),
    ]  # MetaBIN in Table 1; VIPeR, PRID, GRID, i-LIDS
    assert markers(axis, *TARGETS) == [
        (n, pytest.approx(100 * half_width(rate, n))) for rate, n in printed
    ]
    band = axis.patches[0].get_bbox()
    assert (
        (band.y0, band.y1)
        == (pytest.approx(0.1), pytest.approx(1.2))
        == (min(ablation_steps()), max(ablation_steps()))
    )


def test_the_committed_teaser_is_todays(tmp_path):
    """By where its ticks and markers stand."""
    with matplotlib.style.context(STYLE):
        today = save(draw_teaser(), tmp_path / "splits.svg")
    drawn, kept = (
        [
            float(x)
            for xy in re.findall(
                r'<use [^>]*?x="(.*?)" y="(.*?)"', path.read_text(encoding="utf-8")
            )
            for x in xy
        ]
        for path in (today, FIGURES / "splits.svg")
    )
    assert len(drawn) > 10 and kept == pytest.approx(drawn, abs=1), (
        "draw it again: python -m metabin figures --picture splits"
    )
