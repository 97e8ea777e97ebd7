"""The rules that every lesson keeps (and that break on purpose here), and every lesson run by papermill."""

import ast
import copy
import re
from pathlib import Path

import nbformat
import pytest
import tiny_notebooks as tiny
from bs4 import BeautifulSoup
from nbconvert.filters.markdown_mistune import MarkdownWithMath
from wrong_answers import WRONG_ANSWERS

from metabin.course import runner
from metabin.course.lessons import promised_seconds, tagged
from metabin.course.pages import Renderer
from metabin.course.parameters import declared_parameters, values_for

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
ENDING = ["What you learned", "Exercises", "Further reading"]
# Errors of an answer that does not run; others can be what a plausible mistake leads to.
BROKEN_ANSWER = ("NameError", "AttributeError", "TypeError", "ImportError", "IndexError")
TAGS = {"parameters", "spec", "exercise", "solution", "for_exercises", "plumbing"}


def problems(path: Path) -> list[str]:
    """Everything in a lesson that breaks a rule of the course."""
    lesson = nbformat.read(path, as_version=4)
    if len(lesson.cells) < 4 or any(cell.cell_type != "markdown" for cell in lesson.cells[:2]):
        return ["does not begin with two cells of text"]
    rules = (head, parameters, prose, committed_bare, ending, exercises, source)
    found = [problem for rule in rules for problem in rule(lesson, path)]
    if path.stat().st_size > 60 * 1024:
        found.append("is larger than 60 KB")
    return found


def texts(lesson) -> str:
    return "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")


def head(lesson, path):
    title, header = lesson.cells[0].source, lesson.cells[1].source
    if not re.match(rf"# {path.name[:2]} \S", title):
        yield f"cell 0 does not begin with `# {path.name[:2]} Title`"
    if not pictures(title):
        yield "cell 0 has no teaser"
    if "?" not in title:
        yield "cell 0 asks no question"
    for word in ("Goals", "Before you start", "Time", "Paper"):
        if not re.search(rf"^\*\*{word}\.\*\*", header, re.MULTILINE):
            yield f"cell 1 has no line **{word}.**"
    if promised_seconds(lesson) is None:
        yield "cell 1 does not state the time as `**Time.** about 40 s` or `about 3 min`"


def parameters(lesson, path):
    if not tagged(lesson.cells[2], "parameters"):
        yield "cell 2 does not have the tag 'parameters'"
    try:
        declared = declared_parameters(lesson)
    except (ValueError, SyntaxError) as error:
        yield f"parameters: {error}"
        return
    for name in {"profile", "seed"} - set(declared):
        yield f"takes no {name}"
    if "profile" in declared and "demo" not in declared["profile"].choices:
        yield 'does not take profile "demo"'


def pictures(text: str) -> list[tuple[str, str]]:
    """Alt text and address of every picture in a text."""
    return re.findall(r"!\[([^\]]*)\]\(([^)\s]*)\)", text)


def prose(lesson, path):
    for alt, address in pictures(texts(lesson)):
        if not alt.strip():
            yield f"picture {address} has no alt text"
        if not address.startswith("attachment:") and not (path.parent / address).is_file():
            yield f"picture {address} is not there"
    if "<img" in texts(lesson):
        yield "a picture is written as <img>: only ![what is seen](file) is carried by executed copies and pages"
    html = MarkdownWithMath(renderer=Renderer(escape=False)).render(
        re.sub(r"\(attachment:[^)]*\)", "()", texts(lesson))
    )
    for formula in BeautifulSoup(html, "html.parser")("math"):
        if "\\" in formula.get_text() or "&" in formula.get_text():
            yield f"formula that can't be drawn: {formula.get_text()}"
    early = lesson.cells[4:9]  # cell 3 sets up
    if not any(
        "figure(" in cell.source or "widget_with_twin(" in cell.source or pictures(cell.source)
        for cell in early
    ):
        yield "shows no picture within five cells after the set-up"


def committed_bare(lesson, path):
    try:
        nbformat.validate(lesson)
    except nbformat.ValidationError as error:
        yield f"is not a valid notebook: {error.message}"
    if lesson.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel's name is not python3"
    if lesson.metadata.get("widgets"):
        yield "holds the state of widgets"
    if any(cell.get("outputs") for cell in lesson.cells):
        yield "has outputs"
    if any(cell.get("execution_count") for cell in lesson.cells):
        yield "has execution counts"


def ending(lesson, path):
    found = re.findall(rf"^(?:## |\*\*)({'|'.join(ENDING)})\b", texts(lesson), re.MULTILINE)
    if found != ENDING:
        yield f"does not end with {', '.join(ENDING)}, once each and in this order"


def exercises(lesson, path):
    kinds = [tag for cell in lesson.cells for tag in ("exercise", "solution") if tagged(cell, tag)]
    if not kinds or kinds != ["exercise", "solution"] * (len(kinds) // 2):
        yield "exercises and solutions do not follow each other in pairs"
    for cell in lesson.cells:
        if (
            tagged(cell, "exercise")
            and "NotImplementedError" not in cell.source
            and "..." not in cell.source
        ):
            yield "an exercise has no stub"
        if (tagged(cell, "exercise") or tagged(cell, "solution")) and "check(" not in cell.source:
            yield "an exercise or a solution is not checked"


def source(lesson, path):
    for number, cell in enumerate(lesson.cells):
        for tag in set(cell.metadata.get("tags", [])) - TAGS:
            yield f"cell {number} has the unknown tag {tag!r}"
        if cell.cell_type != "code":
            continue
        if len(cell.source.splitlines()) > 25:
            yield f"cell {number} has more than 25 lines"
        if re.search(r"^\s*[!%]", cell.source, re.MULTILINE):
            yield f"cell {number} calls the shell or a magic"
        elif tagged(cell, "spec") and not any(
            isinstance(node, ast.FunctionDef) for node in ast.parse(cell.source).body
        ):
            yield f"cell {number} has the tag 'spec' but defines no function"


# ---- the rules themselves ------------------------------------------------------------------------------------------


def test_a_lesson_that_keeps_the_rules_has_no_problem(tmp_path):
    assert problems(tiny.write(tmp_path, "01_small.ipynb", tiny.good_lesson())) == []


def change(index: int, old: str, new: str):
    """A way to break a lesson: other words in one cell."""

    def broken(lesson):
        assert old in lesson.cells[index].source
        lesson.cells[index].source = lesson.cells[index].source.replace(old, new)

    return broken


def tag(index: int, *tags: str):
    return lambda lesson: lesson.cells[index].metadata.update(tags=list(tags))


def ran(lesson):
    lesson.cells[5].update(
        execution_count=1, outputs=[nbformat.v4.new_output("stream", text="1\n")]
    )


BROKEN = {
    "cell 0 does not begin with `# 01 Title`": change(0, "# 01", "# 02"),
    "cell 0 has no teaser": change(0, "![A grey pixel](teaser.png)", ""),
    "cell 0 asks no question": change(0, "?", "."),
    "cell 1 has no line **Before you start.**": change(1, "**Before you start.**", "Before:"),
    "cell 1 does not state the time": change(1, "about 40 s", "soon"),
    "cell 2 does not have the tag 'parameters'": lambda lesson: lesson.cells.insert(
        2, tiny.text("more")
    ),
    "parameters: one cell must have the tag": tag(3, "parameters"),
    "takes no seed": change(2, "seed: int = 0\n", ""),
    'does not take profile "demo"': change(2, '  # "demo" or "gpu"', ""),
    "picture teaser.png has no alt text": change(0, "A grey pixel", ""),
    "picture away.png is not there": change(4, "(teaser.png)", "(away.png)"),
    "picture https://a.b/c.png is not there": change(4, "(teaser.png)", "(https://a.b/c.png)"),
    "a picture is written as <img>": change(4, "and", '<img src="teaser.png" alt="A pixel"> and'),
    "formula that can't be drawn": change(4, r"\hat{x}", r"\unheardof{x}"),
    "shows no picture within five cells": change(4, "![A pixel again](teaser.png)", ""),
    "is not a valid notebook": lambda lesson: (
        lesson.cells[4].update(id="the same") or lesson.cells[5].update(id="the same")
    ),
    "the kernel's name is not python3": lambda lesson: lesson.metadata.kernelspec.update(
        name="mine"
    ),
    "holds the state of widgets": lambda lesson: lesson.metadata.update(widgets={"a": {}}),
    "has outputs": ran,
    "has execution counts": ran,
    "does not end with What you learned": change(6, "## What you learned", "## Summary"),
    "exercises and solutions do not follow each other": tag(8),
    "an exercise has no stub": change(7, "raise NotImplementedError", "return 2 * x"),
    "an exercise or a solution is not checked": change(8, "check(", "print("),
    "cell 5 has more than 25 lines": change(5, "record", "\n" * 25 + "record"),
    "cell 3 calls the shell or a magic": change(3, "from", "!ls\nfrom"),
    "cell 3 has the tag 'spec' but defines no function": tag(3, "spec"),
    "cell 3 has the unknown tag 'spek'": tag(3, "spek"),
    "is larger than 60 KB": change(4, "and", "and " * 20_000),
    "does not begin with two cells of text": lambda lesson: lesson.cells.pop(1),
}


@pytest.mark.filterwarnings("ignore")  # nbformat warns of what is broken here on purpose
@pytest.mark.parametrize("problem", BROKEN)
def test_a_broken_rule_is_noticed_and_named(tmp_path, problem):
    lesson = tiny.good_lesson()
    BROKEN[problem](lesson)
    path = tiny.write(tmp_path, "01_small.ipynb", tiny.notebook())
    path.write_text(nbformat.v4.writes(lesson))  # as it is: nbformat.write would refuse or mend it
    assert [found for found in problems(path) if found.startswith(problem)]


# ---- the lessons ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_keeps_the_rules(path):
    assert problems(path) == []


def test_lessons_are_numbered_once_each():
    numbers = [path.name[:2] for path in LESSONS]
    assert len(numbers) == len(set(numbers))
    stray = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb") if path not in LESSONS)
    assert stray == [], "a lesson's name is NN_name.ipynb"


def solutions(lesson) -> list[int]:
    """Where the solutions stand, in order."""
    return [number for number, cell in enumerate(lesson.cells) if tagged(cell, "solution")]


def functions(source: str) -> list[str]:
    return [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]


def wrong_answers(lesson: str, exercise: int) -> list[str]:
    return [answer for key, answer in WRONG_ANSWERS.items() if key[:2] == (lesson, exercise)]


def trap(answer: str, solution: str) -> str:
    """A cell that gives a wrong answer to a solution's own check, which has to say what is wrong, and takes it back."""
    (check,) = [
        ast.unparse(node)
        for node in ast.parse(solution).body
        if ast.unparse(node).startswith("check(")
    ]
    (name,) = functions(answer)
    return (
        f"right_answer = {name}\n{answer}\ntry:\n    {check}\nexcept AssertionError as error:\n"
        "    complaint = f'{type(error).__name__}: {error}'\n"
        "else:\n    complaint = 'it passed'\n"
        "assert complaint.startswith('CheckFailed'), complaint\n"
        f"assert not any(' raised ' + kind in complaint for kind in {BROKEN_ANSWER}), complaint\n"
        f"{name} = right_answer"
    )


def with_wrong_answers(path: Path, folder: Path) -> Path:
    """A copy of a lesson in which every solution is followed by a wrong answer to the same check."""
    lesson = copy.deepcopy(nbformat.read(path, as_version=4))
    for exercise, place in reversed(list(enumerate(solutions(lesson), 1))):
        for answer in wrong_answers(path.name[:2], exercise):
            lesson.cells.insert(place + 1, tiny.code(trap(answer, lesson.cells[place].source)))
    (folder / "figures").symlink_to(NOTEBOOKS.parent / "figures")
    (folder / "notebooks").mkdir()
    nbformat.write(lesson, folder / "notebooks" / path.name)
    return folder / "notebooks" / path.name


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_there_is_a_wrong_answer_to_every_exercise_and_it_is_to_that_one(path):
    lesson = nbformat.read(path, as_version=4)
    asked = {
        (path.name[:2], number + 1): lesson.cells[place].source
        for number, place in enumerate(solutions(lesson))
    }
    assert asked.keys() == {key for key in WRONG_ANSWERS if key[0] == path.name[:2] and not key[2:]}
    for key, answer in WRONG_ANSWERS.items():
        if key[0] == path.name[:2]:
            assert set(functions(answer)) <= set(functions(asked[key[:2]])), key


def test_a_wrong_answer_that_passes_or_breaks_is_noticed():
    right = "def double(x):\n    return x + x\n\ncheck(double, lambda x: 2 * x, {'two': (2,), 'three': (3,)})"
    for answer, complaint in {
        "return x * x": None,
        "return 2 * x": "it passed",
        "return x.doubled": "raised AttributeError",
    }.items():
        names = {}
        exec(f"from metabin.course.lesson import check\n{right}", names)
        if complaint:
            with pytest.raises(AssertionError, match=complaint):
                exec(trap(f"def double(x):\n    {answer}", right), names)
        else:
            exec(trap(f"def double(x):\n    {answer}", right), names)
            assert names["double"](5) == 10, "the right answer is back"


@pytest.mark.lesson
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs_wrong_answers_fail_and_its_page_shows_every_picture(path, tmp_path, capsys):
    lesson = with_wrong_answers(path, tmp_path)
    code = runner.run(values_for([lesson], {"profile": "demo", "seed": 0}, {}), tmp_path / "build")
    assert code == 0, capsys.readouterr().out
    page = BeautifulSoup(
        (tmp_path / "build" / "html" / f"{path.stem}.html").read_text(encoding="utf-8"),
        "html.parser",
    )
    assert not page("script", src=True), "a page needs nothing from the web"
    for image in page("img"):
        assert image["src"].startswith("data:image/"), image["src"][:80]
        assert image["alt"] not in ("", "No description has been provided for this image"), (
            "a figure without alt text"
        )
    for link in page.find("main")("a", href=re.compile(r"^[^#:]+$")):
        name = link["href"].partition(".html")[0]
        assert list(path.parent.glob(f"{name}.*")), link["href"]
