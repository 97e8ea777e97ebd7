"""The pictures that open lessons: the committed ones are today's, and none gives its answer away."""

import re
from pathlib import Path
from statistics import mean

import matplotlib
import numpy as np
import pytest
from conftest import title_of

from metabin.analysis.plane import eighteen_points
from metabin.evaluate.certainty import half_width
from metabin.experiments import finished_metrics
from metabin.plotting import STYLE, layers, people, save
from metabin.plotting.data import TARGETS
from metabin.plotting.pictures import PICTURES
from metabin.runs.provenance import ROOT

FIGURES = ROOT / "figures"


def marks_in(path: Path) -> list[str]:
    """What stands above the pictures of a rank list's file, "query" or "1 ✓"."""
    return re.findall(r"<!-- (\d [✓✗]|query) -->", path.read_text(encoding="utf-8"))


def places_in(path: Path) -> list[float]:
    """Where ticks and markers stand in a drawing."""
    places = re.findall(r'<use [^>]*?x="(.*?)" y="(.*?)"', path.read_text(encoding="utf-8"))
    return [float(number) for place in places for number in place]


@pytest.mark.parametrize("name", PICTURES.keys() - {"people"})  # which looks for its person
def test_the_committed_picture_is_todays(name, tmp_path):
    """By marks alone where a network found them: it may round differently on another machine."""
    with matplotlib.style.context(STYLE):
        today = save(PICTURES[name](), tmp_path / f"{name}.svg")
    committed, again = FIGURES / f"{name}.svg", f"python -m metabin figures --picture {name}"
    assert marks_in(today) == marks_in(committed), again
    if name != "rank_list":
        places = places_in(today)
        assert len(places) >= 8 and places_in(committed) == pytest.approx(places, abs=1), again


def test_readmes_picture_tells_its_story_and_the_rates_of_ten_worlds():
    committed = FIGURES / "people.svg"
    best = [mark == "1 ✓" for mark in marks_in(committed) if mark.startswith("1")]
    assert best == [hit for _, _, story in people.TESTS.values() for hit in story]
    rates = re.findall(r"<!-- (\d+ %) -->", committed.read_text(encoding="utf-8"))
    known = []
    for test in people.TESTS:
        for method in people.METHODS:
            known.append(f"{100 * mean(finished_metrics(method, test)['rank1']):.0f} %")
    assert rates == known, "draw it again: python -m metabin figures --picture people"


@pytest.mark.parametrize("name, most", [("people", 300_000), ("rank_list", 150_000)])
def test_pictures_of_people_are_small_files(name, most):
    assert (FIGURES / f"{name}.svg").stat().st_size < most


def test_bn_is_drawn_as_computed_by_hand_and_the_others_are_asked_for():
    bn, *others = PICTURES["layer"]().axes
    by_hand = [[-4 / 3, -2 / 3], [-2 / 3, 2 / 3], [1 / 3, 5 / 3]]  # BN divides by 3
    solid = [line for line in bn.lines if line.get_marker() in "os^"]
    for line, x, y in zip(solid, layers.THREE_IMAGES, by_hand, strict=True):
        assert line.get_xdata().tolist() == pytest.approx(x)
        assert line.get_ydata().tolist() == pytest.approx(y)
    for axis in others:
        waiting = [line for line in axis.lines if line.get_marker() in "os^"]
        assert [tuple(line.get_xdata()) for line in waiting] == list(layers.THREE_IMAGES)
        assert {*np.concatenate([line.get_ydata() for line in waiting])} == {0}
        assert [text.get_text() for text in axis.texts] == ["?"]


def test_the_points_of_the_losses_are_there_and_no_arrow():
    points, _, _ = eighteen_points()
    for axis, name in zip(
        PICTURES["losses"]().axes, ("scatter", "shuffle", "triplet"), strict=True
    ):
        assert title_of(axis).startswith(name)
        assert not axis.collections and not axis.texts, "an arrow would be the answer"
        drawn = {tuple(line.get_xydata()[0]) for line in axis.lines if line.get_marker() != "None"}
        assert {tuple(point) for point in points.double().tolist()} <= drawn


def test_the_papers_signs_are_shaded_and_no_gradient_is_drawn():
    shaded = {}
    for axis in PICTURES["gradient_question"]().axes:
        [area] = axis.patches
        shaded[title_of(axis)] = area.get_bbox().intervaly.tolist()
        assert not axis.collections and len(axis.lines) == 1  # at zero
    assert shaded == {"scatter": [0, 1], "shuffle": [0, 1], "triplet": [0, -1]}


def test_rho_is_shown_before_training_and_asked_for_afterwards():
    before, after = PICTURES["rho_question"]().axes
    assert set(before.collections[0].get_offsets()[:, 1].tolist()) == {1.0}
    assert not after.collections and [text.get_text() for text in after.texts] == ["?"]


def test_half_widths_stand_at_the_printed_rates_over_the_steps_of_the_ablation():
    (axis,) = PICTURES["splits"]().axes
    # MetaBIN in Table 1: VIPeR, PRID, GRID, i-LIDS
    printed = [(0.569, 316), (0.725, 100), (0.497, 125), (0.797, 60)]
    marked = [line for line in axis.lines if line.get_marker() in TARGETS]
    expected = [(n, pytest.approx(100 * half_width(rate, n))) for rate, n in printed]
    assert [tuple(line.get_xydata()[0]) for line in marked] == expected
    assert marked[1].get_label() == "PRID 2011, 100 queries: ±8.8"
    band = axis.patches[0].get_bbox()
    assert (band.y0, band.y1) == pytest.approx((0.1, 1.2))
