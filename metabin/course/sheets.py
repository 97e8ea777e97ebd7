"""Exercise sheets: a lesson's exercises with the cells that they need, for students and teachers.

A lesson's cell with the tag `for_exercises` is one that its exercises need.
"""

import copy
import re
from pathlib import Path

from metabin.course.lessons import carry_pictures, read_notebook, tagged

MINUTES = re.compile(r"^\*\*\d+\. .+?\*\* \([^)]*?(\d+) minutes\)", re.MULTILINE)
LINK = re.compile(r"\]\((?=[\w.-]+\.(?:ipynb|md)\b)")  # to a file beside the lesson
TEACHER = "The teacher's copy. Every solution goes through the check of the student's answer."
STUDENT = """Each exercise is a function that raises `NotImplementedError`: write it in its place \
and run the cell again. `check` says what is not right yet, or ✓."""


def write_sheets(lesson: Path, folder: Path) -> list[Path]:
    """Write the student's and the teacher's sheet of a lesson, each as a notebook and as a page."""
    import nbformat

    from metabin.course.pages import to_page

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, solved in ((lesson.stem, False), (f"{lesson.stem}_solutions", True)):
        sheet = sheet_of(lesson, solved)
        notebook, page = folder / f"{name}.ipynb", folder / f"{name}.html"
        nbformat.write(sheet, notebook)
        page.write_text(to_page(sheet, name, folded=False), encoding="utf-8")
        written += [notebook, page]
    return written


def sheet_of(lesson: Path, solved: bool):
    """A lesson's exercises as a notebook that runs by itself: stubs or solutions, and checks."""
    from nbformat.v4 import new_markdown_cell, new_notebook

    notebook = read_notebook(lesson)
    exercises = exercise_cells(notebook)
    cells = [new_markdown_cell(heading(notebook, exercises, solved))]
    for cell in notebook.cells:
        if tagged(cell, "for_exercises") or tagged(cell, "parameters"):
            cell.metadata["jupyter"] = {"source_hidden": True}  # one click away in JupyterLab
            cells.append(cell)
    for cell in exercises:
        if tagged(cell, "exercise" if solved else "solution"):
            continue
        if cell.cell_type == "markdown":
            carry_pictures(cell, lesson.parent)
            cell.source = LINK.sub("](../../notebooks/", cell.source)
        cells.append(cell)
    sheet = new_notebook(cells=cells, metadata=notebook.metadata)
    for number, cell in enumerate(sheet.cells):
        cell.id = f"cell-{number}"  # the same file from the same lesson
    return sheet


def exercise_cells(notebook) -> list:
    """Copies of the cells between the headings Exercises and Further reading."""
    cells, within = [], False
    for cell in copy.deepcopy(notebook.cells):
        if cell.cell_type == "markdown":
            before, begins, after = cell.source.partition("## Exercises")
            within = within or bool(begins)
            text, ends, _ = (after if begins else before).partition("## Further reading")
            cell.source = text.strip()
            if within and cell.source:
                cells.append(cell)
            if within and ends:
                break
        elif within:
            cells.append(cell)
    return cells


def heading(notebook, exercises: list, solved: bool) -> str:
    """The top of a sheet: which lesson, how long, how it is worked on."""
    title = notebook.cells[0].source.partition("\n")[0].lstrip("# ")
    what = "Exercises and solutions" if solved else "Exercises"
    how = TEACHER if solved else STUDENT
    text = "\n".join(cell.source for cell in exercises)
    minutes = sum(map(int, MINUTES.findall(text)))
    time = f"**Time.** about {minutes} minutes. {how}"
    return f"# {what}: lesson {title}\n\n{time}\n\nRun first what the exercises need:"
