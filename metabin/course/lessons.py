"""The lessons as files: which there are, what they promise, and the copy of one that is run."""

import base64
import copy
import mimetypes
import re
from pathlib import Path

TIME = re.compile(r"^\*\*Time\.\*\* about (\d+(?:\.\d+)?) (s|min)\b", re.MULTILINE)
PICTURE = re.compile(r"!\[([^\]]*)\]\((?![a-z]+:)([^)\s]+)\)")

# Run after the last cell. The system counts in bytes on macOS and in KiB on Linux.
PROBE = """import resource, sys
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))"""


def find_lessons(folder: Path, wanted: str = "") -> list[Path]:
    """The lessons NN_*.ipynb of a folder in order; `wanted` picks some by the beginning of their names ("02,06")."""
    lessons = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not lessons:
        raise ValueError(f"no lesson (NN_name.ipynb) in {folder}")
    starts = wanted.replace(",", " ").split()
    for start in starts:
        if not any(lesson.name.startswith(start) for lesson in lessons):
            raise ValueError(
                f"no lesson begins with {start!r}; there are {', '.join(x.stem for x in lessons)}"
            )
    return [x for x in lessons if not starts or x.name.startswith(tuple(starts))]


def read_notebook(path: Path):
    import nbformat

    return nbformat.read(path, as_version=4)


def tagged(cell, tag: str) -> bool:
    """Whether a notebook's cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def promised_seconds(notebook) -> float | None:
    """The time that the header's line `**Time.** about 40 s` (or `3 min`) states, in seconds."""
    found = TIME.search(notebook.cells[1].source if len(notebook.cells) > 1 else "")
    return float(found[1]) * (60 if found[2] == "min" else 1) if found else None


def working_copy(notebook, folder: Path):
    """What is run: pictures carried inside, exercises to read but not to run, and a last cell that measures memory."""
    import nbformat

    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code" and tagged(cell, "exercise"):
            cell.update(cell_type="markdown", source=f"```python\n{cell.source}\n```")
            del cell["outputs"], cell["execution_count"]
        elif cell.cell_type == "markdown":
            carry_pictures(cell, folder)
    notebook.cells.append(nbformat.v4.new_code_cell(PROBE, metadata={"tags": ["probe"]}))
    return notebook


def carry_pictures(cell, folder: Path) -> None:
    """Turn a markdown cell's pictures from files beside the notebook into attachments, which any copy of it keeps."""

    def attach(found: re.Match) -> str:
        path = folder / found[2]
        if not path.is_file():
            return found[0]
        data = base64.b64encode(path.read_bytes()).decode()
        cell.setdefault("attachments", {})[path.name] = {mimetypes.guess_type(path.name)[0]: data}
        return f"![{found[1]}](attachment:{path.name})"

    cell.source = PICTURE.sub(attach, cell.source)


def executed_copy(lesson: Path, build: Path):
    """The executed copy of a lesson if there is one of the lesson as it stands now and no cell failed in it, else None."""
    path = build / "notebooks" / lesson.name
    if not path.is_file():
        return None
    executed = read_notebook(path)
    if any(
        output.output_type == "error"
        for cell in executed.cells
        for output in cell.get("outputs", [])
    ):
        return None
    wanted, found = (
        [(cell.source, cell.get("attachments", {})) for cell in cells]
        for cells in (
            working_copy(read_notebook(lesson), lesson.parent).cells[:-1],  # without the probe
            [cell for cell in executed.cells if not tagged(cell, "injected-parameters")],
        )
    )
    return executed if wanted == found else None
