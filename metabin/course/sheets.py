"""Exercise sheets: a lesson's exercises with just the code that they need, for students and, solved, for teachers."""

import copy
import re
from pathlib import Path

from metabin.course.lessons import carry_pictures, read_notebook, tagged
from metabin.course.slices import needed_code

MINUTES = re.compile(r"^\*\*\d+\. .+?\*\* \([^)]*?(\d+) minutes\)", re.MULTILINE)
LINK = re.compile(r"\]\((?=[\w.-]+\.(?:ipynb|md)\b)")  # to a file beside the lesson


def write_sheets(lesson: Path, folder: Path) -> list[Path]:
    """Write the student's and the teacher's sheet of a lesson, each as a notebook and as a page; returns the paths."""
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
    """A lesson's exercises as a notebook of their own, which runs by itself: stubs and checks, or solutions and checks."""
    import nbformat

    notebook = read_notebook(lesson)
    before, exercises = parted(notebook)
    kept = [cell for cell in exercises if not tagged(cell, "exercise" if solved else "solution")]
    wanted = [
        cell.source for cell in exercises if cell.cell_type == "code"
    ]  # the same set-up on both sheets
    new = nbformat.v4
    cells = [new.new_markdown_cell(head(notebook, exercises, solved))]
    cells += [
        new.new_code_cell(source)
        for source in needed_code([cell.source for cell in before], wanted)
    ]
    for cell in kept:
        cell = copy.deepcopy(cell)
        if cell.cell_type == "markdown":
            carry_pictures(cell, lesson.parent)
            cell.source = LINK.sub("](../../notebooks/", cell.source)
        cells.append(cell)
    sheet = new.new_notebook(cells=cells, metadata=notebook.metadata)
    for number, cell in enumerate(sheet.cells):
        cell.id = f"cell-{number}"  # the same file from the same lesson
    return sheet


def parted(notebook) -> tuple[list, list]:
    """The code cells before a lesson's exercises, and the cells of the exercises."""
    before, exercises, within = [], [], False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            _, found, behind = cell.source.partition("## Exercises")
            text, ended, _ = (behind if found else cell.source).partition("## Further reading")
            within = within or bool(found)
            if within and text.strip():
                exercises.append(copy.deepcopy(cell))
                exercises[-1].source = text.strip()
            if within and ended:
                break
        else:
            (exercises if within else before).append(cell)
    return before, exercises


def head(notebook, exercises: list, solved: bool) -> str:
    """The top of a sheet: which lesson, how long, how it is worked on."""
    title = notebook.cells[0].source.partition("\n")[0].lstrip("# ")
    minutes = sum(int(m) for cell in exercises for m in MINUTES.findall(cell.source))
    if solved:
        how = "The teacher's copy. Every solution goes through the check that the student's answer goes through."
    else:
        how = (
            "Each exercise is a function that raises `NotImplementedError`: write it in its place and run the cell again. "
            "`check` says what is not right yet, or ✓."
        )
    return f"# Exercises{' and solutions' if solved else ''}: lesson {title}\n\n**Time.** about {minutes} minutes. {how}\n\nRun first what the exercises need from the lesson:"
