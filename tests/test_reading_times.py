"""Reading times in the lessons' headers: one rule makes them, and a stale header fails."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
import tiny_notebooks as tiny

from metabin.course.lessons import find_lessons, tagged
from metabin.course.sheets import MINUTES

LESSONS = find_lessons(Path(__file__).resolve().parents[1] / "notebooks")
HEADER = re.compile(
    r"^\*\*Time\.\*\* .*?, about (\d+) minutes to read, (\d+) for the exercises", re.MULTILINE
)
WORDS_A_MINUTE, SECONDS_A_LINE, MINUTES_A_FIGURE, MINUTES_A_WIDGET = 180, 5, 1, 2


def main_path(lesson) -> list:
    """Cells before the exercises; the one that begins the exercises is cut there."""
    cells = []
    for cell in lesson.cells:
        before, heading, _ = cell.source.partition("## Exercises")
        cells.append(nbformat.from_dict(cell | {"source": before}))
        if heading:
            break
    return cells


def calls_at_once(node: ast.AST) -> list[ast.Call]:
    """Calls that a cell makes itself, not those within functions that it defines."""
    if isinstance(node, ast.FunctionDef):
        return []
    calls = [node] if isinstance(node, ast.Call) else []
    for child in ast.iter_child_nodes(node):
        calls += calls_at_once(child)
    return calls


def minutes_of_code(cell) -> float:
    """Minutes for a code cell's figures, widgets and, unless it is hidden, lines."""
    lines = [line for line in cell.source.splitlines() if line.strip()]
    minutes = 0 if tagged(cell, "plumbing") else SECONDS_A_LINE * len(lines) / 60
    for call in calls_at_once(ast.parse(cell.source)):
        name = ast.unparse(call.func).rpartition(".")[2]
        drawn = name == "show" and call.args and isinstance(call.args[0], ast.Constant)
        if name == "figure" or drawn:  # Reports.show("table3") draws; show(function) does not
            minutes += MINUTES_A_FIGURE
        elif name == "widget_with_twin":
            minutes += MINUTES_A_WIDGET
    return minutes


def minutes_of_text(cell) -> float:
    """Minutes for the words and pictures of a cell of text."""
    text, pictures = re.subn(r"!\[[^\]]*\]\([^)]*\)", "", cell.source)
    words = [word for word in text.split() if re.search(r"\w", word)]
    return len(words) / WORDS_A_MINUTE + pictures * MINUTES_A_FIGURE


def reading_minutes(lesson) -> int:
    """Minutes that the main path takes to read, to the nearest five."""
    minutes = 0.0
    for cell in main_path(lesson):
        minutes += (minutes_of_code if cell.cell_type == "code" else minutes_of_text)(cell)
    return 5 * round(minutes / 5)


def exercise_minutes(lesson) -> int:
    """Minutes of a lesson's exercises, as each states its own."""
    text = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    return sum(map(int, MINUTES.findall(text)))


def stated(lesson) -> tuple[int, int]:
    """Minutes to read and for the exercises, as the header says."""
    found = HEADER.search(lesson.cells[1].source)
    assert found, "cell 1 has no `about 25 minutes to read, 40 for the exercises`"
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_header_states_the_times_that_the_rule_gives(path):
    lesson = nbformat.read(path, as_version=4)
    reading, exercises = stated(lesson)
    assert abs(reading - reading_minutes(lesson)) <= 5, reading_minutes(lesson)
    assert exercises == exercise_minutes(lesson)


def test_words_figures_widgets_and_visible_lines_count_and_the_rest_does_not():
    hidden = "def page():\n    figure(1)\n\nwidget_with_twin(page, page)"
    cells = [
        tiny.text("word " * 1800 + "![seen](picture.png)"),
        tiny.code("figure(1)\n\n" + "x = 1\n" * 11),
        tiny.code(hidden, "plumbing"),
        tiny.code("show(page)\nfinished.show('table1')", "plumbing"),
        tiny.text("The end.\n\n## Exercises\n\n**1. One** (easy, 7 minutes). " + "word " * 1800),
        tiny.code("figure(1)", "solution"),
    ]
    minutes = 10 + 1 + (1 + 1) + 2 + 1  # text, picture, figure and twelve lines, widget, table
    assert reading_minutes(tiny.notebook(*cells)) == 5 * round(minutes / 5)
    assert exercise_minutes(tiny.notebook(*cells)) == 7
    assert sum(map(minutes_of_code, cells[1:4])) == pytest.approx(5)
    assert minutes_of_text(cells[0]) == pytest.approx(11)
