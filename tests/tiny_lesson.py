"""A small executed lesson with everything that slides know of."""

import base64

import tiny_notebooks as tiny
from nbformat.v4 import new_output

from metabin.course.frames import FRAMES

SOURCE = 'def eq(x):\n    """Eq. 1.\n\n    x is (N,).\n    """\n    return x\n'
SLIDER = {"kind": "range", "name": "rho", "labels": ["0", "1"], "start": 0}
PICTURES = [
    {"figures": [[f"data:image/webp;base64,{i}", 9, f"At {i}"]], "text": ""} for i in (0, 1)
]
FRAMES_OF_RHO = {FRAMES: {"controls": [SLIDER], "frames": PICTURES}}  # what a widget leaves
LISTING = {  # what show() leaves
    "text/markdown": f"*metabin/a.py, line 7*\n\n```python\n{SOURCE}\n```"
}
FIGURE = {  # what figure() leaves
    "text/html": '<figure><img alt="A line" style="width:9px" '
    f'src="data:image/png;base64,{base64.b64encode(tiny.PNG).decode()}"></figure>'
}


def print_of(text: str):
    return new_output("stream", name="stdout", text=f"{text}\n")


def cell(source: str, *outputs, tags=()):
    made = tiny.code(source, *tags)
    made.outputs = list(outputs)
    return made


def executed():
    made = tiny.notebook(
        tiny.text("# 03 A layer\n\n![A grey pixel](attachment:p.png)\n\n**The question:** does it work?"),
        tiny.text("**Goals.** After this lesson you can\n- see it;\n- say it.\n\n**Time.** about 40 s"),
        tiny.code(tiny.PARAMETERS, "parameters"),
        cell("import torch", print_of("left out: before the first heading, 1")),
        tiny.text("## First part\n\nThis leads to it, does it not? More, that is spoken.\n\nAnd now a figure follows here."),
        cell("figure(draw(), 'A line')", new_output("display_data", FIGURE)),
        tiny.text("The line is straight, as Eq. 1 says. It could have been otherwise.\n\n**Predict before:** what then?"),
        cell("print(2)", print_of("BN: 2\nIN: 3\nBIN: 4\nMetaBIN: 5")),
        tiny.text("## Second part\n\n> We do it.\n\n$$y = x \\qquad (1)$$\n\nwhere x is given. See [lesson 02](02_x.ipynb)."),
        cell(SOURCE, tags=("spec",)),
        cell("show(eq)", new_output("display_data", LISTING), print_of("equal; 3 ms")),
        tiny.text("> **Choice (D1).** Not for a wall.\n\n## What you learned\n\n- It works.\n\n## Exercises\n\n"
                  "**1. Twice** (easy, 5 minutes). Write it. All of it."),
        cell("cases = {1: (1,)}"),
        tiny.text(f"```python\n{tiny.STUB}\n```"),
        cell(tiny.SOLUTION, print_of("right 1"), tags=("solution",)),
        tiny.text("## Further reading\n\n- A book, [here](https://a.book).\n\n## Appendix\n\n- Details."),
    )  # fmt: skip
    made.cells[0]["attachments"] = {"p.png": {"image/png": "AA=="}}
    made.cells[13].metadata["tags"] = ["exercise"]
    return made
