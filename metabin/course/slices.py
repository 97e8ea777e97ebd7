"""A program slice: of a notebook's earlier cells, only the statements on which the later ones build."""

import ast
import builtins
import symtable

# Calls that change none of their arguments. Of any other call that stands by itself, each argument may be changed.
SHOWN = {"check", "display", "figure", "print", "record", "setup", "show", "widget_with_twin"}


def needed_code(before: list[str], wanted: list[str]) -> list[str]:
    """Cells with the statements of `before` that the cells `wanted` need, directly or not, in their order; comments stay."""
    names_of_functions = (
        set()
    )  # what a function uses may be made after it: such names are asked for again from the end
    while True:
        kept = _backwards(before, wanted, names_of_functions)
        source = "\n".join([*kept, *wanted])
        missing = (
            _globals(source) - _made(ast.parse(source)) - set(dir(builtins)) - names_of_functions
        )
        if not missing:
            return kept
        names_of_functions |= missing


def _backwards(before: list[str], wanted: list[str], also: set[str]) -> list[str]:
    """One walk from the last statement to the first, with the names that are needed from there on."""
    needed, kept = set(), []
    for source in reversed(wanted):
        for node in reversed(ast.parse(source).body):
            needed = (needed - _surely_made(node)) | _used(node)
    needed |= also
    for source in reversed(before):
        lines, body, taken = source.splitlines(), ast.parse(source).body, []
        for number in reversed(range(len(body))):
            node = body[number]
            if _made(node) & needed:
                start = body[number - 1].end_lineno if number else 0
                text = "\n".join(lines[start : node.end_lineno])
                taken.insert(
                    0,
                    _fewer(node, needed) if isinstance(node, ast.Import | ast.ImportFrom) else text,
                )
                needed = (needed - _surely_made(node)) | _used(node)
        if taken:
            kept.insert(0, "\n".join(taken).strip("\n"))
    return kept


def _globals(source: str) -> set[str]:
    """All names of a module that its code reads, at the top or within functions."""
    tables, found = [symtable.symtable(source, "cell", "exec")], set()
    top = tables[0]
    for table in tables:
        tables += table.get_children()
        found |= {
            s.get_name()
            for s in table.get_symbols()
            if s.is_referenced() and (table is top or s.is_global())
        }
    return found


def _used(node: ast.stmt) -> set[str]:
    """The names whose value a statement needs from before it."""
    used, made = set(), set()
    for part in _in_order(node):
        used |= _globals(ast.unparse(part)) - made if not isinstance(part, str) else set()
        made |= {part} if isinstance(part, str) else _surely_made(part)
    return used - {getattr(node, "name", None)}  # a function that calls itself


def _in_order(node: ast.stmt):
    """A statement in pieces as they are run: statements without others in them, and the names that a header makes."""
    if isinstance(node, ast.For):
        yield ast.Expr(node.iter)
        yield from _targets(node.target)
    elif isinstance(node, ast.With):
        for item in node.items:
            yield ast.Expr(item.context_expr)
            yield from _targets(item.optional_vars) if item.optional_vars else ()
    else:  # which way an `if` goes isn't known, so it stays whole
        yield node
        return
    for inner in node.body:
        yield from _in_order(inner)


def _targets(target: ast.expr) -> set[str]:
    """The names that an assignment to `target` sets."""
    return {
        node.id
        for node in ast.walk(target)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _surely_made(node: ast.stmt) -> set[str]:
    """The names that have a new value after a statement, whatever they were before."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.Assign):
        return set().union(*map(_targets, node.targets))
    return _targets(node.target) if isinstance(node, ast.AnnAssign) and node.value else set()


def _made(tree: ast.AST) -> set[str]:
    """The names that a piece of code makes or changes, not looking into functions."""
    if isinstance(tree, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return set()
    found = _surely_made(tree) if isinstance(tree, ast.stmt) else set()
    if isinstance(tree, ast.FunctionDef | ast.ClassDef):
        return found
    if isinstance(tree, ast.Name | ast.Attribute | ast.Subscript) and isinstance(
        tree.ctx, ast.Store
    ):
        found |= {_root(tree)}
    elif isinstance(tree, ast.ExceptHandler) and tree.name:
        found |= {tree.name}
    elif (
        isinstance(tree, ast.Expr)
        and isinstance(tree.value, ast.Call)
        and _root(tree.value.func) not in SHOWN
    ):
        found |= {
            _root(tree.value.func),
            *map(_root, tree.value.args),
        }  # net.eval(), step(net, 0.1)
    return found.union(*map(_made, ast.iter_child_nodes(tree))) - {""}


def _root(node: ast.AST) -> str:
    """The name at the beginning of `name.a[b].c(...)`, or nothing."""
    while not isinstance(node, ast.Name):
        node = getattr(node, "value", None) or getattr(node, "func", None)
        if not isinstance(node, ast.AST):
            return ""
    return node.id


def _fewer(node: ast.Import | ast.ImportFrom, needed: set[str]) -> str:
    """An import of nothing but what is needed."""
    few = [alias for alias in node.names if (alias.asname or alias.name).split(".")[0] in needed]
    return ast.unparse(
        ast.Import(few) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, few, 0)
    )
