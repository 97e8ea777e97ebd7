"""The figures: every number drawn, and drawn the same each time."""

import matplotlib
import pytest
import torch
from conftest import drawn_points

from metabin import plotting
from metabin.plotting import (
    LOOKS,
    LOSSES,
    draw_balances,
    draw_differences,
    draw_differences_by_test,
    draw_inner_step,
    draw_losses,
    draw_pictures,
    draw_progress,
    draw_rho_history,
    draw_three_tests,
    save,
    smoothed,
)

PEOPLE = torch.randint(
    0, 256, (6, 3, 16, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)
SEEDS = [0.2, 0.3, 0.4]


def row(method: str, unseen: list, home: list) -> dict:
    """A row of Table 1 of finished trainings; far streets are like home."""
    also = {test: {"metrics": {"rank1": home}} for test in ("far", "home")}
    return {"method": method, "metrics": {"rank1": unseen}, "also": also}


REPORT = {
    "rows": [
        row("bn", SEEDS, [0.9, 0.9, 0.9]),
        row("ibn", SEEDS, SEEDS),
        row("metabin", [0.5, 0.6, 0.7], SEEDS),
    ]
}


def test_the_three_tests_draw_each_methods_mean_and_each_world():
    home, unseen, _ = draw_three_tests(REPORT).axes
    assert [bar.get_height() for bar in unseen.patches] == pytest.approx([30, 60])
    assert [bar.get_height() for bar in home.patches] == pytest.approx([90, 30])
    drawn = [line.get_ydata().tolist() for line in unseen.lines]
    assert drawn == [pytest.approx([20, 30, 40]), pytest.approx([50, 60, 70])]
    assert [label.get_text() for label in unseen.get_xticklabels()] == ["BN", "MetaBIN"]


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    one, two = (
        save(draw_three_tests(REPORT), tmp_path / f"{name}.svg").read_bytes() for name in "ab"
    )
    assert one == two and len(one) > 1000


def test_pictures_stand_in_rows_with_their_colours():
    figure = draw_pictures({"one": PEOPLE[:4], "two": PEOPLE[4:]}, gap=2)
    (axis,) = figure.axes
    canvas = axis.images[0].get_array()
    assert canvas.shape == (2 * 18 - 2, 4 * 10 - 2, 3)
    assert (canvas[:16, 10:18] == PEOPLE[1].permute(1, 2, 0).numpy()).all()
    assert (canvas[18:, 20:] == 255).all()  # the shorter row ends in white
    assert [label.get_text() for label in axis.get_yticklabels()] == ["one", "two"]


def test_a_histogram_counts_every_channel():
    figure = draw_balances({"MetaBIN": torch.linspace(0, 1, 50)})
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 50
    assert figure.axes[0].patches[0].get_facecolor() == matplotlib.colors.to_rgba(
        LOOKS["metabin"].colour
    )


# ---- a training run ------------------------------------------------------------------------------------------------


def test_a_running_mean_uses_what_there_is_at_both_ends():
    assert smoothed([1, 2, 6, 3, 8], 3).tolist() == pytest.approx([1.5, 3, 11 / 3, 17 / 3, 5.5])


def test_losses_are_drawn_by_phase_each_once_faint_and_once_smoothed():
    history = {
        "base/id": [3, 2, 1],
        "meta_train/scatter": [1, 1, 1],
        "meta_train/shuffle": [4, 5, 6],
    }
    base, meta_train = draw_losses(history, width=3).axes
    assert [axis.get_title() for axis in (base, meta_train)] == ["Base step", "Meta-train"]
    faint, bold = (line.get_ydata().tolist() for line in base.lines)
    assert faint == [3, 2, 1] and bold == pytest.approx([2.5, 2, 1.5])
    assert [text.get_text() for text in meta_train.get_legend().get_texts()] == [
        "scatter",
        "shuffle",
    ]


def test_a_losss_colour_is_no_methods_colour():
    assert {colour for colour, _ in LOSSES.values()} & {
        look.colour for look in LOOKS.values()
    } == set()


def test_rhos_history_has_a_panel_for_each_layer_and_one_for_all():
    summaries = torch.rand(4, 6, 4, generator=torch.Generator().manual_seed(0))
    panels = [
        axis for axis in draw_rho_history([0, 5, 10, 15], summaries).axes if axis.get_visible()
    ]
    assert [axis.get_title() for axis in panels] == [f"layer {i}" for i in range(1, 6)] + [
        "all channels"
    ]
    for i, axis in enumerate(panels):
        assert axis.lines[0].get_ydata().tolist() == pytest.approx(summaries[:, i, 0].tolist())


def test_progress_is_drawn_over_the_level_of_finished_networks():
    axis = draw_progress([60, 120], [0.2, 0.4], {"bn": 0.3}).axes[0]
    assert axis.lines[0].get_xydata().tolist() == [[60, 20], [120, 40]]
    assert axis.lines[1].get_ydata() == pytest.approx([30, 30])


def test_a_difference_is_filled_only_where_its_interval_excludes_zero():
    rows = {"a": (0.1, 0.05, 0.15), "b": (0.1, -0.05, 0.25)}
    axis = draw_differences(rows, "points").axes[0]
    faces = {}
    for line in axis.lines:
        if line.get_marker() == "o":
            faces[tuple(line.get_ydata())] = line.get_markerfacecolor()
    assert faces == {(0,): "#222222", (1,): "white"}
    assert {(10, 0), (5, 0), (15, 0), (10, 1), (-5, 1), (25, 1)} <= drawn_points(axis)


def test_differences_of_each_test_have_a_panel_of_their_own():
    rows = {"IN − BN, unseen": (0.2, 0.1, 0.3), "IN − BN, far": (0.4, 0.3, 0.5)}
    figure = draw_differences_by_test(rows | {"IN − BN, home": (-0.05, -0.06, -0.04)})
    assert [axis.get_title() for axis in figure.axes][::2] == ["on unseen streets", "at home"]
    assert [(20, 0) in drawn_points(axis) for axis in figure.axes] == [True, False, False]
    assert (-5, 0) in drawn_points(figure.axes[2])


def test_an_inner_steps_changes_are_drawn_in_points_and_rhos_move_as_it_is():
    change = torch.tensor([[0.1, 0.0, 0.2], [-0.2, -0.3, -0.1]])
    changes = {
        loss: {"move": change, "mAP": change} for loss in ("triplet", "scatter + shuffle", "all")
    }
    move, found = draw_inner_step(changes, (0.1, 1), {"move": "move", "mAP": "mAP"}).axes
    assert move.lines[0].get_ydata() == pytest.approx([0.1, -0.2])
    assert found.lines[0].get_ydata() == pytest.approx([10, -20])
    assert found.collections[0].get_segments()[1][:, 1] == pytest.approx([-30, -10])


# ---- lesson 02 -----------------------------------------------------------------------------------------------------


def test_the_two_channel_world_shows_person_by_fill_and_street_by_marker():
    images = torch.arange(12.0).view(3, 2, 1, 2)
    lines = plotting.draw_two_channels({"BN": images}, [0, 1, 0], [0, 1, 2]).axes[0].lines
    assert [line.get_xdata().tolist() for line in lines] == [[0, 1], [4, 5], [8, 9]]
    assert [line.get_ydata().tolist() for line in lines] == [[2, 3], [6, 7], [10, 11]]
    assert [line.get_marker() for line in lines] == ["o", "s", "*"]
    assert [line.get_markerfacecolor() == "white" for line in lines] == [False, True, False]


def test_images_in_the_same_place_are_drawn_apart_and_counted():
    images = torch.zeros(4, 2, 1, 2)
    images[3] = 1
    axis = plotting.draw_two_channels({"IN": images}, [0, 1, 0, 1], [0, 1, 2, 2]).axes[0]
    heights = [line.get_ydata()[0] for line in axis.lines]
    assert len(set(heights)) == 4 and heights[3] == 1, "who is alone stays in place"
    assert sum(heights[:3]) == pytest.approx(0) and max(map(abs, heights[:3])) < 0.5
    assert [text.get_text() for text in axis.texts] == ["3 pictures\nin one place"]


def test_streets_at_home_and_abroad_are_dots_of_their_own():
    figure = plotting.draw_transfer({"own": {"bn": SEEDS}, "unseen": {"bn": [0.1]}})
    assert [len(axis.lines[0].get_ydata()) for axis in figure.axes] == [3, 1]


def test_what_can_be_read_is_drawn_with_what_guessing_gives():
    axis = plotting.draw_readings(
        {"style": {"bn": [0.9, 0.8], "in": [0.3, 0.2]}}, {"style": 0.125}
    ).axes[0]
    assert [line.get_ydata()[0] for line in axis.lines] == [90, 30, 12.5]


def test_a_knob_is_drawn_over_its_values():
    axis = plotting.draw_knob({"style": {"bn": [0.5, 0.25]}}, {"style": [0, 2]}).axes[0]
    assert (axis.lines[0].get_xdata().tolist(), axis.lines[0].get_ydata().tolist()) == (
        [0, 2],
        [50, 25],
    )


def test_the_phase_diagram_colours_winners_and_leaves_the_undecided_grey():
    rows = {"bn": {"rank1": [0.6, 0.7]}, "in": {"rank1": [0.2, 0.3]}, "half": {"rank1": [0.5, 0.7]}}
    cell = {
        "style": 0.0,
        "colour": 1.0,
        "methods": rows,
        "winner": "bn",
        "lead": [0.1, 0.0],
        "decided": False,
    }
    report = {
        "methods": ["bn", "in", "half"],
        "styles": [0.0, 1.0],
        "colours": [0.0, 1.0],
        "cells": [cell],
    }
    left, right = plotting.draw_phase(report).axes
    written = [[text.get_text() for text in axis.texts] for axis in (left, right)]
    assert ["+40" in written[0], "BN\n+5" in written[1]] == [True, True]
    undecided = [sum(patch.get_hatch() == "//" for patch in axis.patches) for axis in (left, right)]
    assert undecided == [3, 4]  # the three tiles that were not run, too
