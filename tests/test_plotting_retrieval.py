"""The figures of lesson 01: every picture, mark and number where it belongs."""

import re
from pathlib import Path
from statistics import mean

import matplotlib
import numpy as np
import pytest
import torch
from conftest import drawn_points, make_people

from metabin.evaluate.certainty import half_width
from metabin.experiments import finished_metrics
from metabin.networks.model import build_model
from metabin.plotting import LOOKS, STYLE, people, save
from metabin.plotting.pictures import PICTURES
from metabin.plotting.retrieval import (
    draw_album,
    draw_chance,
    draw_cmc,
    draw_rank_lists,
    draw_similarities,
    draw_styles,
    draw_teaser,
)
from metabin.plotting.style import RIGHT, WRONG
from metabin.runs.provenance import ROOT

FIGURES = ROOT / "figures"

PEOPLE = torch.randint(
    0, 255, (12, 3, 16, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)


def contains(canvas, picture) -> list[tuple[int, int]]:
    """Where (row, column) a picture (3, H, W) stands on a canvas."""
    wanted = picture.permute(1, 2, 0).numpy()
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(canvas), wanted.shape)[:, :, 0]
    return [tuple(map(int, place)) for place in np.argwhere((windows == wanted).all((2, 3, 4)))]


def test_an_album_has_a_row_for_each_person_and_a_group_for_each_camera():
    figure = draw_album({"street 1": PEOPLE.view(2, 3, 2, 3, 16, 8)}, {"street 1": ["a", "b"]})
    (axis,) = figure.axes
    places = [contains(axis.images[0].get_array(), picture) for picture in PEOPLE]
    assert all(len(found) == 1 for found in places)
    rows, columns = zip(*(found[0] for found in places), strict=True)
    assert len(set(rows[:6])) == len(set(rows[6:])) == 1 and rows[0] < rows[6]
    assert columns[:6] == columns[6:] and list(columns[:6]) == sorted(columns[:6])
    assert columns[2] - columns[1] > columns[1] - columns[0]  # cameras stand apart
    assert [label.get_text() for label in axis.get_xticklabels()] == [
        "camera 0",
        "camera 1",
        "camera 2",
    ]
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
    (strip,) = axis.images
    for picture, frame in zip(PEOPLE[1:4], axis.patches, strict=True):
        [(row, column)] = contains(strip.get_array(), picture)
        inside = frame.get_bbox().contains(column, strip.get_extent()[3] + row + 0.5)
        assert inside and (row, frame.get_width()) == (0, picture.shape[2] + 2)


def test_rank_lists_of_any_length_need_no_captions_and_no_query():
    ranked = {"long": (PEOPLE[0], PEOPLE[1:5], [1, 0, 0, 1]), "short": (None, PEOPLE[5:7], [0, 1])}
    (axis,) = draw_rank_lists(ranked).axes
    texts = [text.get_text() for text in axis.texts]
    assert texts == ["long", "query", "1 ✓", "2 ✗", "3 ✗", "4 ✓", "short", "1 ✗", "2 ✓"]
    assert len(axis.images) == 2 and len(axis.patches) == 6


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


def test_cmc_curves_begin_at_rank_1_in_their_methods_look():
    (axis,) = draw_cmc(
        {"own": {"bn": torch.tensor([0.25, 0.5]), "in": torch.tensor([0.5, 1.0])}}
    ).axes
    assert [line.get_xydata().tolist() for line in axis.lines] == [
        [[1, 25], [2, 50]],
        [[1, 50], [2, 100]],
    ]
    assert [line.get_marker() for line in axis.lines] == [
        LOOKS["bn"].marker,
        LOOKS["in"].marker,
    ]


def test_the_band_of_chance_holds_95_percent_of_the_draws_beside_the_formula():
    drawn = {10: torch.linspace(0, 1, 201).double(), 100: torch.linspace(0.4, 0.6, 201).double()}
    (axis,) = draw_chance(drawn, 0.5).axes
    assert {(10, 2.5), (10, 97.5), (100, 40.5), (100, 59.5)} <= drawn_points(axis)
    below, above = (line for line in axis.lines if line.get_linestyle() == "--")
    people = below.get_xdata()
    assert above.get_ydata() == pytest.approx([100 * (0.5 + half_width(0.5, n)) for n in people])
    assert below.get_ydata() == pytest.approx([100 * (0.5 - half_width(0.5, n)) for n in people])


def test_the_teaser_is_drawn_the_same_each_time(tmp_path):
    people = make_people(num_domains=1, ids=4)
    model = build_model("bn", 1)
    one, two = (
        save(draw_teaser(model, {"a": people}), tmp_path / f"{n}.svg").read_bytes() for n in "ab"
    )
    assert one == two and len(one) > 1000


def marks_in(path: Path) -> list[str]:
    """What stands above the pictures of a rank list's file, "query" or "1 ✓"."""
    return re.findall(r"<!-- (\d [✓✗]|query) -->", path.read_text(encoding="utf-8"))


def test_the_committed_teaser_is_todays(tmp_path):
    """By which pictures are marked as right: the network may round differently on another machine."""
    with matplotlib.style.context(STYLE):
        today = save(PICTURES["rank_list"](), tmp_path / "today.svg")
    committed = FIGURES / "rank_list.svg"
    assert len(marks_in(today)) == 16 and marks_in(today) == marks_in(committed), (
        "draw it again: python -m metabin figures --picture rank_list"
    )
    assert committed.stat().st_size < 150_000


def test_readmes_picture_tells_its_story_and_the_rates_of_ten_worlds():
    committed = FIGURES / "people.svg"
    best = [mark == "1 ✓" for mark in marks_in(committed) if mark.startswith("1")]
    assert best == [hit for hits in people.STORY.values() for hit in hits]
    rates = re.findall(r"<!-- (\d+ %) -->", committed.read_text(encoding="utf-8"))
    known = []
    for test in people.TESTS:
        for method in people.METHODS:
            known.append(f"{100 * mean(finished_metrics(method, test)['rank1']):.0f} %")
    assert rates == known, "draw it again: python -m metabin figures --picture people"
    assert committed.stat().st_size < 300_000


def test_a_story_is_true_of_queries_whose_best_pictures_are_as_it_says():
    right = torch.tensor(
        [[True, False], [False, True], [True, True]]
    )  # of three queries, two ranks
    found = {"bn": (None, right), "in": (None, ~right)}
    assert people._as_told(found, (True, False)).tolist() == [True, False, True]
