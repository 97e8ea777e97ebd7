"""The lessons as files: which there are, what they promise, and the copy of one that is run."""

import base64
import copy
import json
import mimetypes
import re
from pathlib import Path

TIME = re.compile(r"^\*\*Time\.\*\* about (\d+(?:\.\d+)?) (s|min)\b", re.MULTILINE)
PICTURE = re.compile(r"!\[([^\]]*)\]\((?![a-z]+:)([^)\s]+)\)")

# Run after the last cell. The system counts in bytes on macOS and in KiB on Linux.
PROBE = """import resource, sys
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)"""


def find_lessons(folder: Path, wanted: str = "") -> list[Path]:
    """The lessons NN_*.ipynb of a folder in order.

    `wanted` picks some by their numbers ("6", "02,06") or by the beginnings of their names.
    """
    lessons = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not lessons:
        raise ValueError(f"no lesson (NN_name.ipynb) in {folder}")
    words = wanted.replace(",", " ").split()
    picked = set()
    for word in words:
        start = f"{int(word):02}_" if word.isdecimal() else word
        chosen = [lesson for lesson in lessons if lesson.name.startswith(start)]
        if not chosen:
            names = ", ".join(lesson.stem for lesson in lessons)
            raise ValueError(f"no lesson {word!r}; there are {names}")
        picked.update(chosen)
    return [lesson for lesson in lessons if lesson in picked or not words]


def read_notebook(path: Path):
    import nbformat

    return nbformat.read(path, as_version=4)


def title_of(path: Path) -> str:
    """A lesson's title with its number."""
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
    return "".join(first["source"]).partition("\n")[0].lstrip("# ")


def tagged(cell, tag: str) -> bool:
    """Whether a notebook's cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def promised_seconds(notebook) -> float | None:
    """The seconds that the header's line `**Time.** about 40 s` (or `3 min`) states."""
    time = TIME.search(notebook.cells[1].source) if len(notebook.cells) > 1 else None
    if time is None:
        return None
    return float(time[1]) * (60 if time[2] == "min" else 1)


def working_copy(notebook, folder: Path):
    """The notebook that is run: pictures inside, exercises as text, memory measured at the end."""
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
    """Turn a markdown cell's pictures from files into attachments, which any copy keeps."""

    def attach(link: re.Match) -> str:
        path = folder / link[2]
        if not path.is_file():
            return link[0]
        data = base64.b64encode(path.read_bytes()).decode()
        cell.setdefault("attachments", {})[path.name] = {mimetypes.guess_type(path.name)[0]: data}
        return f"![{link[1]}](attachment:{path.name})"

    cell.source = PICTURE.sub(attach, cell.source)


def executed_copy(lesson: Path, build: Path):
    """The executed copy of a lesson, or None if it failed or the lesson has changed since."""
    path = build / "notebooks" / lesson.name
    if not path.is_file():
        return None
    executed = read_notebook(path)
    for cell in executed.cells:
        if any(output.output_type == "error" for output in cell.get("outputs", [])):
            return None
    today = working_copy(read_notebook(lesson), lesson.parent)
    return executed if _content(executed) == _content(today) else None


def _content(notebook) -> list[tuple]:
    """The cells that somebody wrote: source and pictures of each."""
    cells = []
    for cell in notebook.cells:
        if not tagged(cell, "probe") and not tagged(cell, "injected-parameters"):
            cells.append(cell)
    return [(cell.source, cell.get("attachments", {})) for cell in cells]
