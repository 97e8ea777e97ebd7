"""What a notebook needs: the package's real source, and recorded results; it re-exports the rest."""

import gc
import inspect
import json
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from IPython import get_ipython

from metabin.course.answers import check as check  # lessons import all helpers from here
from metabin.course.figures import figure as figure
from metabin.course.figures import follow as follow
from metabin.course.figures import publish
from metabin.course.figures import widget_with_twin as widget_with_twin

RECORD = "application/vnd.metabin.record+json"  # what record() leaves and the runner reads
PACKAGE = Path(__file__).resolve().parents[1]


def repo_root() -> Path:
    """The folder of this checkout, wherever a notebook runs."""
    if not (PACKAGE.parent / "pyproject.toml").is_file():
        raise FileNotFoundError(
            "the lessons need a checkout of this repository: clone it and install it by -e '.[all]'"
        )
    return PACKAGE.parent


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
    publish({"text/markdown": markdown, "text/plain": f"# {module}, line {first}\n{source}"})


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
    publish({RECORD: {"name": name, "value": plain, "unit": unit, "meaning": meaning}})


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
