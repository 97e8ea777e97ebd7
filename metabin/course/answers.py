"""Checked answers: an exercise's answer is compared with a reference and told what is wrong."""

import copy
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from IPython import get_ipython

UNWRITTEN = "replace the stub and run this cell again"
SHORT = 60  # characters of arguments that a message has room for
_failures = Counter()  # of each exercise, by its hints


def is_live() -> bool:
    """Whether somebody sits in front of this notebook: headless runs allow no standard input."""
    return bool(getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False))


class CheckFailed(AssertionError):
    """An answer that isn't right yet; a notebook shows it as one message without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"✗ {self}"]


def _unchanged(answer: Callable) -> Callable:
    return answer


@dataclass(frozen=True)
class Exercise:
    """What `check` knows of an exercise: a lesson imports it, so that nothing of it can be read.

    `measured` makes of an answer what is compared with the reference, such as its gradient.
    """

    reference: Callable
    cases: Mapping[str, tuple] = field(default_factory=lambda: {"": ()})
    hints: Sequence[str] = ()
    tolerance: float = 1e-5
    measured: Callable[[Callable], Callable] = _unchanged


def check(
    answer,
    reference,
    cases: Mapping[str, tuple] | None = None,
    hint: str | Sequence[str] = (),
    tolerance: float = 1e-5,
) -> None:
    """Compare an answer with an Exercise or a reference: a value, or a function and named cases.

    Raises CheckFailed with the first case that fails and what differs, but not the right answer;
    from the second failure on with the hints, one more each time. An answer that isn't there yet
    (`...`, or a stub that raises NotImplementedError) is a failure headless; in front of somebody
    it is only told, so that Run All goes on.
    """
    exercise = reference
    if not isinstance(reference, Exercise):
        hints = (hint,) if isinstance(hint, str) else tuple(hint)
        exercise = Exercise(reference, cases or {"": ()}, hints, tolerance)
    try:
        problem = _first_problem(answer, exercise)
    except NotImplementedError:
        if not is_live():
            raise CheckFailed(f"nothing is written here yet: {UNWRITTEN}") from None
        print(f"○ not written yet: {UNWRITTEN}")
        return
    if problem:
        raise CheckFailed(f"{problem}.{_advice(tuple(exercise.hints))}")
    count = len(exercise.cases)
    print(f"✓ right in {count} cases" if count > 1 else "✓ right")


def _first_problem(answer, exercise: Exercise) -> str | None:
    """The first case in which an answer is wrong and how, or None."""
    compared = exercise.measured(answer) if callable(answer) else answer
    for case, arguments in exercise.cases.items():
        problem = _problem(compared, exercise.reference, arguments, exercise.tolerance)
        if problem:
            return f"case “{case}”{_told(arguments)}: {problem}" if case else problem
    return None


def _told(arguments: tuple) -> str:
    """A case's arguments, where they are short."""
    text = ", ".join(map(repr, arguments))
    return f" ({text})" if len(text) <= SHORT and "\n" not in text else ""


def _advice(hints: tuple[str, ...]) -> str:
    """As many hints as there were failures before this one."""
    if not hints:
        return ""
    count = min(_failures[hints], len(hints))
    _failures[hints] += 1
    if not count:
        return " (A hint comes with the next failure.)"
    lines = [
        f"Hint {number} of {len(hints)}: {hints[number - 1]}" for number in range(1, count + 1)
    ]
    return "\n  " + "\n  ".join(lines)


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
