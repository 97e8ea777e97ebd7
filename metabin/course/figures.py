"""What a notebook shows: figures with alt text, widgets with a twin, a training that runs."""

import base64
import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

from IPython import get_ipython
from IPython.display import display

from metabin.course.answers import is_live
from metabin.course.frames import FRAMES, encode, frames_of

_shots: list[list] = []  # where figures go while a widget's frames are made


def publish(bundle: dict) -> None:
    """Give the notebook every form of one output; outside a notebook, print the plain one."""
    if get_ipython() is not None:
        display(bundle, raw=True)
    elif "text/plain" in bundle:
        print(bundle["text/plain"])


def figure(fig, alt: str) -> None:
    """Show a matplotlib figure with its alt text, which exporters drop otherwise, and close it."""
    from matplotlib import pyplot as plt

    if not alt.strip():
        raise ValueError("a figure needs an alt text: say in one sentence what can be seen in it")
    if _shots:
        _shots[-1].append((*encode(fig), alt))
    else:
        publish({"text/html": _figure_html(fig, alt), "text/plain": f"[figure: {alt}]"})
    plt.close(fig)


def _figure_html(fig, alt: str) -> str:
    picture = base64.b64encode(_png(fig)).decode()
    text, width = escape(alt), f"{96 * fig.get_figwidth():.0f}px"
    image = (
        f'<img alt="{text}" style="width:{width};max-width:100%" '
        f'src="data:image/png;base64,{picture}">'
    )
    return f'<figure role="img" aria-label="{text}" style="margin:0">{image}</figure>'


def _png(fig) -> bytes:
    """A figure as PNG: sharp when projected, coarser where somebody moves a slider and waits."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    if is_live():
        fig.set_dpi(144)
        canvas = FigureCanvasAgg(fig)  # savefig lays out and draws twice
        canvas.print_png(buffer, pil_kwargs={"compress_level": 1})
    else:
        fig.savefig(buffer, format="png", dpi=192)
    return buffer.getvalue()


def widget_with_twin(
    widget: Callable[[], object], twin: Callable[[], None], moving: Sequence[str] = ()
) -> None:
    """Show a widget where somebody can move it, and always its static twin.

    Headless, the widget leaves frames, with which pages and decks move: pictures for a grid of the
    arguments called `moving`, the first two where none is named.
    """
    if is_live():
        controls = widget()
        _widen(controls)
        display(controls)
    elif get_ipython() is not None:
        publish({FRAMES: frames_of(widget, _shoot, moving)})
    twin()


def _shoot(call: Callable[[], None]) -> list:
    """The figures that a call would show, small."""
    _shots.append([])
    try:
        call()
    finally:
        figures = _shots.pop()
    return figures


def _widen(widget) -> None:
    """Make room for the whole name of every control of a widget."""
    for child in getattr(widget, "children", ()):
        _widen(child)
        if getattr(child, "description", ""):
            child.style.description_width = "9em"
            child.layout.width = "28em"


def follow(steps: Iterable, total: int, draw: Callable | None = None, every: int = 20) -> Iterator:
    """Pass the steps of a training on; show progress and `draw()` where somebody watches.

    At the end, headless too, one line says how long it took.
    """
    handle = display({"text/plain": "starting …"}, raw=True, display_id=True) if is_live() else None
    started, count = time.monotonic(), 0
    try:
        for count, step in enumerate(steps, 1):
            yield step
            if handle and (count % every == 0 or count == total):
                pace = (time.monotonic() - started) / count
                text = f"step {count} of {total}, {pace:.2f} s each, "
                text += f"{pace * (total - count):.0f} s to go"
                html = f"<p>{text}</p>{_drawn(draw, text)}"
                handle.update({"text/html": html, "text/plain": text}, raw=True)
    finally:
        seconds = time.monotonic() - started
        print(f"{count} steps in {seconds:.0f} s, {seconds / max(count, 1):.2f} s each")


def _drawn(draw: Callable | None, alt: str) -> str:
    from matplotlib import pyplot as plt

    if draw is None:
        return ""
    fig = draw()
    html = _figure_html(fig, alt)
    plt.close(fig)
    return html
