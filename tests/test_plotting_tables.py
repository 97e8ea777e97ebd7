"""The tables and curves of the experiments as figures."""

from itertools import product

import pytest
from conftest import drawn_points
from matplotlib.collections import PathCollection

from metabin import plotting
from metabin.experiments import EXPERIMENTS
from metabin.plotting.tables import look_of


@pytest.fixture(autouse=True)
def house_style():
    plotting.use_style()


def report(*rows: dict, axis: str = "") -> dict:
    return {"title": "Table 9", "axis": axis, "rows": list(rows)}


def row(name: str, method: str, middle: float, **more) -> dict:
    metrics = {"rank1": [middle - 0.1, middle, middle + 0.1]}
    interval = {"rank1": [middle, middle - 0.2, middle + 0.2]}
    numbers = {"metrics": metrics, "interval": interval, "paper": []}
    return {"name": name, "method": method} | numbers | more


def test_a_table_shows_every_seed_the_interval_the_oracle_and_the_printed_number():
    shown = report(
        row("BN", "bn", 0.3, paper=[50.9, 59.5]),
        row("MetaBIN", "metabin", 0.6, oracle={"rank1": [0.7, 0.8, 0.9]}),
    )
    ours, theirs = plotting.draw_table(shown).axes
    assert [label.get_text() for label in ours.get_yticklabels()] == ["BN", "MetaBIN"]
    intervals = {(30, 0), (10, 0), (50, 0), (60, 1), (40, 1), (80, 1)}
    assert intervals <= drawn_points(ours)
    [oracle] = [line for line in ours.lines if line.get_marker() == "X"]
    assert oracle.get_xydata().tolist() == [pytest.approx([80, 1])]
    seeds = [points for points in ours.collections if isinstance(points, PathCollection)]
    assert sorted(seeds[0].get_offsets()[:, 0]) == pytest.approx([20, 30, 40])
    assert drawn_points(theirs) == {(50.9, 0)}
    assert ours.get_ylim()[0] > ours.get_ylim()[1]  # the first row is on top


def test_a_table_without_printed_numbers_has_one_panel():
    assert len(plotting.draw_table(report(row("BN", "bn", 0.3))).axes) == 1


def test_curves_have_a_panel_for_each_series_in_its_order():
    points = product(("scatter", "shuffle"), (1, 2, 4))
    rows = [row("", "metabin", 0.1 * at, series=series, at=at) for series, at in points]
    panels = plotting.draw_curves(report(*rows, axis="weight")).axes
    assert [axis.get_xlabel() for axis in panels] == ["scatter: weight", "shuffle: weight"]
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["1", "2", "4"]
    assert panels[1].lines[0].get_ydata() == pytest.approx([10, 20, 40])


def test_where_memory_was_measured_it_stands_below_the_curve():
    measured = {"series": "images", "base_mib": 20}
    rows = [row("", "metabin", 0.5, at=at, meta_mib=at, **measured) for at in (8, 16)]
    curve, memory = plotting.draw_curves(report(*rows)).axes
    assert [bar.get_height() for bar in memory.patches] == [8, 16]
    assert list(memory.lines[0].get_ydata()) == [20, 20]
    assert (curve.get_xlabel(), memory.get_xlabel()) == ("", "images")


def test_a_variant_looks_like_its_method():
    methods = {row.method for experiment in EXPERIMENTS.values() for row in experiment.rows}
    assert {m for m in methods if look_of(m).name == m} == {"ibn", "dualnorm", "switchable"}
    assert look_of("metabin_source, no inner step") is look_of("metabin")
    assert look_of("bn_mldg") is look_of("bn")
