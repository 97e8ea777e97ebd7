"""The layer's figures: what is drawn are the numbers that were given."""

import pytest
import torch
from matplotlib.colors import to_hex

from metabin.analysis import norm_layers
from metabin.networks.backbones import build_backbone
from metabin.plotting import LOOKS, layers


def test_the_reach_of_a_shared_pair_is_tinted_where_both_signs_agree():
    path = torch.stack([torch.linspace(1, 0, 3), torch.linspace(0, 2, 3)], dim=1)
    shared, two = layers.draw_reach({"shared": [path], "two": [path]}).axes
    corners = [patch.get_xy() for patch in shared.patches]
    assert corners == [(0, 0), (-2, -2)] and len(two.patches) == 4
    line, start, end = shared.lines[:3]
    assert line.get_xydata().tolist() == path.tolist()
    assert [dot.get_xydata()[0].tolist() for dot in (start, end)] == [[1, 0], [0, 2]]
    assert [dot.get_markerfacecolor() for dot in (start, end)] == [layers.INK, "white"]


def test_the_parts_of_a_variance_are_stacked_to_one_hundred_percent():
    shares = torch.tensor([3.0, 1.0]), torch.tensor([6.0, 1.0])
    axis = layers.draw_variance({"hand": shares}).axes[0]
    heights = [bar.get_height() for bar in axis.patches]
    assert heights == pytest.approx([100 / 3, 50, 200 / 3, 50])
    assert [bar.get_y() for bar in axis.patches[2:]] == pytest.approx([100 / 3, 50])


def test_costs_are_drawn_as_ratios_with_their_numbers():
    cost = {"bin_over_bn": 1.02, "naive_over_bn": 4.5, "bin_kept": 1.0, "naive_kept": 3.0}
    time, kept = layers.draw_layer_cost(cost).axes
    assert [bar.get_width() for bar in time.patches] == [1.02, 4.5]
    assert [text.get_text() for text in kept.texts] == ["1.00", "3.00"]
    assert [tuple(axis.lines[0].get_xdata()) for axis in (time, kept)] == [(1, 1), (1, 1)]


def test_a_decayed_weight_is_marked_where_it_has_fallen():
    lines = {"decayed": [1.0, 0.5, 0.25], "spared": [1.0, 1.0, 1.0]}
    axis = layers.draw_decay([0, 10, 20], lines, marks=(10, 20)).axes[0]
    assert [text.get_text() for text in axis.texts] == ["0.50", "0.25"]


def test_the_family_has_a_tile_for_each_layer_in_its_kinds_colour():
    bn, in_ = "BatchNorm2d", "InstanceNorm2d"
    rows = {"net": {"bn": [bn, bn], "dualnorm": [bn, in_, bn]}}
    figure = layers.draw_family(rows)
    axis = figure.axes[0]
    colours = [to_hex(patch.get_facecolor()).upper() for patch in axis.patches]
    assert colours == [LOOKS[kind].colour for kind in ("bn", "bn", "bn", "in", "bn")]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["BN", "IN"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["bn", "dualnorm"]


def test_every_layer_that_a_method_puts_in_has_a_look_of_its_own():
    assert len({look[1:] for look in layers.KINDS.values()}) == len(layers.KINDS)
    for method in ("bn", "in", "half", "bin", "bin_shared", "switchable", "ibn", "dualnorm"):
        found = norm_layers(build_backbone("streetnet", norm=method)).values()
        assert {type(layer).__name__ for layer in found} <= layers.KINDS.keys()


def test_maps_of_a_channel_share_one_scale_and_say_their_means():
    pictures = torch.zeros(2, 3, 4, 2, dtype=torch.uint8)
    maps = {
        "a": torch.tensor([[[0.0, 1.0]], [[2.0, 2.0]]]),
        "b": torch.tensor([[[-3.0, 1.0]], [[0.0, 5.0]]]),
    }
    (axis,) = layers.draw_channel(pictures, maps, ["one", "two"]).axes
    assert [text.get_text() for text in axis.texts] == ["+0.50", "-1.00", "+2.00", "+2.50"]
    greys = [image.get_array()[0, :, 0].tolist() for image in axis.images]
    picture = [0, 0]
    assert greys == [picture, [95, 127], [0, 127], picture, [159, 159], [95, 255]]  # -3 … 5
    assert [label.get_text() for label in axis.get_yticklabels()] == ["one", "two"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["a", "b"]
