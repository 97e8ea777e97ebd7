"""Small notebooks that tests build, break and run."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PNG = bytes.fromhex(  # one grey pixel
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000"
    "000a4944415478da6368000000820081da45083b0000000049454e44ae426082"
)
HEADER = "**Goals.** See it.\n\n**Before you start.** Nothing.\n\n**Time.** about 40 s\n\n**Paper.** Section 3.1, Eq. 1"
PARAMETERS = 'profile: str = "demo"  # "demo" or "gpu"\nseed: int = 0\nlr: float = 0.1'
ENDING = "## What you learned\n\nThat it runs.\n\n## Exercises\n\n1. Easy, 2 minutes."
STUB = "def double(x):\n    raise NotImplementedError\n\ncheck(double, lambda x: 2 * x, cases)"
SOLUTION = "check(lambda x: x + x, lambda x: 2 * x, cases)"


def code(source: str, *tags: str):
    return new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def text(source: str):
    return new_markdown_cell(source)


def notebook(*cells):
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return new_notebook(cells=list(cells), metadata={"kernelspec": kernel})


def good_lesson():
    """A lesson that keeps every rule of the course."""
    return notebook(
        text("# 01 Small\n\n![A grey pixel](teaser.png)\n\nDoes it run?"),
        text(HEADER),
        code(PARAMETERS, "parameters"),
        code("from metabin.course.lesson import check, record"),
        text(
            r"Eq. 1 is $\hat{x}_B$ and"
            + "\n\n$$y = \\rho x + (1 - \\rho)\\,z$$\n\n![A pixel again](teaser.png)"
        ),
        code('record("lr", lr)\ncases = {"one": (1,)}'),
        text(ENDING),
        code(STUB, "exercise"),
        code(SOLUTION, "solution"),
        text("## Further reading\n\nThe [next lesson](02_next.ipynb)."),
    )


def write(folder: Path, name: str, content) -> Path:
    """Put a notebook and the picture that it shows into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "teaser.png").write_bytes(PNG)
    nbformat.write(content, folder / name)
    return folder / name
