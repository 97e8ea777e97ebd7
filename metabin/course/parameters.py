"""What a lesson takes: the names, types and choices in its `parameters` cell, read without running it."""

import ast
import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from metabin.course.lessons import read_notebook, tagged


class Text(str):
    """A value as typed on the command line: read as whatever type the lesson declares."""


@dataclass(frozen=True)
class Parameter:
    """One line of a `parameters` cell: `name: kind = default  # "one" or "another"`."""

    name: str
    kind: type
    optional: bool
    choices: tuple[str, ...]  # the quoted words in the comment behind a text

    def read(self, value):
        """The value in the declared type; ValueError says what was expected."""
        expected = (
            " or ".join(map(repr, self.choices))
            or f"{'an' if self.kind is int else 'a'} {self.kind.__name__}"
        )
        if self.optional and value in (None, "None"):
            return None
        if isinstance(value, Text):
            value = self._parse(value)
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is self.kind and (not self.choices or value in self.choices):
            return value
        what = (
            repr(value) if self.kind is str or not isinstance(value, str) else f"the text {value!r}"
        )
        advice = ""
        if self.kind is float and re.fullmatch(r"[-+]?[\d.]+e[-+]?\d+", str(value), re.IGNORECASE):
            advice = " (YAML reads a number without a point or without the exponent's sign as text: write 1.0e-4)"
        raise ValueError(
            f"{self.name} takes {expected}, not {what}{advice}{did_you_mean(value, self.choices)}"
        )

    def _parse(self, text: Text):
        """What was typed, as the declared type where it can be read so, else still the text."""
        if self.kind is str:
            return str(text)
        try:
            if self.kind is bool:
                return {"true": True, "false": False}[text.lower()]
            return self.kind(text) if self.kind in (int, float) else ast.literal_eval(text)
        except (KeyError, ValueError, SyntaxError):
            return str(text)


def did_you_mean(word, known) -> str:
    """The end of an error message: the known word that was probably meant, or nothing."""
    close = difflib.get_close_matches(str(word), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def declared_parameters(notebook) -> dict[str, Parameter]:
    """What a notebook's cell with the tag `parameters` declares, by name; nothing is run."""
    cells = [cell for cell in notebook.cells if tagged(cell, "parameters")]
    if len(cells) != 1:
        raise ValueError(f"one cell must have the tag 'parameters', {len(cells)} have it")
    lines, found = cells[0].source.splitlines(), {}
    for node in ast.parse(cells[0].source).body:
        line = lines[node.lineno - 1]
        try:
            name, default = node.target.id, ast.literal_eval(node.value)
            kind, _, rest = ast.unparse(node.annotation).partition(" | ")
        except (AttributeError, ValueError):
            raise ValueError(f"not of the form `name: type = value`: {line}") from None
        kind = {"int": int, "float": float, "bool": bool, "str": str, "list": list}.get(
            kind.split("[")[0]
        )
        if kind is None or rest not in ("", "None"):
            raise ValueError(f"a type that the runner can't check: {line}")
        comment = lines[node.end_lineno - 1][node.end_col_offset :]
        choices = tuple(re.findall(r'"([^"]+)"', comment)) if kind is str else ()
        found[name] = Parameter(name, kind, rest == "None", choices)
        found[name].read(default)
    return found


def values_for(lessons: list[Path], common: dict, given: dict) -> dict[Path, dict]:
    """The values for each lesson, before any runs.

    `common` values (profile, seed) go to every lesson that declares them; a `given` one must be known to at least one.
    Raises ValueError, naming the lesson, the parameter and what was expected.
    """
    declared = {}
    for lesson in lessons:
        try:
            declared[lesson] = declared_parameters(read_notebook(lesson))
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{lesson.stem}: {error}") from None
    for name in given:
        if not any(name in parameters for parameters in declared.values()):
            known = list(
                dict.fromkeys(name for parameters in declared.values() for name in parameters)
            )
            lesson = (
                lessons[0].stem if len(lessons) == 1 else f"{lessons[0].stem} to {lessons[-1].stem}"
            )
            raise ValueError(
                f"{lesson}: no parameter {name!r}{did_you_mean(name, known)} (there are {', '.join(known)})"
            )
    values = {}
    for lesson, parameters in declared.items():
        try:
            values[lesson] = {
                n: parameters[n].read(v) for n, v in (common | given).items() if n in parameters
            }
        except ValueError as error:
            raise ValueError(f"{lesson.stem}: {error}") from None
    return values


def from_pairs(pairs: list[str]) -> dict:
    """Parameters typed as NAME=VALUE."""
    for pair in pairs:
        if "=" not in pair:
            raise ValueError(f"-p takes NAME=VALUE, not {pair!r}")
    return {name: Text(value) for name, _, value in (pair.partition("=") for pair in pairs)}


def from_file(path: Path | None) -> dict:
    """Parameters from a YAML file, typed as YAML types them."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path else {}
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: a line must be of the form `name: value`")
    return content
