"""Measures of the house: how large the rooms are, how densely they are written, who uses whom.

    python tests/house.py

tests/test_imports.py holds the package to its arrows with the same functions.
"""

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "metabin"
WIDTH = 100  # columns
MOST_ARGUMENTS = 6  # besides self
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
ITERATION = (  # the files that one follows to understand one iteration of training
    "train.py",
    "data/batches.py",
    "samplers.py",
    "meta.py",
    "losses.py",
    "norm.py",
    "networks/model.py",
)


def read_package(package: Path = PACKAGE) -> dict[str, str]:
    """Source of every module by its full name: "metabin.data" is data/__init__.py."""
    sources = {}
    for path in sorted(package.rglob("*.py")):
        names = path.relative_to(package.parent).with_suffix("").parts
        if names[-1] == "__init__":
            names = names[:-1]
        sources[".".join(names)] = path.read_text(encoding="utf-8")
    return sources


def room_of(module: str) -> str:
    """Room of a module: its folder or, at the top, its file ("metabin.data.images": "data")."""
    return module.partition(".")[2].partition(".")[0]


def imported_names(source: str) -> set[str]:
    """Every name that a source imports, in functions and conditional blocks too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports of the package are absolute"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def module_uses(sources: dict[str, str]) -> dict[str, set[str]]:
    """Modules of the package that each module imports."""
    uses = {}
    for module, source in sources.items():
        uses[module] = set()
        for name in imported_names(source):
            while name and name not in sources:
                name = name.rpartition(".")[0]
            if name and name != module:
                uses[module].add(name)
    return uses


def room_uses(uses: dict[str, set[str]]) -> dict[str, set[str]]:
    """Rooms that each room uses, itself left out."""
    rooms = {}
    for module, others in uses.items():
        room = rooms.setdefault(room_of(module), set())
        room.update(map(room_of, others))
    for room, others in rooms.items():
        others -= {room, ""}
    rooms.pop("", None)  # metabin/__init__.py is the map of the house, no room
    return rooms


def in_circles(uses: dict[str, set[str]]) -> set[str]:
    """Names that stand in a circle of uses, or between two circles."""
    remaining = set(uses)
    while True:
        users = {name for name in remaining if uses[name] & remaining}
        used = set().union(*[uses[name] for name in remaining])
        if users & used == remaining:
            return remaining
        remaining = users & used


@dataclass
class Measures:
    """How much code there is and how densely it is written."""

    files: int = 0
    lines: int = 0
    written: int = 0  # lines that are not empty
    characters: int = 0
    wide: int = 0  # lines over 100 columns
    nested: int = 0  # comprehensions within comprehensions
    many: int = 0  # functions with more than six arguments

    @property
    def mean_line(self) -> float:
        return self.characters / max(1, self.written)

    @property
    def wide_share(self) -> float:
        return self.wide / max(1, self.written)


def measure(sources: Iterable[str]) -> Measures:
    """Measures of several files together."""
    measures = Measures()
    for source in sources:
        lines = source.splitlines()
        written = [line for line in lines if line.strip()]
        measures.files += 1
        measures.lines += len(lines)
        measures.written += len(written)
        measures.characters += sum(map(len, written))
        measures.wide += sum(len(line) > WIDTH for line in written)
        nodes = list(ast.walk(ast.parse(source)))
        measures.nested += sum(map(_is_nested, nodes))
        measures.many += sum(map(_has_many_arguments, nodes))
    return measures


def _is_nested(node: ast.AST) -> bool:
    if not isinstance(node, COMPREHENSIONS):
        return False
    return any(isinstance(inner, COMPREHENSIONS) for inner in ast.walk(node) if inner is not node)


def _has_many_arguments(node: ast.AST) -> bool:
    if not isinstance(node, ast.FunctionDef):
        return False
    names = [argument.arg for argument in node.args.args + node.args.kwonlyargs]
    return len([name for name in names if name not in ("self", "cls")]) > MOST_ARGUMENTS


def top_of_package() -> tuple[list[str], list[str]]:
    """Files and folders at the top of the package, in alphabetical order."""
    entries = [path for path in sorted(PACKAGE.iterdir()) if path.name != "__pycache__"]
    files = [path.name for path in entries if path.is_file()]
    folders = [path.name for path in entries if path.is_dir()]
    return files, folders


def report() -> str:
    """All measures as text."""
    sources = read_package()
    rooms: dict[str, list[str]] = {}
    for module, source in sources.items():
        path = PACKAGE.joinpath(*module.split(".")[1:])
        in_room = path.is_dir() or path.parent != PACKAGE
        rooms.setdefault(room_of(module) if in_room else "", []).append(source)
    files, folders = top_of_package()
    tests = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").glob("*.py"))]
    iteration = measure((PACKAGE / name).read_text(encoding="utf-8") for name in ITERATION)
    uses = module_uses(sources)
    circles = sorted(in_circles(uses)), sorted(in_circles(room_uses(uses)))
    lines = [
        f"at the top of the package: {len(files)} files, {len(folders)} folders",
        f"to follow one iteration: {iteration.files} files, {iteration.lines} lines",
        f"circles: {circles[0] or 'none'} among files, {circles[1] or 'none'} among rooms",
        "",
        f"{'':12} files  lines  mean line  over {WIDTH}  nested  many arguments",
    ]
    for room, sources_of_room in rooms.items():
        lines.append(_row(room or "(top)", measure(sources_of_room)))
    lines += [_row("package", measure(sources.values())), _row("tests", measure(tests))]
    return "\n".join(lines)


def _row(name: str, measures: Measures) -> str:
    return (
        f"{name:12} {measures.files:5} {measures.lines:6} {measures.mean_line:10.1f}"
        f" {measures.wide_share:8.1%} {measures.nested:7} {measures.many:15}"
    )


if __name__ == "__main__":
    print(report())
