"""The pictures by t-SNE: what is drawn are the numbers that were given."""

import pytest
from conftest import title_of

from metabin.plotting import LOOKS
from metabin.plotting import embeddings as drawing

PLANE = [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 3.0]]
QUERY, PEOPLE = [1, 0, 1, 0], [7, 7, 9, 9]


def dots(axis) -> dict[tuple, str]:
    """Each dot of an axis with its marker."""
    markers = {}
    for line in axis.lines:
        markers |= dict.fromkeys(map(tuple, line.get_xydata()), line.get_marker())
    return markers


def test_shape_is_query_or_gallery_and_colour_the_group():
    axis = drawing.draw_planes({"a": PLANE}, [0, 0, 1, 1], QUERY).axes[0]
    assert dots(axis) == {(0, 0): "o", (1, 0): "^", (0, 2): "o", (3, 3): "^"}
    colours = [line.get_color() for line in axis.lines]  # of each group's queries and gallery
    assert colours == [drawing.GROUPS[group] for group in (0, 0, 1, 1)]


def test_lines_join_a_query_to_its_own_gallery_alone():
    axis = drawing.draw_planes({"a": PLANE}, PEOPLE, QUERY, linked=True).axes[0]
    links = [lines.get_segments() for lines in axis.collections]
    drawn = [[[tuple(end) for end in link] for link in group] for group in links]
    assert drawn == [[[(0, 0), (1, 0)]], [[(0, 2), (3, 3)]]]


def test_five_pictures_take_two_rows_and_notes_stay_with_their_pictures():
    figure = drawing.draw_planes(dict.fromkeys("abcde", PLANE), PEOPLE, QUERY, notes=list("vwxyz"))
    below = {title_of(axis): axis.get_xlabel() for axis in figure.axes}
    assert below == dict(zip("abcde", "vwxyz", strict=True))


def part(**planes) -> dict:
    scores = {"trust": 0.9, "right": 0.5, "right_space": 0.75, "ratio": 0.4}
    labels = {"pids": PEOPLE, "streets": [0, 0, 1, 1], "query": QUERY}
    return labels | {"planes": planes, "scores": dict.fromkeys(planes, scores)}


def test_figure_3_draws_the_reports_points_and_says_how_far_to_trust_them():
    shifted = [[x + 5, y] for x, y in PLANE]
    report = {
        "streets": ["street 5", "street 6"],
        "all_streets": part(bn=PLANE, metabin=shifted),
        "one_street": part(bn=shifted, metabin=PLANE),
    }
    axes = drawing.draw_figure3(report).axes
    expected = [PLANE, shifted, shifted, PLANE]
    assert [set(dots(axis)) for axis in axes] == [{tuple(p) for p in plane} for plane in expected]
    assert [title_of(axis) for axis in axes[:2]] == [LOOKS[m].name for m in ("bn", "metabin")]
    notes = {axis.get_xlabel() for axis in axes}
    assert notes == {"trust 0.900\nnearest is right: 50 %\nin space: 75 %"}
    assert [len(axis.collections) for axis in axes] == [0, 0, 2, 2]  # lines join each person's


def test_every_query_is_in_its_heap_and_the_means_are_marked():
    axis = drawing.draw_distances({"bn": {"own": [0.1, 0.1, 0.4], "others": [0.8, 1.0]}}).axes[0]
    assert sum(patch.get_height() for patch in axis.patches) == 5
    assert sorted(line.get_xdata()[0] for line in axis.lines) == pytest.approx([0.2, 0.9])


def test_every_start_is_a_dot_and_space_a_line():
    scores = {"ratio": [0.2, 0.3], "trust": [0.98, 0.99]}
    left, right = drawing.draw_sensitivity({"bn": {"5": scores, "30": scores}}, {"bn": 0.35}).axes
    dotted = [line.get_ydata().tolist() for line in left.lines if line.get_ls() == "None"]
    assert dotted == [[0.2, 0.2], [0.3, 0.3]]  # of one start each
    assert left.collections[0].get_segments()[0][:, 1].tolist() == [0.35, 0.35]
    assert [line.get_ydata().tolist() for line in right.lines] == [[0.98, 0.98], [0.99, 0.99]]
