"""The paper map: nothing missing, nothing doubled, nothing stale."""

import json

import pytest

from metabin.course import paper_map
from metabin.runs.provenance import ROOT

ITEMS = (
    [f"Eq. {n}" for n in range(1, 11)]
    + [f"Algorithm 1, line {n}" for n in range(1, 16)]
    + [f"Table {n}" for n in range(1, 7)]
    + [f"Fig. {n}" for n in range(1, 12)]
)
ROWS = {row[0]: row for row in paper_map.rows()}


def test_every_equation_line_table_and_figure_has_one_row_in_the_papers_order():
    assert [row[0] for row in paper_map.rows()] == ITEMS


@pytest.mark.parametrize("item", paper_map.EQUATIONS + paper_map.LINES)
def test_an_equation_or_a_line_is_implemented_once(item):
    assert len(paper_map.implementations()[item]) == 1


def test_no_docstring_names_an_equation_or_a_line_that_the_paper_does_not_have():
    assert list(paper_map.implementations()) == paper_map.EQUATIONS + paper_map.LINES


@pytest.mark.parametrize("item", ITEMS)
def test_code_of_a_row_exists_and_is_tested(item):
    _, title, names, _ = ROWS[item]
    assert title and names
    for name in names:
        assert name in paper_map.definitions()[0], f"{name} is not in the package"
        assert paper_map.tests_of(name), f"no test uses {name}"


@pytest.mark.parametrize("item", paper_map.EQUATIONS + paper_map.LINES)
def test_equations_and_lines_are_met_in_a_lesson(item):
    assert any(paper_map.lessons_of(name) for name in ROWS[item][2])


def test_a_result_is_named_only_where_its_file_is():
    for study in paper_map.STUDIES:
        state = ROWS[study.item][3]
        assert (
            state == "not run"
            or (ROOT / "figures" / "results" / f"{study.experiment}.json").exists()
        )


@pytest.mark.parametrize("block", paper_map.BLOCKS)
def test_the_readme_holds_the_map_and_the_status_as_they_are_now(block):
    begin, end = paper_map.markers(block)
    assert f"{begin}\n{paper_map.BLOCKS[block]()}\n{end}" in (ROOT / "README.md").read_text(), (
        f"the README's {block} is stale: run python -m metabin course map --write"
    )


def test_the_status_tells_the_verdict_and_the_seeds_of_a_result_and_not_run_without_one(
    tmp_path, monkeypatch
):
    results = tmp_path / "figures" / "results"
    results.mkdir(parents=True)
    row = {"metrics": {"rank1": [0.1, 0.2, 0.3]}}
    (results / "table3.json").write_text(
        json.dumps({"verdict": "no: 0 of 7 differences", "rows": [row]})
    )
    monkeypatch.setattr(paper_map, "ROOT", tmp_path)
    lines = {line.split(" | ")[0]: line for line in paper_map.status().splitlines()}
    assert (
        "[no: 0 of 7 differences](figures/results/table3.json) | 3 | not run |"
        in lines["| Table 3"]
    )
    assert lines["| Table 4"].endswith("| not run |  | not run |")


@pytest.mark.parametrize(
    ("docstring", "found"),
    [
        ("Mean of it (Eq. 3).\n\nMore (Eq. 9).", ["Eq. 3"]),
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
def test_references_are_read_from_the_end_of_the_first_sentence(docstring, found):
    assert paper_map.references(docstring) == found


def test_use_means_an_import_or_a_qualified_name():
    name = "batches.Batches.draw"
    assert paper_map._uses(
        "from metabin.data.batches import (\n    Batches,\n)\nBatches().draw()", name
    )
    assert paper_map._uses("batches.Batches(a).draw()", name)
    assert not paper_map._uses("from metabin.meta import Batches\nBatches().draw()", name)
    assert not paper_map._uses("from metabin.data.batches import Batches", name)


def test_the_command_writes_between_the_markers_and_says_when_they_are_missing(
    tmp_path, monkeypatch, capsys
):
    readme = tmp_path / "README.md"
    monkeypatch.setattr(paper_map, "ROOT", tmp_path)
    blocks = "\nbetween\n".join(
        "\nold\n".join(paper_map.markers(block)) for block in paper_map.BLOCKS
    )
    readme.write_text(f"before\n{blocks}\nafter\n")
    paper_map.main(["--write"])
    text = readme.read_text()
    assert (
        text.startswith("before\n")
        and text.endswith("after\n")
        and "| Eq. 7 |" in text
        and "old" not in text
    )
    readme.write_text("nothing")
    with pytest.raises(SystemExit):
        paper_map.main(["--write"])
    assert (
        "put both where the paper map shall stand" in capsys.readouterr().err
        and readme.read_text() == "nothing"
    )
