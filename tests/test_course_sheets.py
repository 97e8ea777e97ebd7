"""Exercise sheets: what is on them, the cells that they take along, and what an empty stub says."""

import ast
import subprocess
import sys

import pytest
import tiny_notebooks as tiny
from test_notebooks import LESSONS

from metabin.course import runner
from metabin.course.answers import CheckFailed
from metabin.course.lessons import read_notebook, tagged
from metabin.course.sheets import sheet_of, write_sheets


def lesson():
    made = tiny.good_lesson()
    made.cells[3].metadata["tags"] = ["for_exercises"]
    made.cells[6].source = made.cells[6].source.replace(
        "1. Easy, 2 minutes.",
        "**1. One** (easy, 5 minutes).\n\n**2. Two** (harder: a bug, 20 minutes). "
        "See [lesson 02](02_b.ipynb), ![A pixel](teaser.png)",
    )
    made.cells.insert(6, tiny.code('cases = {"one": (1,), "two": (2,)}', "for_exercises"))
    return made


@pytest.fixture
def path(tmp_path):
    return tiny.write(tmp_path / "notebooks", "01_small.ipynb", lesson())


def sources(sheet, kind):
    return [cell.source for cell in sheet.cells if cell.cell_type == kind]


@pytest.mark.parametrize("solved", [False, True])
def test_a_sheet_has_stubs_or_solutions_behind_the_cells_that_they_need(path, solved):
    code = sources(sheet_of(path, solved), "code")
    setup = [
        "from metabin.course.lesson import check, record",
        'cases = {"one": (1,), "two": (2,)}',
    ]
    assert code == [tiny.PARAMETERS, *setup, tiny.SOLUTION if solved else tiny.STUB]


def test_a_sheet_holds_the_text_of_its_exercises_with_their_minutes_pictures_and_links(path):
    title, text = (cell for cell in sheet_of(path, False).cells if cell.cell_type == "markdown")
    assert title.source.startswith("# Exercises: lesson 01 Small\n\n**Time.** about 25 minutes.")
    assert text.source.startswith("**1. One**") and "teaser.png" in text.attachments
    assert "[lesson 02](../../notebooks/02_b.ipynb)" in text.source
    assert "Further reading" not in text.source


def test_two_notebooks_and_two_pages_are_written_and_the_same_twice(path, tmp_path):
    written = write_sheets(path, tmp_path / "exercises")
    names = ["01_small.ipynb", "01_small.html", "01_small_solutions.ipynb"]
    assert [file.name for file in written] == [*names, "01_small_solutions.html"]
    before = [file.read_bytes() for file in written]
    assert before == [file.read_bytes() for file in write_sheets(path, tmp_path / "exercises")]
    student, teacher = (file.read_text(encoding="utf-8") for file in written[1::2])
    assert "NotImplementedError" in student and "<details" not in student + teacher
    assert "<script" not in student + teacher


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_name_is_missing_on_the_sheets_of_the_course(path):
    for solved in (False, True):
        source = "\n".join(sources(sheet_of(path, solved), "code"))
        words = ["-m", "ruff", "check", "--isolated", "--select", "F821", "-"]
        done = subprocess.run(
            [sys.executable, *words], input=source, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
        assert solved or "NotImplementedError" in source
    whole = "\n".join(sources(read_notebook(path), "code"))
    assert len(source) < len(whole), "a sheet is less than its lesson"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_stub_of_the_course_says_what_to_write(path):
    for cell in read_notebook(path).cells:
        if tagged(cell, "exercise") and "NotImplementedError" in cell.source:
            errors = [n.exc for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Raise)]
            assert errors and all(isinstance(e, ast.Call) and e.args for e in errors), cell.source


def test_a_stub_without_an_answer_fails_headless_and_a_solution_does_not(path):
    with pytest.raises(CheckFailed, match="nothing is written here yet"):
        run(sheet_of(path, solved=False))
    run(sheet_of(path, solved=True))


def test_in_front_of_somebody_a_stub_says_what_to_do_and_run_all_goes_on(path, monkeypatch, capsys):
    monkeypatch.setattr("metabin.course.answers.is_live", lambda: True)
    run(sheet_of(path, solved=False))
    assert capsys.readouterr().out.startswith("○ not written yet")


def run(sheet):
    names = {}
    for source in sources(sheet, "code"):
        exec(source, names)


@pytest.mark.long
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_teachers_sheet_runs_by_itself(path, tmp_path):
    _, _, solved, _ = write_sheets(path, tmp_path)
    outcome = runner.run_lesson(solved, {}, tmp_path / "build")
    assert outcome.error is None
