"""The package's imports run one way, and what only notebooks need stays at the top."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "metabin"

# From the ground up: a module may use what stands on lower lines. On line 0 nothing uses anything else of the package; the
# modules of the last line may use each other as long as they don't do it in a circle.
LAYERS = [
    {
        "norm_kernels",
        "losses",
        "samplers",
        "augment",
        "images",
        "provenance",
        "plane",
        "guard",
        "certainty",
        "measuring",
    },
    {"norm", "datasets", "streets", "distributed"},
    {"normalizations"},
    {"backbones", "synced_norms"},
    {"model", "config"},
    {"meta", "evaluate", "checkpoint"},
    {"batches", "intervals"},
    {"train", "protocols"},
    {"presets", "analysis", "oracle", "progress", "compiling"},
    {"flags"},
    {"command"},
    {
        "course",
        "paper_map",
        "lesson",
        "trials",
        "experiments",
        "bench",
        "bench_training",
        "protocol_command",
    }
    | {"plotting"},
]
WORLD = {"provenance", "images", "streets", "datasets"}  # pictures know nothing of networks
LEVEL = {module: level for level, modules in enumerate(LAYERS) for module in modules}
TOP = len(LAYERS) - 1
ONLY_IN = {  # third-party package -> the modules that may use it
    "IPython": {"lesson"},
    "ipywidgets": {"lesson"},
    "matplotlib": {"lesson", "plotting"},
    "matplotlib_inline": {"lesson"},
    "seaborn": {"plotting"},
    "papermill": {"course"},
    "nbformat": {"course"},
    "nbconvert": {"course"},
}


def imports(source: str) -> set[str]:
    """Every module that a source imports, at its top or within a function; what it does as a command doesn't count."""
    found, tree = set(), ast.parse(source)
    tree.body = [node for node in tree.body if not ast.unparse(node).startswith("if __name__ ==")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports of the package are absolute"
            found |= (
                {f"{node.module}.{name.name}" for name in node.names}
                if node.module == "metabin"
                else {node.module}
            )
    return found


def module_of(path: Path) -> str:
    """The name in the table of layers of a file of the package: its file's or its folder's."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def within(source: str) -> set[str]:
    """The modules of the package that a source imports."""
    return {name.split(".")[1] for name in imports(source) if name.startswith("metabin.")}


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_below(path):
    module = module_of(path)
    assert module in LEVEL, "a new module needs its place in the table of layers"
    for other in within(path.read_text()) - {module}:
        assert other in LEVEL, f"{other} is not in the table of layers"
        assert other in WORLD or module not in WORLD, (
            f"{module} draws or reads pictures: it must not use {other}"
        )
        assert LEVEL[other] < LEVEL[module] or LEVEL[module] == TOP, (
            f"{module} must not use {other}"
        )


def test_the_top_modules_do_not_import_in_a_circle():
    uses = {module: set() for module in LAYERS[TOP]}
    for path in FILES:
        if module_of(path) in uses:
            uses[module_of(path)] |= within(path.read_text()) & LAYERS[TOP] - {module_of(path)}
    while uses:
        free = {module for module, others in uses.items() if not others}
        assert free, f"a circle among {sorted(uses)}"
        uses = {module: others - free for module, others in uses.items() if module not in free}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_notebooks_and_drawings_need_stays_where_it_belongs(path):
    for name in imports(path.read_text()):
        package = name.split(".")[0]
        assert module_of(path) in ONLY_IN.get(package, {module_of(path)}), (
            f"{package} is for {ONLY_IN.get(package)}"
        )


def test_the_runner_never_imports_torch():
    for path in (PACKAGE / "course").glob("*.py"):
        assert not {"torch", "numpy"} & {
            name.split(".")[0] for name in imports(path.read_text())
        }, path.name
    top = {
        node
        for node in ast.parse((PACKAGE / "lesson.py").read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    named = imports(ast.unparse(ast.Module(sorted(top, key=lambda node: node.lineno), [])))
    assert not {"torch", "numpy", "matplotlib", "metabin"} & {name.split(".")[0] for name in named}


def test_an_import_is_seen_wherever_it_stands():
    source = "import torch.nn as nn\ndef f():\n    from metabin.train import train\n    from metabin import meta"
    assert imports(source) == {"torch.nn", "metabin.train", "metabin.meta"}
    assert within(source) == {"train", "meta"}
