"""A lesson's parameters: names, types and choices in its `parameters` cell, read by papermill."""

import ast
import difflib
import re
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from metabin.course.lessons import read_notebook, tagged

KINDS = {"int": int, "float": float, "bool": bool, "str": str, "list": list}
BOOLEANS = {"true": True, "false": False}


def did_you_mean(word: str, names) -> str:
    """The end of an error message: the name that was probably meant, or nothing."""
    close = difflib.get_close_matches(str(word), names, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


@dataclass(frozen=True)
class Parameter:
    """One line of a `parameters` cell: `name: kind = default  # "one" or "another"`."""

    name: str
    kind: type
    choices: tuple[str, ...] = ()  # the quoted words in the comment behind a text

    def read(self, value):
        """The value in the declared type. Raises ValueError with what was expected."""
        typed = self._typed(value)
        if type(typed) is self.kind and (not self.choices or typed in self.choices):
            return typed
        article = "an" if self.kind is int else "a"
        choices = " or ".join(repr(choice) for choice in self.choices)
        expected = choices or f"{article} {self.kind.__name__}"
        advice = did_you_mean(value, self.choices)
        raise ValueError(f"{self.name} takes {expected}, not {value!r}{advice}")

    def _typed(self, value):
        """A text from the command line or a file as the declared type, where it reads as one."""
        if self.kind is float and type(value) is int:
            return float(value)
        if self.kind is str or not isinstance(value, str):
            return value
        try:
            if self.kind is bool:
                return BOOLEANS[value.lower()]
            return ast.literal_eval(value) if self.kind is list else self.kind(value)
        except (KeyError, ValueError, SyntaxError):
            return value


def declared_parameters(notebook) -> dict[str, Parameter]:
    """The parameters of a notebook by name; nothing is run. Raises ValueError for unclear lines."""
    from papermill import inspect_notebook

    cells = [cell for cell in notebook.cells if tagged(cell, "parameters")]
    if len(cells) != 1:
        raise ValueError(f"one cell must have the tag 'parameters', {len(cells)} have it")
    declared = {}
    lines = inspect_notebook(notebook).values()
    for line in lines:
        name, comment = line["name"], line["help"]
        kind = KINDS.get(line["inferred_type_name"].partition("[")[0])
        if kind is None:
            raise ValueError(f"{name} needs one of the types {', '.join(KINDS)}")
        choices = tuple(re.findall(r'"([^"]+)"', comment)) if kind is str else ()
        declared[name] = Parameter(name, kind, choices)
        try:
            default = ast.literal_eval(line["default"])
        except (ValueError, SyntaxError):
            raise ValueError(f"{name} needs a plain value, not {line['default']}") from None
        declared[name].read(default)
    if len(declared) != len(cells[0].source.split("\n")):
        raise ValueError("each line must read `name: type = value  # comment`")
    return declared


def values_for(lessons: list[Path], common: dict, chosen: dict) -> dict[Path, dict]:
    """The values for each lesson, read before any lesson runs.

    `common` values (profile, seed) go to every lesson that declares them. A `chosen` value must be
    declared by at least one lesson. Raises ValueError with the lesson and the parameter.
    """
    declared = {}
    for lesson in lessons:
        with _named(lesson):
            declared[lesson] = declared_parameters(read_notebook(lesson))
    names = dict.fromkeys(chain.from_iterable(declared.values()))
    for name in chosen:
        if name not in names:
            advice = did_you_mean(name, names)
            raise ValueError(f"no parameter {name!r}{advice} (there are {', '.join(names)})")
    values = {}
    for lesson, parameters in declared.items():
        with _named(lesson):
            wanted = (common | chosen).items()
            values[lesson] = {n: parameters[n].read(v) for n, v in wanted if n in parameters}
    return values


@contextmanager
def _named(lesson: Path):
    """An error within says which lesson it is about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{lesson.stem}: {error}") from None


def from_pairs(pairs: list[str]) -> dict[str, str]:
    """Parameters typed as NAME=VALUE."""
    values = {}
    for pair in pairs:
        name, equals, values[name] = pair.partition("=")
        if not equals:
            raise ValueError(f"-p takes NAME=VALUE, not {pair!r}")
    return values


def from_file(path: Path | None) -> dict:
    """Parameters from a YAML file."""
    import yaml

    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: write each line as `name: value`")
    return content
