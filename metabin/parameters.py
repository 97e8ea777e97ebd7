"""What a lesson takes: the names, types and choices in its `parameters` cell, read without running it."""

import ast
import difflib
import re
from dataclasses import dataclass


def tagged(cell, tag: str) -> bool:
    """Whether a notebook's cell has a tag."""
    return tag in cell.metadata.get("tags", [])


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
        expected = " or ".join(map(repr, self.choices)) or f"{'an' if self.kind is int else 'a'} {self.kind.__name__}"
        if self.optional and value in (None, "None"):
            return None
        if isinstance(value, Text):
            value = self._parse(value)
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is self.kind and (not self.choices or value in self.choices):
            return value
        what = repr(value) if self.kind is str or not isinstance(value, str) else f"the text {value!r}"
        advice = ""
        if self.kind is float and re.fullmatch(r"[-+]?[\d.]+e[-+]?\d+", str(value), re.IGNORECASE):
            advice = " (YAML reads a number without a point or without the exponent's sign as text: write 1.0e-4)"
        raise ValueError(f"{self.name} takes {expected}, not {what}{advice}{did_you_mean(value, self.choices)}")

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
        kind = {"int": int, "float": float, "bool": bool, "str": str, "list": list}.get(kind.split("[")[0])
        if kind is None or rest not in ("", "None"):
            raise ValueError(f"a type that the runner can't check: {line}")
        comment = lines[node.end_lineno - 1][node.end_col_offset :]
        choices = tuple(re.findall(r'"([^"]+)"', comment)) if kind is str else ()
        found[name] = Parameter(name, kind, rest == "None", choices)
        found[name].read(default)
    return found
