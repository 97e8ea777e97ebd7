"""What a notebook needs: the package's real source, figures with alt text, checked answers, recorded numbers."""

import base64
import copy
import gc
import inspect
import io
import json
import textwrap
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from IPython import get_ipython
from IPython.display import display

RECORD = "application/vnd.metabin.record+json"  # what record() writes and the runner reads


def repo_root() -> Path:
    """The folder of this checkout, found from where the package lies, so that it doesn't matter where a notebook runs."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file():
        raise FileNotFoundError(
            "the lessons need a checkout of this repository: clone it and install it by -e '.[all]'"
        )
    return root


def _publish(bundle: dict) -> None:
    """Give the notebook every form of one output; outside a notebook, print the plain one."""
    if get_ipython() is None:
        print(bundle["text/plain"])
    else:
        display(bundle, raw=True)


def setup() -> None:
    """Draw in the house style, at the size the style says (the inline backend would crop every figure)."""
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    from metabin.plotting import (
        use_style,  # here: the runner imports this module too and has to stay small
    )

    use_style()
    if get_ipython() is not None:
        set_matplotlib_formats("png", bbox_inches=None)
        gc.freeze()  # else Python's collector looks through all of torch after every few figures, a third of a second


def show(thing: Callable | type) -> None:
    """Show the real source of a function or class of the package, with its file and first line."""
    thing = inspect.unwrap(thing)
    try:
        lines, first = inspect.getsourcelines(thing)
        file = Path(inspect.getsourcefile(thing))
    except (TypeError, OSError):
        raise TypeError(
            f"show() takes a function or a class written in Python, not {thing!r}"
        ) from None
    package = Path(__file__).resolve().parent
    elsewhere = "this notebook" if thing.__module__ == "__main__" else thing.__module__
    place = file.relative_to(package.parent) if file.is_relative_to(package) else elsewhere
    source = textwrap.dedent("".join(lines)).rstrip()
    fence = "`" * (3 if "```" not in source else 8)
    markdown = f"*{place}, line {first}*\n\n{fence}python\n{source}\n{fence}"
    _publish({"text/markdown": markdown, "text/plain": f"# {place}, line {first}\n{source}"})


def figure(fig, alt: str) -> None:
    """Show a matplotlib figure with its alt text, which the exporters drop from an ordinary output, and close it."""
    from matplotlib import pyplot as plt

    if not alt.strip():
        raise ValueError("a figure needs an alt text: say in one sentence what can be seen in it")
    _publish(_figure_bundle(fig, alt))
    plt.close(fig)


def _figure_bundle(fig, alt: str) -> dict:
    picture = base64.b64encode(_png(fig)).decode()
    text = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    html = (
        f'<figure role="img" aria-label="{text}" style="margin:0"><img alt="{text}" '
        f'style="width:{96 * fig.get_figwidth():.0f}px;max-width:100%" src="data:image/png;base64,{picture}"></figure>'
    )
    return {"text/html": html, "text/plain": f"[figure: {alt}]"}


def _png(fig) -> bytes:
    """A figure as PNG: two pixels for one of the page, sharp when projected; fewer where somebody moves a slider and waits."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    if is_live():
        fig.set_dpi(144)
        FigureCanvasAgg(fig).print_png(
            buffer, pil_kwargs={"compress_level": 1}
        )  # savefig lays out and draws twice
    else:
        fig.savefig(buffer, format="png", dpi=192)
    return buffer.getvalue()


def follow(steps: Iterable, total: int, draw: Callable | None = None, every: int = 20) -> Iterator:
    """Pass the steps of a training on and, where somebody watches, show after `every` how far it is and what `draw()` draws.

    Headless, nothing is shown until the end: then, as always, one line says how long it took.
    """
    from matplotlib import pyplot as plt

    handle = display({"text/plain": "starting …"}, raw=True, display_id=True) if is_live() else None
    started, count = time.monotonic(), 0
    try:
        for count, step in enumerate(steps, 1):
            yield step
            if handle and (count % every == 0 or count == total):
                pace = (time.monotonic() - started) / count
                text = f"step {count} of {total}, {pace:.2f} s each, {pace * (total - count):.0f} s to go"
                picture = ""
                if draw:
                    fig = draw()
                    picture = _figure_bundle(fig, text)["text/html"]
                    plt.close(fig)
                handle.update(
                    {"text/html": f"<p>{text}</p>{picture}", "text/plain": text}, raw=True
                )
    finally:
        seconds = time.monotonic() - started
        print(f"{count} steps in {seconds:.0f} s, {seconds / max(count, 1):.2f} s each")


def record(name: str, value) -> None:
    """Keep a number, text, array or tensor under a name in the executed notebook, where the runner collects it."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    try:
        json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"record({name!r}): {error}") from None
    _publish({RECORD: {"name": name, "value": plain}, "text/plain": f"{name} = {brief(plain)}"})


def brief(value) -> str:
    """A recorded value in a few characters."""
    if isinstance(value, list | dict) and len(value) > 6:
        return f"{len(value)} values"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def is_live() -> bool:
    """Whether somebody sits in front of this notebook: headless runs allow no standard input."""
    return bool(getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False))


def widget_with_twin(widget: Callable[[], object], twin: Callable[[], None]) -> None:
    """Show the widget that `widget()` makes where somebody can move it, and always its static twin, drawn by `twin()`.

    A widget that nobody can move isn't even made: exported pages would look for its code on the web.
    """
    if is_live():
        shown = widget()
        _make_readable(shown)
        display(shown)
    twin()


def _make_readable(widget) -> None:
    """Give every control of a widget its whole name, which else is cut off, and a line as wide as name and slider need."""
    for child in getattr(widget, "children", ()):
        _make_readable(child)
        if getattr(child, "description", ""):
            child.style.description_width = "9em"
            child.layout.width = "28em"


class CheckFailed(AssertionError):
    """An answer that isn't right yet; in a notebook it is shown as one message without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"✗ {self}"]


def check(
    answer,
    reference,
    cases: Mapping[str, tuple] | None = None,
    hint: str = "",
    tolerance: float = 1e-5,
) -> None:
    """Compare an answer with the reference, or a function with the reference's on every named case (a tuple of arguments).

    Raises CheckFailed, naming the first case that fails, what differs and the hint, but not the right answer. An answer
    that isn't there yet (`...`, or a stub that raises NotImplementedError) is only said, so that Run All goes on; headless
    it is a failure too.
    """
    cases = {"": ()} if cases is None else cases
    try:
        for case, arguments in cases.items():
            problem = _problem(answer, reference, arguments, tolerance)
            if problem:
                where = f"case “{case}”: " if case else ""
                raise CheckFailed(f"{where}{problem}." + (f" Hint: {hint}" if hint else ""))
    except NotImplementedError:
        if not is_live():
            raise CheckFailed(
                "nothing is written here yet: replace the stub and run this cell again"
            ) from None
        print("○ not written yet: replace the stub and run this cell again")
        return
    print(f"✓ right in {len(cases)} cases" if len(cases) > 1 else "✓ right")


def _problem(answer, reference, arguments: tuple, tolerance: float) -> str | None:
    """What is wrong with an answer in one case, or None."""
    if answer is ...:
        raise NotImplementedError
    if not callable(reference):
        return _difference(answer, reference, tolerance)
    want = reference(*copy.deepcopy(arguments))
    try:
        got = answer(
            *copy.deepcopy(arguments)
        )  # copies: a function that works in place must not spoil the comparison
    except NotImplementedError:
        raise
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1].line
        return f"raised {type(error).__name__}: {error}" + (f" (in “{line}”)" if line else "")
    return _difference(got, want, tolerance)


def _difference(got, want, tolerance: float) -> str | None:
    """How two values differ, said without giving the right one away, or None."""
    import numpy as np

    if got is None:
        return "there is no value" if want is not None else None
    if isinstance(want, Mapping | tuple | list):
        if type(got) is not type(want) or len(got) != len(want):
            return f"a {type(want).__name__} of {len(want)} was expected, not {_kind(got)}"
        if isinstance(want, Mapping) and set(got) != set(want):
            return "other keys were expected"
        keys = want if isinstance(want, Mapping) else range(len(want))
        found = ((key, _difference(got[key], want[key], tolerance)) for key in keys)
        return next((f"at {key!r}: {text}" for key, text in found if text), None)
    try:
        a, b = (
            np.asarray(x.detach().cpu() if hasattr(x, "detach") else x, dtype=float)
            for x in (got, want)
        )
    except (TypeError, ValueError):
        return (
            None
            if type(got) is type(want) and got == want
            else f"another value was expected than {_kind(got)}"
        )
    if a.shape != b.shape:
        return f"shape {b.shape} was expected, not {a.shape}"
    wrong = ~np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
    if not wrong.any():
        return None
    if not np.isfinite(a[wrong]).all():
        return "the answer holds NaN or infinity"
    if wrong.size == 1:
        return f"{a.item():.4g} is not right"
    return (
        f"{wrong.sum()} of {wrong.size} values are off, by up to {np.abs(a - b)[wrong].max():.2g}"
    )


def _kind(value) -> str:
    return f"a {type(value).__name__}" + (f" of {len(value)}" if hasattr(value, "__len__") else "")
