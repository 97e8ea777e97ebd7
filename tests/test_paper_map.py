"""The paper map and the status of tables and figures: none missing, none doubled, none stale."""

import json
from collections import Counter

import pytest

from metabin.course import paper_map
from metabin.course.paper_map import Definition
from metabin.runs.provenance import ROOT

CODE = paper_map.implementations()
IMPLEMENTED = [
    *(f"Eq. {n}" for n in range(1, 11)),
    *(f"Algorithm 1, line {n}" for n in range(1, 16)),
]
STUDIED = [*(f"Table {n}" for n in range(1, 7)), *(f"Fig. {n}" for n in range(1, 12))]


def test_every_equation_line_table_and_figure_has_one_row_in_the_papers_order():
    assert list(CODE) == IMPLEMENTED + STUDIED


@pytest.mark.parametrize("item", IMPLEMENTED)
def test_an_equation_or_a_line_is_implemented_once_and_met_in_a_lesson(item):
    (definition,) = CODE[item]
    assert paper_map.lessons_of(definition)


@pytest.mark.parametrize("item", STUDIED)
def test_the_code_of_a_table_or_figure_is_defined_once(item):
    _, *names = paper_map.STUDIES[item]
    assert Counter(definition.name for definition in CODE[item]) == Counter(names)


def test_all_code_of_the_map_is_tested():
    definitions = {definition for code in CODE.values() for definition in code}
    assert not [definition.name for definition in definitions if not paper_map.tests_of(definition)]


@pytest.mark.parametrize("name", paper_map.PAGES)
def test_the_pages_hold_the_map_and_the_status_as_they_are_now(name):
    table, make = paper_map.PAGES[name]
    begin, end = paper_map.markers(table)
    page = ROOT / name
    assert f"{begin}\n{make(page)}\n{end}" in page.read_text(encoding="utf-8"), (
        f"the {table} is stale: run python -m metabin course map --write"
    )


def test_the_status_tells_a_results_verdict_and_worlds_and_not_run_without_one(
    tmp_path, monkeypatch
):
    report = {"verdict": "no: 0 of 7 differences", "worlds": [1, 2]}
    (tmp_path / "table3.json").write_text(json.dumps(report))
    monkeypatch.setattr(paper_map, "RESULTS", tmp_path)
    lines = {line.split(" | ")[0]: line for line in paper_map.status(tmp_path / "x").splitlines()}
    assert "[no: 0 of 7 differences](table3.json) | short | 2 |" in lines["| Table 3"]
    assert lines["| Table 4"].endswith("| not run |  |  |")
    (tmp_path / "table3-finished.json").write_text(json.dumps(report | {"verdict": "yes"}))
    rows = paper_map.status(tmp_path / "x").splitlines()
    assert any("[yes](table3-finished.json) | finished | 2 |" in row for row in rows)


@pytest.mark.parametrize(
    ("docstring", "items"),
    [
        ("Mean of it (Eq. 3).\n\nMore (Eq. 9).", ["Eq. 3"]),
        ("Mean of\nit (Eq. 3). More (Eq. 9).", ["Eq. 3"]),
        (
            "Two (Eq. 4 and 8; Algorithm 1, lines 5 and 11).",
            ["Eq. 4", "Eq. 8", "Algorithm 1, line 5", "Algorithm 1, line 11"],
        ),
        ("The layer (Eq. 1, Section 3.2).", ["Eq. 1"]),
        ("Eq. 1 in its plainest form.", []),
        ("As in MLDG (Table 4).", []),
        (None, []),
    ],
)
def test_references_are_read_from_the_end_of_the_first_sentence(docstring, items):
    assert paper_map.references(docstring) == items


def test_code_is_used_where_it_is_imported_or_named_with_its_module():
    draw = Definition("data.Batches.draw", paper_map.PACKAGE / "data" / "batches.py")
    for source in (
        "from metabin.data.batches import (\n    Batches,\n)\nBatches().draw()",
        "from metabin import Batches\nBatches().draw()",
        "batches.Batches(a).draw()",
    ):
        assert paper_map.is_used(draw, source)
    assert not paper_map.is_used(draw, "from metabin.meta import Batches\nBatches().draw()")
    assert not paper_map.is_used(draw, "from metabin.data.batches import Batches")


def test_the_command_writes_between_the_markers_and_says_where_they_are_missing(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(paper_map, "ROOT", tmp_path)
    for name, (table, _) in paper_map.PAGES.items():
        begin, end = paper_map.markers(table)
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    assert paper_map.main(["--write"]) == 0
    text = (tmp_path / "notebooks" / "paper_map.md").read_text()
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "| Eq. 7 |" in text and "old" not in text
    (tmp_path / "figures" / "README.md").write_text("nothing")
    with pytest.raises(SystemExit):
        paper_map.main(["--write"])
    assert "figures/README.md: put the lines" in capsys.readouterr().err
