"""Paper map: every equation, algorithm line, table and figure with its code, lesson, test, result.

    python -m metabin course map            # print the map and the status of tables and figures
    python -m metabin course map --write    # write both into their pages, between the markers

Equations and lines of Algorithm 1 are read from docstrings. The first sentence of the code that
implements them ends with "(Eq. 5; Algorithm 1, lines 3 and 6)".
"""

import argparse
import ast
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from metabin.experiments.names import OF_NO_PROFILE
from metabin.runs.provenance import ROOT

PACKAGE = Path(__file__).parents[1]
RESULTS = ROOT / "figures" / "results"
TITLES = {
    "Eq. 1": "batch-instance normalization",
    "Eq. 2": "cross-entropy",
    "Eq. 3": "triplet loss",
    "Eq. 4": "base loss",
    "Eq. 5": "base model update",
    "Eq. 6": "intra-domain scatter loss",
    "Eq. 7": "inter-domain shuffle loss",
    "Eq. 8": "meta-train loss",
    "Eq. 9": "inner update",
    "Eq. 10": "meta update",
    "Algorithm 1, line 1": "initialize",
    "Algorithm 1, line 2": "for each iteration",
    "Algorithm 1, line 3": "base model update",
    "Algorithm 1, line 4": "sample X_B",
    "Algorithm 1, line 5": "L_base",
    "Algorithm 1, line 6": "move the weights",
    "Algorithm 1, line 7": "domain-level sampling",
    "Algorithm 1, line 8": "split the domains",
    "Algorithm 1, line 9": "meta-train",
    "Algorithm 1, line 10": "sample X_S",
    "Algorithm 1, line 11": "L_mtr",
    "Algorithm 1, line 12": "rho'",
    "Algorithm 1, line 13": "meta-test",
    "Algorithm 1, line 14": "sample X_T",
    "Algorithm 1, line 15": "move rho",
}
STUDIES = {  # what a table or figure is about, and the code that makes it possible
    "Table 1": ("methods on unseen data sets", "config.METHODS", "evaluate.evaluate_protocol"),
    "Table 2": ("one source, cameras as domains", "data.cameras_as_domains", "presets.preset"),
    "Table 3": ("losses, inner step sizes", "config.Config.criterion", "meta.cyclic_inner_lr"),
    "Table 4": ("MLDG, episode separation", "meta.mldg_step", "config.METHODS"),
    "Table 5": ("normalizations, supervised too", "networks.convert_norm", "presets.SETTINGS"),
    "Table 6": ("architectures", "networks.build_backbone", "experiments.backbone_cost"),
    "Fig. 1": ("style kept, identity lost", "analysis.style_and_identity", "plotting.draw_phase"),
    "Fig. 2": ("domains and images per batch", "samplers.PKSampler", "samplers.split_domains"),
    "Fig. 3": ("t-SNE of unseen domains", "analysis.embed_in_plane"),
    "Fig. 4": ("rho in every layer", "analysis.rho_distribution"),
    "Fig. 5": ("direction of the inner gradients", "analysis.inner_gradients"),
    "Fig. 6": ("weights of the meta-train losses", "losses.Criterion"),
    "Fig. 7": ("losses during training", "train.train", "plotting.draw_losses"),
    "Fig. 8": ("period of the inner step", "meta.cyclic_inner_lr"),
    "Fig. 9": ("outer step size against rho", "meta.meta_step", "analysis.rho_distribution"),
    "Fig. 10": ("rho in other networks", "networks.build_backbone", "analysis.rho_distribution"),
    "Fig. 11": ("rho during training", "analysis.rho_summary", "plotting.draw_history"),
}
ITEMS = TITLES | {item: title for item, (title, *_) in STUDIES.items()}
EXPERIMENTS = {"Fig. 1": "phase", "Fig. 7": "history", "Fig. 11": "history"}  # others: "table1"


@dataclass(frozen=True)
class Definition:
    """Public function, class, method or constant, named after its room ("data.Batches.draw")."""

    name: str
    path: Path
    docstring: str | None = None


@cache
def definitions() -> list[Definition]:
    """Every public definition of the package."""
    everything = []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        everything += _definitions_in(ast.parse(path.read_text(encoding="utf-8")), room, path)
    return everything


def _definitions_in(tree: ast.Module | ast.ClassDef, name: str, path: Path) -> Iterator[Definition]:
    """Public definitions of a module or of a class of this name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield Definition(f"{name}.{node.name}", path, ast.get_docstring(node))
            if isinstance(node, ast.ClassDef):
                yield from _definitions_in(node, f"{name}.{node.name}", path)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield Definition(f"{name}.{node.targets[0].id}", path)


def references(docstring: str | None) -> list[str]:
    """Equations and algorithm lines in the parentheses that end a docstring's first sentence."""
    paragraph = " ".join((docstring or "").split("\n\n")[0].split())
    sentence = re.match(r".*?(?<!Eq)\.(?= |$)", paragraph)
    ending = re.search(r"\(([^()]*)\)\.$", sentence[0]) if sentence else None
    items = []
    for reference in ending[1].split("; ") if ending else []:
        for kind in ("Eq.", "Algorithm 1, line"):
            if reference.startswith(kind):
                numbers = reference.removeprefix(kind).partition("Section")[0]
                items += [f"{kind} {number}" for number in re.findall(r"\d+", numbers)]
    return items


def implementations() -> dict[str, list[Definition]]:
    """Code that implements each equation, algorithm line, table and figure."""
    code = {item: [] for item in ITEMS}
    for definition in definitions():
        for item in references(definition.docstring):
            code.setdefault(item, []).append(definition)
    for item, (_, *names) in STUDIES.items():
        code[item] += [definition for definition in definitions() if definition.name in names]
    return code


@cache
def sources(folder: str, pattern: str) -> dict[Path, str]:
    """Source of every test or code of every lesson, by its file."""
    texts = {}
    for path in sorted((ROOT / folder).glob(pattern)):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
            text = "\n".join("".join(cell["source"]) for cell in cells)
        texts[path] = text
    return texts


def is_used(definition: Definition, source: str) -> bool:
    """Whether a source imports a definition from the package or names it with its module."""
    room, symbol, *methods = definition.name.split(".")
    if symbol not in source:
        return False
    names = rf"import (?:\([^)]*|[^\n(]*)\b{symbol}\b"
    imported = re.search(rf"from metabin(?:\.{room}[\w.]*)? {names}", source)
    named = re.search(rf"\b(?:{room}|{definition.path.stem})\.{symbol}\b", source)
    return bool(imported or named) and all(f".{method}" in source for method in methods)


def lessons_of(definition: Definition) -> list[Path]:
    """Lessons that show a definition, or else those that use it."""
    lessons = sources("notebooks", "[0-9]*.ipynb")
    symbol = definition.name.split(".")[1]
    shown = [p for p, text in lessons.items() if re.search(rf"\bshow\([\w.]*\b{symbol}\b", text)]
    return shown or [path for path, text in lessons.items() if is_used(definition, text)]


def tests_of(definition: Definition) -> list[Path]:
    """Test files that use a definition; the file that is named after its module comes first."""
    tests = sources("tests", "test_*.py")
    users = [path for path, text in tests.items() if is_used(definition, text)]
    own = (f"test_{definition.path.stem}", f"test_{definition.name.split('.')[0]}")
    return sorted(users, key=lambda path: path.stem not in own)


def result_of(item: str) -> Path | None:
    """File that holds the numbers of a table or figure, None where there is no such file.

    That of finished trainings, where there is one.
    """
    name = EXPERIMENTS.get(item, item.lower().replace("fig. ", "figure").replace(" ", ""))
    paths = [RESULTS / f"{file}.json" for file in (f"{name}-finished", name)]
    return next((path for path in paths if path.exists()), None)


def _links(page: Path, paths: dict[Path, str]) -> str:
    """Markdown links to files, as they are written in a page."""
    return ", ".join(f"[{n}]({os.path.relpath(path, page.parent)})" for path, n in paths.items())


def paper_map(page: Path) -> str:
    """The paper map as a Markdown table."""
    lines = ["| paper | about | code | lesson | test | result |", "|" + " --- |" * 6]
    for item, code in implementations().items():
        names = [_links(page, {each.path: f"`{each.name}`"}) for each in code]
        lessons = sorted({path for each in code for path in lessons_of(each)})
        tests = sorted({path for each in code for path in tests_of(each)[:1]})
        result = result_of(item)
        cells = [
            ", ".join(names),
            _links(page, {path: path.stem[:2] for path in lessons}),
            _links(page, {path: path.stem.removeprefix("test_") for path in tests}),
            _links(page, {result: "streets"} if result else {}),
        ]
        lines.append(f"| {item} | {ITEMS[item]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def status(page: Path) -> str:
    """The verdict on each table and figure of the paper as a Markdown table."""
    lines = ["| paper | about | on streets | trainings | worlds |", "|" + " --- |" * 5]
    for item in STUDIES:
        path = result_of(item)
        report = json.loads(path.read_text(encoding="utf-8")) if path else {}
        verdict = report.get("verdict", "measured" if path else "not run")
        if isinstance(verdict, dict):  # a file that serves two figures
            verdict = verdict[item]
        worlds = len(report.get("worlds", ())) or ""
        link = _links(page, {path: verdict}) if path else verdict
        trainings = ""
        if worlds:
            finished = path.stem.endswith("-finished") or path.stem in OF_NO_PROFILE
            trainings = "finished" if finished else "short"
        lines.append(f"| {item} | {ITEMS[item]} | {link} | {trainings} | {worlds} |")
    return "\n".join(lines)


PAGES = {  # page: the table that it holds, what makes the table
    "notebooks/paper_map.md": ("paper map", paper_map),
    "figures/README.md": ("status", status),
}


def markers(table: str) -> tuple[str, str]:
    """Lines between which a page holds a table."""
    begin = f"<!-- {table}: made by python -m metabin course map --write -->"
    return begin, f"<!-- end of the {table} -->"


def main(arguments: list[str] | None = None) -> int:
    """Print both tables or write them; exit code 2 where a page lacks its markers."""
    parser = argparse.ArgumentParser(prog="python -m metabin course map", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write into {' and '.join(PAGES)}")
    write = parser.parse_args(arguments).write
    for name, (table, make) in PAGES.items():
        page = ROOT / name
        if not write:
            print(make(page), end="\n\n")
            continue
        begin, end = markers(table)
        before, _, rest = page.read_text(encoding="utf-8").partition(begin)
        _, marked, after = rest.partition(end)
        if not marked:
            parser.exit(2, f"{name}: put the lines {begin} and {end} where the {table} belongs\n")
        page.write_text(f"{before}{begin}\n{make(page)}\n{end}{after}", encoding="utf-8")
    return 0
