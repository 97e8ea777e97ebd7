"""The paper map: nothing missing, nothing doubled, nothing stale."""

import pytest

from metabin import paper_map
from metabin.provenance import ROOT

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
        assert state == "not run" or (ROOT / "figures" / "results" / f"{study.experiment}.json").exists()


def test_the_readme_holds_the_map_as_it_is_now():
    text = (ROOT / "README.md").read_text()
    assert paper_map.BEGIN + "\n" + paper_map.markdown() + "\n" + paper_map.END in text, (
        "the README's map is stale: run python -m metabin.paper_map --write"
    )


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
    name = "train.Batches.draw"
    assert paper_map._uses("from metabin.train import (\n    Batches,\n)\nBatches().draw()", name)
    assert paper_map._uses("train.Batches(a).draw()", name)
    assert not paper_map._uses("from metabin.meta import Batches\nBatches().draw()", name)
    assert not paper_map._uses("from metabin.train import Batches", name)


def test_the_command_writes_between_the_markers_and_says_when_they_are_missing(tmp_path, monkeypatch, capsys):
    readme = tmp_path / "README.md"
    monkeypatch.setattr(paper_map, "ROOT", tmp_path)
    readme.write_text(f"before\n{paper_map.BEGIN}\nold\n{paper_map.END}\nafter\n")
    paper_map.main(["--write"])
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "| Eq. 7 |" in text and "old" not in text
    readme.write_text("nothing")
    with pytest.raises(SystemExit):
        paper_map.main(["--write"])
    assert "put both where the map shall stand" in capsys.readouterr().err and readme.read_text() == "nothing"
