"""The figures of lesson 08: every number where it belongs, and undecided ones open."""

import numpy as np
import pytest
from conftest import title_of

from metabin.analysis.gradient_signs import two_channel_batch
from metabin.plotting import LOSSES
from metabin.plotting.gradients import (
    draw_agreement,
    draw_directions,
    draw_figure5,
    draw_origins,
    draw_signs,
    draw_velocities,
)

ROWS = [[0.2, 0.1, 0.3], [-0.1, -0.3, 0.1], [-0.4, -0.5, -0.3]]  # up, undecided, down


def dots(axis) -> dict[str, set[tuple[float, float]]]:
    """Positions of an axis's filled and open markers."""
    found = {"filled": set(), "open": set()}
    for line in axis.lines:
        if line.get_marker() not in ("None", "", "_") and line.get_linestyle() == "None":
            kind = "open" if line.get_markerfacecolor() == "white" else "filled"
            found[kind] |= {(float(x), float(y)) for x, y in zip(*line.get_data(), strict=True)}
    return found


def test_figure5_has_a_row_for_each_loss_a_column_for_each_moment_and_open_dots_where_undecided():
    losses = ("scatter", "shuffle", "triplet")
    positive = dict.fromkeys(losses, [[0.25, 0, 1]] * 3)
    moment = {"rho": 0.75, "layers": dict.fromkeys(losses, ROWS), "positive": positive}
    figure = draw_figure5({"moments": {"start": moment, "end": moment}})
    assert len(figure.axes) == 6
    titles = [title_of(axis) for axis in figure.axes[:2]]
    assert titles == ["start, mean ρ 0.75", "end, mean ρ 0.75"]
    for axis, loss in zip(figure.axes, [loss for loss in losses for _ in range(2)], strict=True):
        assert dots(axis) == {"filled": {(1, 0.2), (3, -0.4)}, "open": {(2, -0.1)}}
        low, high = axis.get_ylim()
        assert low == -high and high > 0.5, "zero in the middle, all bars inside"
        assert axis.lines[0].get_color() == LOSSES[loss].colour
        assert "25% of channels > 0" in [text.get_text() for text in axis.texts]


def test_velocities_start_at_their_points():
    batch = two_channel_batch()
    features = batch.images.mean((2, 3))
    panels = {"left": -features, "right": 2 * features}
    figure = draw_velocities(features, panels, batch.pids, batch.domains)
    for axis, expected in zip(figure.axes, panels.values(), strict=True):
        [quiver] = axis.collections
        np.testing.assert_allclose(quiver.get_offsets(), features, rtol=1e-6)
        np.testing.assert_allclose(np.stack([quiver.U, quiver.V], 1), expected, rtol=1e-6)


def test_several_losses_are_drawn_with_their_sum_and_a_single_one_without():
    several, single = draw_directions(
        {"both": {"scatter": [1.0, -2.0], "triplet": [3.0, 1.0]}, "one": {"shuffle": [0.0, 0.5]}}
    ).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in several.lines}
    assert lines["sum"] == [4.0, -1.0] and lines["triplet"] == [3.0, 1.0]
    assert "sum" not in [line.get_label() for line in single.lines]


def test_signs_are_written_and_filled_where_the_interval_excludes_zero():
    (axis,) = draw_signs({"as it is": ROWS, "changed": ROWS[::-1]}).axes
    assert [text.get_text() for text in axis.texts] == ["+", "−", "−", "−", "−", "+"]
    tiles = [[1, 0, -1], [-1, 0, 1]]  # 0: grey
    assert axis.collections[0].get_array().tolist() == tiles
    assert [label.get_text() for label in axis.get_yticklabels()] == ["as it is", "changed"]


def test_origins_are_drawn_by_layer_and_against_half_the_difference_of_growths():
    study = {"measured": [ROWS, ROWS], "centre": [ROWS, ROWS], "spread": [[[-2.0, 0, 0]] * 3] * 2}
    left, right = draw_origins({"end": study}, (0.0, 1.0)).axes
    curves = [list(line.get_ydata()) for line in left.lines if line.get_marker() == "."]
    assert curves == [[0.2, 0.2], [-0.1, -0.1], [-0.4, -0.4]]
    cloud = next(line for line in right.lines if line.get_label() == "end")
    assert list(cloud.get_xdata()) == pytest.approx(2 * [1.1, 0.95, 0.8])
    assert list(cloud.get_ydata()) == pytest.approx(2 * [0.2, -0.1, -0.4])


def test_cosines_whose_interval_holds_zero_are_in_brackets():
    found = {"a, b": [0.9, 0.8, 1.0], "a, c": [-0.1, -0.3, 0.1], "b, c": [-0.5, -0.6, -0.4]}
    (axis,) = draw_agreement({"end": found}, ("a", "b", "c")).axes
    texts = {(text.get_position()): text.get_text() for text in axis.texts}
    assert texts == {(0.5, 0.5): "+0.90", (0.5, 1.5): "(-0.10)", (1.5, 1.5): "-0.50"}
