"""Differences, pairs and numbers of worlds as figures: is what they show what went in?"""

import pytest
from conftest import drawn_points, title_of

from metabin import plotting
from metabin.plotting.claims import draw_claims, draw_pairing


@pytest.fixture(autouse=True)
def house_style():
    plotting.use_style()


def row(name: str, *paper: float) -> dict:
    return {"name": name, "paper": list(paper)}


def claim(better: str, worse: str, *rank1: float) -> dict:
    return {"better": better, "worse": worse, "rank1": list(rank1), "mAP": [x / 2 for x in rank1]}


REPORT = {
    "title": "Table 9",
    "rows": [row("BN", 50.9, 59.5), row("MetaBIN", 64.7, 72.3), row("BIN")],
    "claims": [claim("MetaBIN", "BN", 0.4, 0.3, 0.5), claim("MetaBIN", "BIN", 0.01, -0.02, 0.04)],
}


def test_a_claim_is_drawn_with_its_interval_and_the_papers_difference_in_points():
    axis = draw_claims(REPORT).axes[0]
    ours = {(40, 0), (30, 0), (50, 0), (1, 1), (-2, 1), (4, 1)}
    assert ours | {(13.8, 0.28)} <= drawn_points(axis)
    printed = [line for line in axis.lines if line.get_marker() == plotting.LOOKS["paper"].marker]
    assert len(printed) == 1
    assert axis.get_ylim()[0] > axis.get_ylim()[1]  # the first claim is on top


def test_what_leaves_zero_out_is_filled_and_what_does_not_is_open():
    faces = [
        line.get_markerfacecolor()
        for line in draw_claims(REPORT).axes[0].lines
        if line.get_marker() == "o"
    ]
    assert faces[0] != "white" and faces[1] == "white"


def test_map_is_drawn_beside_the_papers_map():
    axis = draw_claims(REPORT, "mAP").axes[0]
    assert {(12.8, 0.28), (20, 0)} <= drawn_points(axis)
    assert "mAP" in axis.get_xlabel()


def test_without_printed_numbers_there_is_no_legend():
    bare = REPORT | {"claims": REPORT["claims"][1:]}
    assert not draw_claims(bare).legends and draw_claims(REPORT).legends


def test_a_setting_that_both_rows_share_is_said_once():
    claims = [claim("MetaBIN: far", worse, 0.1, 0.0, 0.2) for worse in ("BIN: far", "BIN: near")]
    rows = [row(name) for name in ("MetaBIN: far", "BIN: far", "BIN: near")]
    labels = draw_claims({"title": "", "rows": rows, "claims": claims}).axes[0].get_yticklabels()
    expected = ["MetaBIN\n− BIN: far", "MetaBIN: far\n− BIN: near"]
    assert [label.get_text() for label in labels] == expected


def test_a_pairing_joins_the_worlds_and_shows_the_differences_of_the_second_from_the_first():
    rates = {"DualNorm": [0.5, 0.6], "MetaBIN": [0.6, 0.65]}
    intervals = [(0.55, 0.5, 0.6), (0.625, 0.6, 0.65), (0.075, 0.05, 0.1)]
    both, gap = draw_pairing(rates, intervals, ("dualnorm", "metabin")).axes
    assert [list(line.get_ydata()) for line in both.lines[:2]] == [[50, 60], [60, 65]]
    assert {(0, 10), (0.2, 7.5), (0.2, 5), (0.2, 10)} <= drawn_points(gap)
    assert [label.get_text() for label in both.get_xticklabels()] == list(rates)


def test_differences_of_each_test_have_a_panel_of_their_own():
    rows = {"IN − BN, unseen": (0.2, 0.1, 0.3), "IN − BN, far": (0.4, 0.3, 0.5)}
    rows["IN − BN, home"] = -0.05, -0.06, -0.04
    panels = plotting.draw_differences_by_test(rows).axes
    titles = ["on unseen streets", "on far streets", "at home"]
    assert [title_of(axis) for axis in panels] == titles
    for axis, middle in zip(panels, (20, 40, -5), strict=True):
        assert (middle, 0) in drawn_points(axis)
