"""Lesson 09's figures: every share, change and picture where it belongs."""

import numpy as np
import pytest
import torch
from conftest import drawn_points, title_of
from matplotlib.colors import to_hex

from metabin.plotting import LOOKS, draw_history, draw_rho_layers, save
from metabin.plotting.rho import (
    BALANCE,
    draw_correlations,
    draw_reading,
    draw_surgery,
)

SHARES = [[0.5, 0.25, 0.0, 0.25], [0.0, 0.0, 0.0, 1.0]]  # two layers, four bins
ROW = {"name": "MetaBIN", "rho": SHARES, "rho_mean": [0.4, 0.6], "metrics": {"rank1": [0.6, 0.8]}}
REPORT = {"rows": [{"name": "BN", "metrics": {"rank1": [0.1, 0.2]}}, ROW, ROW | {"name": "BIN"}]}
SEEDS, MOMENTS, LAYERS = 3, 4, 5


def test_a_bar_is_cut_by_the_shares_with_in_at_the_bottom():
    axis, other, scale = draw_rho_layers(REPORT).axes  # the row without rho has no panel
    bars = [(b.get_x() + b.get_width() / 2, b.get_y(), b.get_height()) for b in axis.patches]
    assert bars == pytest.approx(
        np.array(
            [
                (1, 0, 50),
                (2, 0, 0),
                (1, 50, 25),
                (2, 0, 0),
                (1, 75, 0),
                (2, 0, 0),
                (1, 75, 25),
                (2, 0, 100),
            ]
        )
    )
    assert axis.patches[0].get_facecolor() == BALANCE(0.125) and axis.patches[
        -1
    ].get_facecolor() == BALANCE(0.875)
    assert title_of(axis) == "MetaBIN\nmean ρ 0.50, Rank-1 70 %"
    assert title_of(other).startswith("BIN\n")
    assert [label.get_text() for label in scale.get_yticklabels()] == ["0, IN", "0.5", "1, BN"]


def test_the_scale_goes_from_ins_colour_to_bns():
    assert (
        to_hex(BALANCE(0.0)).upper() == LOOKS["in"].colour
        and to_hex(BALANCE(1.0)).upper() == LOOKS["bn"].colour
    )
    grey = BALANCE(np.linspace(0, 1, 10))[:, :3] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(grey) < 0).all(), "a greyscale print keeps the order"


def test_one_layer_is_read_as_dots_heap_and_bar():
    dots, heap, bar, _ = draw_reading(torch.tensor([0.05, 0.1, 0.95, 1.0]), bins=4).axes
    assert dots.collections[0].get_offsets()[:, 1].tolist() == pytest.approx([0.05, 0.1, 0.95, 1])
    assert [b.get_width() for b in heap.patches] == [2, 0, 0, 2]
    assert [b.get_height() for b in bar.patches] == [50, 0, 0, 50]


@pytest.fixture
def history():
    rho = torch.rand(SEEDS, MOMENTS, LAYERS + 1, 4, generator=torch.Generator().manual_seed(0))
    losses = {
        "base/id": [[4, 2, 1]] * SEEDS,
        "meta_train/scatter": [[1, 2, 3], [2, 3, 4], [3, 4, 5]],
    }
    return {
        "losses": losses,
        "iterations": [0, 10, 20, 30],
        "rho": rho.tolist(),
        "layers": ["a"] * LAYERS,
    }


def test_the_history_has_each_phases_losses_and_each_layers_path(history, tmp_path):
    figure = draw_history(history)
    axes = [axis for axis in figure.axes if axis.get_visible()]
    assert [title_of(axis) for axis in axes] == [
        "Base step",
        "Meta-train",
        *(f"layer {i}" for i in range(1, LAYERS + 1)),
        "all channels",
    ]
    line = axes[1].lines[-1]
    assert line.get_xdata().tolist() == [5, 15, 25] and line.get_ydata().tolist() == [2, 3, 4]
    seeds = np.asarray(history["rho"])[:, :, 1, 0]  # the second layer's
    drawn = [line.get_ydata().tolist() for line in axes[3].lines]
    for path in (*seeds.tolist(), seeds.mean(0).tolist()):
        assert pytest.approx(path) in drawn
    band = axes[3].collections[0].get_paths()[0].vertices[:, 1]
    quartiles = np.asarray(history["rho"])[:, :, 1, [1, 3]].mean(0)
    assert set(np.round(band, 6)) == set(np.round(quartiles.ravel(), 6))
    one, two = (save(draw_history(history), tmp_path / f"{name}.svg").read_bytes() for name in "ab")
    assert one == two


def test_an_operation_that_costs_beyond_doubt_is_a_filled_bar():
    layers = {1: (-0.05, -0.08, -0.02), 2: (-0.01, -0.03, 0.01)}
    panel, other = draw_surgery({"to IN": layers, "shuffled": layers}).axes
    assert [bar.get_height() for bar in panel.patches] == pytest.approx([-5, -1])
    faces = [to_hex(bar.get_facecolor()).upper() for bar in panel.patches]
    assert faces == [LOOKS["in"].colour, "#FFFFFF"]
    assert {(0, -8), (0, -2), (1, -3), (1, 1)} <= drawn_points(panel) & drawn_points(other)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["1", "2"]


def test_a_correlation_is_filled_where_its_interval_excludes_0():
    layers = {"a": (-0.3, -0.5, -0.1), "b": (0.2, -0.1, 0.4), "all": (-0.05, -0.1, 0.0)}
    axis = draw_correlations({"style": {"metabin": layers}}).axes[0]
    faces = {}
    for line in axis.lines:
        if line.get_marker() == LOOKS["metabin"].marker:
            faces |= dict.fromkeys(line.get_ydata().tolist(), line.get_markerfacecolor())
    assert faces == {-0.3: LOOKS["metabin"].colour, 0.2: "white", -0.05: "white"}
    assert {(1, -0.5), (1, -0.1), (2, -0.1), (2, 0.4), (3, 0)} <= drawn_points(axis)
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "2", "mean"]
