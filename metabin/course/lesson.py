"""What a notebook needs: the package's real source, figures with alt text, recorded results."""

import base64
import gc
import inspect
import io
import json
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from IPython import get_ipython
from IPython.display import display

from metabin.course.answers import check as check  # lessons import all helpers from here
from metabin.course.answers import is_live
from metabin.course.frames import FRAMES, encode, frames_of

RECORD = "application/vnd.metabin.record+json"  # what record() leaves and the runner reads
PACKAGE = Path(__file__).resolve().parents[1]
_shots: list[list] = []  # where figures go while a widget's frames are made


def repo_root() -> Path:
    """The folder of this checkout, wherever a notebook runs."""
    if not (PACKAGE.parent / "pyproject.toml").is_file():
        raise FileNotFoundError(
            "the lessons need a checkout of this repository: clone it and install it by -e '.[all]'"
        )
    return PACKAGE.parent


def _publish(bundle: dict) -> None:
    """Give the notebook every form of one output; outside a notebook, print the plain one."""
    if get_ipython() is not None:
        display(bundle, raw=True)
    elif "text/plain" in bundle:
        print(bundle["text/plain"])


def setup() -> None:
    """Draw in the house style, at the size that the style says."""
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    from metabin.plotting import use_style  # not at the top: it imports torch

    use_style()
    if get_ipython() is not None:
        set_matplotlib_formats("png", bbox_inches=None)  # else every figure is cropped
        gc.freeze()  # else the collector walks through all of torch after every few figures


def show(thing: Callable | type) -> None:
    """Show the source of a function or class of the package, with its file and first line."""
    thing = inspect.unwrap(thing)
    try:
        lines, first = inspect.getsourcelines(thing)
        file = Path(inspect.getsourcefile(thing))
    except (TypeError, OSError):
        raise TypeError(
            f"show() takes a function or a class written in Python, not {thing!r}"
        ) from None
    if file.is_relative_to(PACKAGE):
        module = file.relative_to(PACKAGE.parent)
    else:
        module = "this notebook" if thing.__module__ == "__main__" else thing.__module__
    source = textwrap.dedent("".join(lines)).rstrip()
    fence = "`" * (8 if "```" in source else 3)
    markdown = f"*{module}, line {first}*\n\n{fence}python\n{source}\n{fence}"
    _publish({"text/markdown": markdown, "text/plain": f"# {module}, line {first}\n{source}"})


def agree(loops: Callable, package: Callable, *arguments, tolerance: float = 1e-9) -> None:
    """Insist that a lesson's loops and the package give the same, and print how long each takes.

    Numbers, tensors or tuples of tensors. Raises AssertionError where they differ by more than
    `tolerance`, absolute and relative.
    """
    from torch.testing import assert_close  # not at the top: it imports torch

    package(*arguments)  # the first call is never the fastest
    slow, slow_ms = _timed(loops, arguments)
    fast, fast_ms = _timed(package, arguments)
    found = float(fast) if isinstance(slow, float) else fast
    assert_close(found, slow, rtol=tolerance, atol=tolerance)
    print(f"equal; the loops take {slow_ms:.1f} ms, the fast version {fast_ms:.2f} ms")


def _timed(work: Callable, arguments: tuple) -> tuple[object, float]:
    """What a call gives, and the milliseconds that it takes."""
    started = time.perf_counter()
    return work(*arguments), 1000 * (time.perf_counter() - started)


# ---- figures -------------------------------------------------------------------------------------


def figure(fig, alt: str) -> None:
    """Show a matplotlib figure with its alt text, which exporters drop otherwise, and close it."""
    from matplotlib import pyplot as plt

    if not alt.strip():
        raise ValueError("a figure needs an alt text: say in one sentence what can be seen in it")
    if _shots:
        _shots[-1].append((*encode(fig), alt))
    else:
        _publish({"text/html": _figure_html(fig, alt), "text/plain": f"[figure: {alt}]"})
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
        _publish({FRAMES: frames_of(widget, _shoot, moving)})
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


# ---- results -------------------------------------------------------------------------------------


def record(name: str, value, unit: str = "", meaning: str = "") -> None:
    """Keep a result in the executed notebook, where the runner collects it; shows nothing.

    A number, text, list, dict, array or tensor. The units "%" and "points" are for shares and their
    differences: 0.5 is told as 50. The runner prints the results that have a meaning, a few words.
    """
    plain = value.tolist() if hasattr(value, "tolist") else value
    try:
        json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"record({name!r}): {error}") from None
    _publish({RECORD: {"name": name, "value": plain, "unit": unit, "meaning": meaning}})


def report_interval(
    name: str, estimate: float, interval: tuple[float, float], unit: str = "", label: str = ""
) -> None:
    """Print an estimate with its 95 % confidence interval, and record it; its label is its meaning."""
    low, high = interval
    result = {"estimate": float(estimate), "low": float(low), "high": float(high)}
    print(f"{label or name}: {brief(result, unit)}")
    record(name, result, unit, label)


def brief(value, unit: str = "") -> str:
    """A result in one line: rounded, with its unit; a long one by its size."""
    if isinstance(value, dict) and value.keys() == {"estimate", "low", "high"}:
        estimate, low, high = (_rounded(value[key], unit) for key in ("estimate", "low", "high"))
        return f"{estimate} {unit}".rstrip() + f", 95 % CI [{low}, {high}]"
    text = _rounded(value, unit)
    if len(text) > 64 and isinstance(value, list | dict):
        return f"{len(value)} values"
    return f"{text} {unit}".rstrip()


def _rounded(value, unit: str) -> str:
    """A value with its numbers rounded: shares times 100, else three digits that count."""
    if isinstance(value, dict):
        return "; ".join(f"{key} {_rounded(item, unit)}" for key, item in value.items())
    if isinstance(value, list):
        return f"[{', '.join(_rounded(item, unit) for item in value)}]"
    if unit in ("%", "points"):
        return f"{100 * value:.1f}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
