"""Exercise sheets: what is on them, the code that they take along, and what a stub says that nobody has filled in."""

import ast
import builtins

import pytest
import tiny_notebooks as tiny
from test_notebooks import LESSONS

from metabin.course import runner
from metabin.course.lesson import CheckFailed
from metabin.course.lessons import read_notebook, tagged
from metabin.course.sheets import sheet_of, write_sheets
from metabin.course.slices import _globals, _made, needed_code


def lesson():
    made = tiny.good_lesson()
    made.cells[5].source = 'record("lr", lr)\nfactor, other = 2, 3  # twice\nprint(other)'
    made.cells[6].source += " See [lesson 02](02_b.ipynb), ![A pixel](teaser.png)"
    made.cells.insert(7, tiny.code('cases = {"one": (1,), "two": (factor,)}'))
    return made


@pytest.fixture
def path(tmp_path):
    return tiny.write(tmp_path / "notebooks", "01_small.ipynb", lesson())


def sources(sheet, kind):
    return [cell.source for cell in sheet.cells if cell.cell_type == kind]


def test_the_students_sheet_has_stubs_and_checks_and_no_solution(path):
    sheet = sheet_of(path, solved=False)
    code = sources(sheet, "code")
    assert code[-1] == tiny.STUB and tiny.SOLUTION not in "\n".join(code)
    assert code[:2] == ["from metabin.course.lesson import check", "factor, other = 2, 3  # twice"]
    assert code[2] == 'cases = {"one": (1,), "two": (factor,)}'


def test_the_teachers_sheet_has_solutions_in_place_of_the_stubs(path):
    code = sources(sheet_of(path, solved=True), "code")
    assert code[-1] == tiny.SOLUTION and tiny.STUB not in code
    assert code[:-1] == sources(sheet_of(path, solved=False), "code")[:-1]


def test_a_sheet_says_what_it_belongs_to_and_how_long_it_takes(path):
    text = sources(sheet_of(path, solved=False), "markdown")
    assert text[0].startswith("# Exercises: lesson 01 Small\n\n**Time.** about 0 minutes.")
    content = read_notebook(path)
    content.cells[
        6
    ].source += "\n\n**1. One** (easy, 5 minutes).\n\n**2. Two** (harder: a bug, 20 minutes)."
    tiny.write(path.parent, path.name, content)
    assert "about 25 minutes" in sheet_of(path, solved=False).cells[0].source


def test_only_the_exercises_text_is_taken_with_its_pictures_and_links(path):
    cell = [cell for cell in sheet_of(path, solved=False).cells if cell.cell_type == "markdown"][1]
    assert (
        cell.source.startswith("1. Easy, 2 minutes.") and "(attachment:teaser.png)" in cell.source
    )
    assert (
        "[lesson 02](../../notebooks/02_b.ipynb)" in cell.source
        and "teaser.png" in cell.attachments
    )
    assert "Further reading" not in "\n".join(sources(sheet_of(path, solved=False), "markdown"))


def test_two_notebooks_and_two_pages_are_written_and_the_same_twice(path, tmp_path):
    written = write_sheets(path, tmp_path / "exercises")
    names = [file.name for file in written]
    assert names == [
        f"01_small{s}.{kind}" for s in ("", "_solutions") for kind in ("ipynb", "html")
    ]
    before = [file.read_bytes() for file in written]
    assert before == [file.read_bytes() for file in write_sheets(path, tmp_path / "exercises")]
    student, teacher = (file.read_text(encoding="utf-8") for file in written[1::2])
    assert "NotImplementedError" in student and "<details" not in student + teacher
    assert (
        "x + x" not in student.replace("</span>", "").replace("<span>", "")
        and "<script" not in student + teacher
    )


# ---- the code that a sheet takes along -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before, wanted, kept",
    [
        (["a = 1\nb = 2"], "print(a)", ["a = 1"]),
        (["a = 1", "a = 2"], "print(a)", ["a = 2"]),  # made anew: what it was before isn't needed
        (["a = [1]", "a.append(2)", "b = 3"], "print(a)", ["a = [1]", "a.append(2)"]),
        (["a = {}", "a['x'] = 1"], "print(a)", ["a = {}", "a['x'] = 1"]),
        (["net = N()\nother = 1", "train(net, 3)"], "net(1)", ["net = N()", "train(net, 3)"]),
        (["net = N()", "show(net)\nprint(net)"], "net(1)", ["net = N()"]),
        (
            ["c = 0\nfor i in range(3):\n    c += i"],
            "print(c)",
            ["c = 0\nfor i in range(3):\n    c += i"],
        ),
        (["for i in range(3):\n    print(i)"], "[i for i in range(2)]", []),
        (["i = 9", "def f(i):\n    return i"], "f(1)", ["def f(i):\n    return i"]),
        (
            ["def f():\n    return later", "later = 1\nearlier = 2"],
            "f()",
            ["def f():\n    return later", "later = 1"],
        ),
        (
            ["import os, sys", "from a import b, c as d"],
            "d(sys)",
            ["import sys", "from a import c as d"],
        ),
        (["# why\na = 1  # how"], "a", ["# why\na = 1  # how"]),
        (["a = 1"], "a = 2\nprint(a)", []),
        (["a = 1"], "if x:\n    a = 2\nprint(a)", ["a = 1"]),
    ],
)
def test_of_the_lesson_just_what_is_needed_is_kept(before, wanted, kept):
    assert needed_code(before, [wanted]) == kept


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("solved", [False, True])
def test_no_name_is_missing_on_the_sheets_of_the_course(path, solved):
    sheet = sheet_of(path, solved)
    source = "\n".join(sources(sheet, "code"))
    assert _globals(source) - _made(ast.parse(source)) - set(dir(builtins)) == set()
    assert ("NotImplementedError" in source) or solved
    whole = "\n".join(sources(read_notebook(path), "code"))
    assert len(source) < len(whole), "a sheet is less than its lesson"


# ---- what an unanswered exercise says ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_stub_of_the_course_says_what_to_write(path):
    stubs = [cell.source for cell in read_notebook(path).cells if tagged(cell, "exercise")]
    raised = [
        n.exc for stub in stubs for n in ast.walk(ast.parse(stub)) if isinstance(n, ast.Raise)
    ]
    assert len(raised) >= sum("NotImplementedError" in stub for stub in stubs) > 0
    assert all(isinstance(error, ast.Call) and error.args for error in raised), (
        "NotImplementedError(what to write)"
    )


def test_a_stub_without_an_answer_fails_headless_and_a_solution_does_not(path):
    with pytest.raises(CheckFailed, match="nothing is written here yet"):
        run(sheet_of(path, solved=False))
    run(sheet_of(path, solved=True))


def test_in_front_of_somebody_a_stub_says_what_to_do_and_run_all_goes_on(path, monkeypatch, capsys):
    monkeypatch.setattr("metabin.course.lesson.is_live", lambda: True)
    run(sheet_of(path, solved=False))
    assert (
        capsys.readouterr().out == "○ not written yet: replace the stub and run this cell again\n"
    )


def run(sheet):
    space = {}
    for source in sources(sheet, "code"):
        exec(source, space)


@pytest.mark.long
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_teachers_sheet_runs_by_itself(path, tmp_path):
    _, _, solved, _ = write_sheets(path, tmp_path)
    outcome = runner.run_lesson(solved, {}, tmp_path / "build")
    assert outcome.error is None
