"""Frames: a widget's figures at a grid of its controls' positions, to be moved where no Python runs.

A headless run draws them by the function that the live widget calls, and leaves them in the
executed copy. Pages and decks show them under plain HTML controls (frames.js).
"""

import base64
import io
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from html import escape
from itertools import product
from math import prod
from pathlib import Path
from unittest.mock import patch

import numpy as np

FRAMES = "application/vnd.metabin.frames+json"  # what a headless run leaves of a widget
SCRIPT = Path(__file__).with_name("frames.js").read_text(encoding="utf-8")
MOST = 40  # frames of a widget
DPI = 100
PNG = "data:image/png;base64,"
PLAY = '<button type="button" class="play">▶ play</button>'  # of the slider before it
LETTERS = {"rho": "ρ", "inner_lr": "β", "outer_lr": "γ"}  # of the paper, for names of the code
VISIBLE = 24  # of 255: a change of colour that is seen


@dataclass
class Control:
    """A slider, choice or box: its name, its positions in words, and where it starts."""

    kind: str  # range, select or checkbox
    name: str
    labels: list[str]
    start: int


def frames_of(widget: Callable, shot: Callable, moving: Sequence[str] = ()) -> dict:
    """The frames of what `widget()` makes, an ipywidgets `interactive`, as JSON can hold them.

    `moving` names the arguments that move, else the first two do; the others stay where the widget
    starts. `shot(call)` returns the figures, (picture, width, alt) each, that a call shows.
    """
    from comm import DummyComm
    from ipywidgets import interactive

    # A widget that a kernel knows of would make pages look for its code on the web.
    with patch("comm.create_comm", DummyComm), patch.object(interactive, "update"):
        made = widget()
        by_name = {control._kwarg: control for control in made.kwargs_widgets}
        fixed = {name: control.get_interact_value() for name, control in by_name.items()}
    moving = moving or list(by_name)[:2]
    grid = _grid([by_name[name] for name in moving])
    controls = [_control(by_name[name], values) for name, values in zip(moving, grid, strict=True)]
    frames = []
    for position in product(*grid):
        arguments = fixed | dict(zip(moving, position, strict=True))
        printed = io.StringIO()
        with redirect_stdout(printed):
            figures = shot(lambda arguments=arguments: made.f(**arguments))
        frames.append({"figures": figures, "text": printed.getvalue().rstrip()})
    return {"controls": [asdict(control) for control in controls], "frames": frames}


def _grid(controls: list) -> list[list]:
    """The values at which each control is drawn: fewer of each slider until all fit."""
    for most in [MOST] * (len(controls) == 1) + [5, 3, 1]:  # odd: the middle is there
        grid = [_values(control, most) for control in controls]
        count = prod(map(len, grid))
        if count <= MOST:
            return grid
    raise ValueError(f"{count} frames, more than {MOST}: name fewer in `moving`")


def _values(control, most: int) -> list:
    """What can be chosen; of a slider at most so many values, from end to end, or its own one."""
    choices = [value for _, value in _choices(control)]
    if choices:
        return choices
    count = min(most, round((control.max - control.min) / control.step) + 1)
    if count == 1:
        return [control.value]
    span = (control.max - control.min) / (count - 1)
    digits = None if isinstance(control.value, int) else 6
    return [round(control.min + i * span, digits) for i in range(count)]


def _choices(control) -> list[tuple]:
    """The (label, value) of what can be chosen; nothing for a slider."""
    if isinstance(control.value, bool):
        return [("no", False), ("yes", True)]
    return list(getattr(control, "_options_full", ()))


def _control(control, values: list) -> Control:
    """What HTML needs to know of a control with these values."""
    name = LETTERS.get(control.description, control.description.replace("_", " "))
    choices = _choices(control)
    if choices:
        kind = "checkbox" if isinstance(control.value, bool) else "select"
        labels = [str(label) for label, _ in choices]
        return Control(kind, name, labels, values.index(control.value))
    nearest = min(range(len(values)), key=lambda i: abs(values[i] - control.value))
    return Control("range", name, [f"{value:g}" for value in values], nearest)


def encode(fig) -> tuple[str, int]:
    """A figure as a small picture, and how many pixels of CSS it is wide."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    fig.set_dpi(DPI)
    canvas = FigureCanvasAgg(fig)  # savefig lays out and draws twice
    canvas.draw()
    picture = Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba()))
    return smallest(picture, colours=64, quality=60), round(96 * fig.get_figwidth())


def smallest(picture, colours: int, quality: int) -> str:
    """A picture as an address of data: as a photo, or by few colours, as drawings are best kept.

    Not by few colours where more than a pixel in a thousand would change visibly.
    """
    from PIL import Image

    picture = picture.convert("RGB")
    photo, drawing = io.BytesIO(), io.BytesIO()
    picture.save(photo, "WEBP", quality=quality, method=2)
    few = picture.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few = few.convert("RGB")
    change = np.abs(np.asarray(few, int) - np.asarray(picture, int)).max(-1)  # (H, W)
    if (change > VISIBLE).mean() > 0.001:
        data = photo.getvalue()
    else:
        few.save(drawing, "WEBP", lossless=True, quality=20, method=1)
        data = min(drawing.getvalue(), photo.getvalue(), key=len)
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def shrink(page) -> None:
    """Keep each PNG of a parsed page in the smallest form that looks alike."""
    from PIL import Image

    for image in page("img", src=lambda source: source and source.startswith(PNG)):
        data = base64.b64decode(image["src"].removeprefix(PNG))
        smaller = smallest(Image.open(io.BytesIO(data)), colours=256, quality=80)
        image["src"] = min(image["src"], smaller, key=len)


# ---- in a page or deck ---------------------------------------------------------------------------


def to_html(made: dict) -> str:
    """Controls above all frames, of which the script shows one at a time."""
    controls = [Control(**control) for control in made["controls"]]
    current = 0
    for control in controls:
        current = current * len(control.labels) + control.start
    frames = []
    for number, frame in enumerate(made["frames"]):
        hidden = "" if number == current else " hidden"
        frames.append(f'<div class="frame"{hidden}>{_frame_html(frame)}</div>')
    knobs = [_control_html(control) for control in controls]
    kinds = [control.kind for control in controls]
    if "range" in kinds:
        knobs.insert(kinds.index("range") + 1, PLAY)
    return f'<div class="moving"><div class="knobs">{"".join(knobs)}</div>{"".join(frames)}</div>'


def _frame_html(frame: dict) -> str:
    images = [
        f'<img alt="{escape(alt)}" style="width:{width}px" src="{picture}">'
        for picture, width, alt in frame["figures"]
    ]
    text = f"<pre>{escape(frame['text'])}</pre>" if frame["text"] else ""
    return f"{''.join(images)}{text}"


def _control_html(control: Control) -> str:
    """A control with its label; the script reads its words from `data-labels`."""
    name, labels = escape(control.name), escape(json.dumps(control.labels))
    common = f'data-labels="{labels}" autocomplete="off"'
    if control.kind == "select":
        options = [
            f'<option value="{i}"{" selected" * (i == control.start)}>{escape(label)}</option>'
            for i, label in enumerate(control.labels)
        ]
        return f"<label>{name} <select {common}>{''.join(options)}</select></label>"
    if control.kind == "checkbox":
        checked = " checked" * control.start
        return f'<label><input type="checkbox" {common}{checked}> {name}</label>'
    label = escape(control.labels[control.start])
    return (
        f'<label>{name} <input type="range" min="0" max="{len(control.labels) - 1}" '
        f'value="{control.start}" aria-valuetext="{label}" {common}><output>{label}</output></label>'
    )
