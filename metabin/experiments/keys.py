"""Hash of what code does: of every definition that a function needs, and of nothing else.

Docstrings, comments, annotations, imports and the names of files and modules don't count, and what
is raised doesn't: a trial that came to its end raised nothing. A definition counts when the code
reaches it by its name, as a module's attribute (`import metabin.x as y`, `y.f`), or through a file
that only passes it on. What a module does when it is imported (a call, a decorator of the package)
counts with each of its names.
"""

import ast
import copy
import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
IMPORTS = ast.Import | ast.ImportFrom
ON_IMPORT = ""  # stands for what a module does when it is imported


class Name(NamedTuple):
    """A name that a module defines; without a name it is the module itself."""

    module: str
    name: str = ""


def code_hash(roots: Iterable[Name], folder: Path, without: Iterable[Name] = ()) -> str:
    """Hash of all definitions that some names need.

    `folder` holds the package; what is reached only through the names in `without` is left out.
    Raises LookupError for a name that its module neither defines nor imports.
    """
    package, texts = CodeBase(folder), set()
    waiting, seen = list(roots), set(without)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        module = package.module(name.module)
        for statement in module.statements(name.name):
            plain = _Plain(module, package)
            texts.add(_text(plain.visit(copy.deepcopy(statement))))
            waiting += plain.used
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()


class Module:
    """A file: its top-level statements by the names that they define or change, and its imports."""

    def __init__(self, name: str, path: Path):
        self.name = name
        tree = ast.parse(path.read_text(encoding="utf-8"))
        self.body = [node for node in tree.body if not isinstance(node, IMPORTS)]
        self.imported = dict(_imports(tree, name.partition(".")[0]))
        functions = [node.name for node in self.body if isinstance(node, ast.FunctionDef)]
        self.defined: dict[str, list[ast.stmt]] = defaultdict(list)
        for statement in self.body:
            for owner in _owners(statement, {*functions, *self.imported}):
                self.defined[owner].append(statement)

    def statements(self, name: str) -> list[ast.stmt]:
        """What defines or changes a name, and what happens on import; all for the module itself."""
        if not name:
            return self.body
        return self.defined.get(name, []) + self.defined.get(ON_IMPORT, [])


class CodeBase:
    """The files of a package, read when they are asked for."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.module = functools.cache(lambda name: Module(name, self._path(name)))

    def _path(self, module: str) -> Path:
        path = self.folder.joinpath(*module.split("."))
        return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")

    def definition(self, name: Name) -> Name:
        """Where a name is defined that other files pass on."""
        if not name.name:
            return name
        module = self.module(name.module)
        if name.name in module.defined:
            return name
        if name.name in module.imported:
            return self.definition(module.imported[name.name])
        inner = f"{name.module}.{name.name}"
        if self._path(inner).exists():
            return Name(inner)
        raise LookupError(f"{name.module} has no {name.name}: import it from where it is defined")

    def target(self, node: ast.expr, module: Module) -> Name | None:
        """What of the package a name or an attribute of a module stands for, or None."""
        if isinstance(node, ast.Name):
            if node.id in module.imported:
                return self.definition(module.imported[node.id])
            return Name(module.name, node.id) if node.id in module.defined else None
        owner = self.target(node.value, module) if isinstance(node, ast.Attribute) else None
        if owner is None or owner.name:
            return None
        return self.definition(Name(owner.module, node.attr))


class _Plain(ast.NodeTransformer):
    """Takes out of a statement what says nothing about what it does; notes what it uses."""

    def __init__(self, module: Module, package: CodeBase):
        self.module, self.package = module, package
        self.used: list[Name] = []

    def visit_FunctionDef(self, node):
        node.returns = None
        return self.visit_ClassDef(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node):
        if ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        return self.generic_visit(node)

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_Raise(self, node):
        return ast.Raise()

    def visit_Import(self, node):
        return None

    visit_ImportFrom = visit_Import

    def visit_Name(self, node):
        target = self.package.target(node, self.module)
        if target is None:
            return self.generic_visit(node)
        self.used.append(target)
        return ast.Name(target.name or "module", node.ctx)

    visit_Attribute = visit_Name


def _imports(tree: ast.Module, package: str) -> Iterator[tuple[str, Name]]:
    """Names that a file imports from its own package, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == package:
            for alias in node.names:
                yield alias.asname or alias.name, Name(node.module, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == package:
                    yield alias.asname or package, Name(alias.name if alias.asname else package)


def _owners(statement: ast.stmt, ours: Iterable[str]) -> set[str]:
    """The names that a top-level statement defines or changes; ON_IMPORT where it does more.

    `ours` are the names of the package that the module knows: their decorators may register.
    """
    if isinstance(statement, DEFINITIONS):
        decorators = {_root(decorator) for decorator in statement.decorator_list}
        return {statement.name, ON_IMPORT} if decorators & set(ours) else {statement.name}
    owners = set()
    for node in ast.walk(statement):
        if isinstance(node, DEFINITIONS):
            owners.add(node.name)
        elif isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            owners.add(ON_IMPORT)
        elif isinstance(getattr(node, "ctx", None), ast.Store):
            owners.add(_root(node))
    return owners - {None}


def _root(node: ast.expr) -> str | None:
    """The name at the beginning of `name.a[b](c)`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _text(node) -> str:
    """A syntax tree as text, the same in every version of Python: what is empty is left out."""
    if isinstance(node, list):
        return f"[{', '.join(map(_text, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name, value in ast.iter_fields(node):
        if value is not None and value != []:
            fields.append(f"{name}={_text(value)}")
    return f"{type(node).__name__}({', '.join(fields)})"
