"""The figures of lesson 01: every picture, mark and number where it belongs."""

import matplotlib
import pytest
import torch
from conftest import drawn_points

from metabin.evaluate.certainty import half_width
from metabin.plotting.retrieval import (
    draw_album,
    draw_chance,
    draw_rank_lists,
    draw_similarities,
    draw_styles,
)
from metabin.plotting.style import RIGHT, WRONG

PEOPLE = torch.randint(
    0, 255, (12, 3, 16, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)


def test_an_album_has_a_row_for_each_person_and_a_group_for_each_camera():
    albums = {"street 1": PEOPLE.view(2, 3, 2, 3, 16, 8)}  # two people, three cameras
    (axis,) = draw_album(albums, {"street 1": ["a", "b"]}).axes
    shown = [image.get_array() for image in axis.images]
    assert all((a == p.permute(1, 2, 0).numpy()).all() for a, p in zip(shown, PEOPLE, strict=True))
    lefts, _, bottoms, _ = zip(*(image.get_extent() for image in axis.images), strict=True)
    assert len(set(bottoms[:6])) == len(set(bottoms[6:])) == 1 and bottoms[0] < bottoms[6]
    assert lefts[:6] == lefts[6:] and list(lefts[:6]) == sorted(lefts[:6])
    assert lefts[2] - lefts[1] > lefts[1] - lefts[0]  # cameras stand apart
    cameras = ["camera 0", "camera 1", "camera 2"]
    assert [label.get_text() for label in axis.get_xticklabels()] == cameras
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]


def test_a_rank_list_marks_right_pictures_by_a_solid_frame_and_a_tick():
    lists = {
        "BN": (PEOPLE[0], PEOPLE[1:4], torch.tensor([False, True, False]), ["here", "x", "y", "z"])
    }
    (axis,) = draw_rank_lists(lists).axes
    texts = [text.get_text() for text in axis.texts]
    assert texts == ["BN", "query", "here", "1 ✗", "x", "2 ✓", "y", "3 ✗", "z"]
    frames = [
        (matplotlib.colors.to_hex(p.get_edgecolor()).upper(), p.get_linestyle() == "-")
        for p in axis.patches
    ]
    assert frames == [(WRONG, False), (RIGHT, True), (WRONG, False)]
    query, *answers = axis.images
    assert (query.get_array() == PEOPLE[0].permute(1, 2, 0).numpy()).all()
    for image, picture, frame in zip(answers, PEOPLE[1:4], axis.patches, strict=True):
        assert (image.get_array() == picture.permute(1, 2, 0).numpy()).all()
        left, right, bottom, top = image.get_extent()
        box = frame.get_bbox()
        assert box.x0 < left and right < box.x1 and box.y0 < top and bottom < box.y1


def test_rank_lists_of_any_length_need_no_captions_and_no_query():
    ranked = {"long": (PEOPLE[0], PEOPLE[1:5], [1, 0, 0, 1]), "short": (None, PEOPLE[5:7], [0, 1])}
    (axis,) = draw_rank_lists(ranked).axes
    texts = [text.get_text() for text in axis.texts]
    assert texts == ["long", "query", "1 ✓", "2 ✗", "3 ✗", "4 ✓", "short", "1 ✗", "2 ✓"]
    assert len(axis.images) == 7 and len(axis.patches) == 6


def test_similarities_have_their_means_written_and_drawn():
    pairs = {
        "same person": torch.tensor([0.5, 0.9]),
        "another person": torch.tensor([-0.2, 0.0, 0.2]),
    }
    (axis,) = draw_similarities({"home": pairs}).axes
    assert [line.get_xdata()[0] for line in axis.lines] == pytest.approx([0.7, 0])
    assert [text.get_text() for text in axis.texts] == ["0.70", "0.00"]
    hatches = {heap.get_hatch() for heap in axis.collections}
    assert len(hatches) == 2  # not by colour alone


def test_styles_are_tiles_with_their_numbers_and_known_streets_above_the_line():
    axis = draw_styles(
        [("street 0", 0), ("street 5", 1)],
        ["gain_red", "blur"],
        torch.tensor([[1, -2.5], [0, 3]]),
        1,
    ).axes[0]
    assert [text.get_text() for text in axis.texts] == ["+1.0", "-2.5", "+0.0", "+3.0"]
    assert list(axis.lines[0].get_ydata()) == [1, 1]  # between the first row and the second
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "street 0, camera 0",
        "street 5, camera 1",
    ]


def test_the_band_of_chance_holds_95_percent_of_the_draws_beside_the_formula():
    drawn = {10: torch.linspace(0, 1, 201).double(), 100: torch.linspace(0.4, 0.6, 201).double()}
    (axis,) = draw_chance(drawn, 0.5).axes
    assert {(10, 2.5), (10, 97.5), (100, 40.5), (100, 59.5)} <= drawn_points(axis)
    below, above = (line for line in axis.lines if line.get_linestyle() == "--")
    people = below.get_xdata()
    assert above.get_ydata() == pytest.approx([100 * (0.5 + half_width(0.5, n)) for n in people])
    assert below.get_ydata() == pytest.approx([100 * (0.5 - half_width(0.5, n)) for n in people])
