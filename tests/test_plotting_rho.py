"""Lesson 09's figures: every share, change and picture where it belongs."""

import numpy as np
import pytest
import torch
from conftest import drawn_points, title_of
from matplotlib.colors import to_hex

from metabin.plotting import LOOKS, draw_history, draw_rho_layers
from metabin.plotting.rho import BALANCE, draw_correlations, draw_reading, draw_surgery

SHARES = [[0.5, 0.25, 0.0, 0.25], [0.0, 0.0, 0.0, 1.0]]  # two layers, four bins
ROW = {"name": "MetaBIN", "rho": SHARES, "rho_mean": [0.4, 0.6], "metrics": {"rank1": [0.6, 0.8]}}
REPORT = {"rows": [{"name": "BN", "metrics": {"rank1": [0.1, 0.2]}}, ROW, ROW | {"name": "BIN"}]}


def test_a_bar_is_cut_by_the_shares_with_in_at_the_bottom():
    axis, other, scale = draw_rho_layers(REPORT).axes  # the row without rho has no panel
    first = [(bar.get_y(), bar.get_height()) for bar in axis.patches[::2]]  # of two layers
    assert first == [(0, 50), (50, 25), (75, 0), (75, 25)]
    second = [(bar.get_y(), bar.get_height()) for bar in axis.patches[1::2]]
    assert second == [(0, 0), (0, 0), (0, 0), (0, 100)]
    colours = [bar.get_facecolor() for bar in axis.patches[::2]]
    assert colours == [BALANCE(middle) for middle in (0.125, 0.375, 0.625, 0.875)]
    assert title_of(axis) == "MetaBIN\nmean ρ 0.50, Rank-1 70 %"
    assert title_of(other).startswith("BIN\n")
    assert [label.get_text() for label in scale.get_yticklabels()] == ["0, IN", "0.5", "1, BN"]


def test_the_scale_goes_from_ins_colour_to_bns():
    ends = [to_hex(BALANCE(end)).upper() for end in (0.0, 1.0)]
    assert ends == [LOOKS["in"].colour, LOOKS["bn"].colour]
    grey = BALANCE(np.linspace(0, 1, 10))[:, :3] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(grey) < 0).all(), "a greyscale print keeps the order"


def test_one_layer_is_read_as_dots_heap_and_bar():
    dots, heap, bar, _ = draw_reading(torch.tensor([0.05, 0.1, 0.95, 1.0])).axes
    assert dots.collections[0].get_offsets()[:, 1].tolist() == pytest.approx([0.05, 0.1, 0.95, 1])
    counts = [1, 1, *[0] * 7, 2]
    assert [patch.get_width() for patch in heap.patches] == counts
    assert [patch.get_height() for patch in bar.patches] == [25 * count for count in counts]


def test_the_history_has_each_phases_losses_and_each_layers_path():
    rho = torch.rand(3, 4, 6, 4, generator=torch.Generator().manual_seed(0))
    scatter = [[1, 2, 3], [2, 3, 4], [3, 4, 5]]  # of three seeds
    losses = {"base/id": [[4, 2, 1]] * 3, "meta_train/scatter": scatter}
    history = {"losses": losses, "iterations": [0, 10, 20, 30], "rho": rho.tolist()}
    axes = [axis for axis in draw_history(history).axes if axis.get_visible()]
    layers = [f"layer {i}" for i in range(1, 6)]
    titles = [title_of(axis) for axis in axes]
    assert titles == ["Base step", "Meta-train", *layers, "all channels"]
    line = axes[1].lines[-1]
    assert line.get_xdata().tolist() == [5, 15, 25] and line.get_ydata().tolist() == [2, 3, 4]
    seeds = rho[:, :, 1, 0].numpy()  # the second layer's
    drawn = [line.get_ydata().tolist() for line in axes[3].lines]
    for path in (*seeds.tolist(), seeds.mean(0).tolist()):
        assert pytest.approx(path) in drawn
    band = axes[3].collections[0].get_paths()[0].vertices[:, 1]
    quartiles = rho[:, :, 1, [1, 3]].mean(0).flatten()
    assert sorted(set(band)) == pytest.approx(sorted(quartiles.tolist()), abs=1e-6)


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
