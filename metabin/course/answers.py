"""Checked answers: an exercise's answer is compared with a reference and told what is wrong."""

import copy
import traceback
from collections.abc import Mapping

from IPython import get_ipython

UNWRITTEN = "replace the stub and run this cell again"


def is_live() -> bool:
    """Whether somebody sits in front of this notebook: headless runs allow no standard input."""
    return bool(getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False))


class CheckFailed(AssertionError):
    """An answer that isn't right yet; a notebook shows it as one message without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"✗ {self}"]


def check(
    answer,
    reference,
    cases: Mapping[str, tuple] | None = None,
    hint: str = "",
    tolerance: float = 1e-5,
) -> None:
    """Compare an answer with the reference, or two functions on every named case of arguments.

    Raises CheckFailed with the first case that fails, what differs and the hint, but not the right
    answer. An answer that isn't there yet (`...`, or a stub that raises NotImplementedError) is a
    failure headless; in front of somebody it is only told, so that Run All goes on.
    """
    cases = {"": ()} if cases is None else cases
    try:
        for case, arguments in cases.items():
            problem = _problem(answer, reference, arguments, tolerance)
            if problem:
                where = f"case “{case}”: " if case else ""
                advice = f" Hint: {hint}" if hint else ""
                raise CheckFailed(f"{where}{problem}.{advice}")
    except NotImplementedError:
        if not is_live():
            raise CheckFailed(f"nothing is written here yet: {UNWRITTEN}") from None
        print(f"○ not written yet: {UNWRITTEN}")
        return
    print(f"✓ right in {len(cases)} cases" if len(cases) > 1 else "✓ right")


def _problem(answer, reference, arguments: tuple, tolerance: float) -> str | None:
    """What is wrong with an answer in one case, or None."""
    if answer is ...:
        raise NotImplementedError
    if not callable(reference):
        return _difference(answer, reference, tolerance)
    # Copies: a function that works in place must not spoil the comparison.
    expected = reference(*copy.deepcopy(arguments))
    try:
        result = answer(*copy.deepcopy(arguments))
    except NotImplementedError:
        raise
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1].line
        where = f" (in “{line}”)" if line else ""
        return f"raised {type(error).__name__}: {error}{where}"
    return _difference(result, expected, tolerance)


def _difference(result, expected, tolerance: float) -> str | None:
    """How two values differ, without giving the right one away, or None."""
    if result is None:
        return "there is no value" if expected is not None else None
    if isinstance(expected, Mapping | tuple | list):
        return _difference_of_parts(result, expected, tolerance)
    numbers, right = _array(result), _array(expected)
    if numbers is None or right is None:
        equal = type(result) is type(expected) and result == expected
        return None if equal else f"another value was expected than {_kind(result)}"
    return _difference_of_arrays(numbers, right, tolerance)


def _difference_of_parts(result, expected, tolerance: float) -> str | None:
    if type(result) is not type(expected) or len(result) != len(expected):
        return f"{_kind(expected)} was expected, not {_kind(result)}"
    keys = range(len(expected))
    if isinstance(expected, Mapping):
        keys = expected.keys()
        if result.keys() != keys:
            return "other keys were expected"
    for key in keys:
        difference = _difference(result[key], expected[key], tolerance)
        if difference:
            return f"at {key!r}: {difference}"
    return None


def _array(value):
    """A number, array or tensor as a NumPy array; None for anything else."""
    import numpy as np

    value = value.detach().cpu() if hasattr(value, "detach") else value
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None


def _difference_of_arrays(numbers, right, tolerance: float) -> str | None:
    import numpy as np

    if numbers.shape != right.shape:
        return f"shape {right.shape} was expected, not {numbers.shape}"
    wrong = ~np.isclose(numbers, right, rtol=tolerance, atol=tolerance, equal_nan=True)
    if not wrong.any():
        return None
    if not np.isfinite(numbers[wrong]).all():
        return "the answer holds NaN or infinity"
    if wrong.size == 1:
        return f"{numbers.item():.4g} is not right"
    largest = np.abs(numbers - right)[wrong].max()
    return f"{wrong.sum()} of {wrong.size} values are off, by up to {largest:.2g}"


def _kind(value) -> str:
    size = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"a {type(value).__name__}{size}"
