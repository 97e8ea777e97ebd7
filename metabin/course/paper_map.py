"""The paper map: every equation, algorithm line, table and figure -> function -> lesson -> test.

    python -m metabin course map            # print it
    python -m metabin course map --write    # put it into the README

Equations and lines of Algorithm 1 are read from docstrings: the first sentence of what implements them ends with
"(Eq. 5; Algorithm 1, lines 3 and 6)". Lessons are those that show the code, or else use it; tests those that use it.
"""

import argparse
import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from metabin.runs.provenance import ROOT

PACKAGE = Path(__file__).parents[1]
EQUATIONS = [f"Eq. {n}" for n in range(1, 11)]
LINES = [f"Algorithm 1, line {n}" for n in range(1, 16)]
TITLES = {  # what the paper's own words are about
    "Eq. 1": "batch-instance normalization", "Eq. 2": "cross-entropy", "Eq. 3": "triplet loss",
    "Eq. 4": "base loss", "Eq. 5": "base model update", "Eq. 6": "intra-domain scatter loss",
    "Eq. 7": "inter-domain shuffle loss", "Eq. 8": "meta-train loss", "Eq. 9": "inner update", "Eq. 10": "meta update",
    "Algorithm 1, line 1": "initialize", "Algorithm 1, line 2": "for each iteration",
    "Algorithm 1, line 3": "base model update", "Algorithm 1, line 4": "sample X_B",
    "Algorithm 1, line 5": "L_base", "Algorithm 1, line 6": "move the weights",
    "Algorithm 1, line 7": "domain-level sampling", "Algorithm 1, line 8": "split the domains",
    "Algorithm 1, line 9": "meta-train", "Algorithm 1, line 10": "sample X_S", "Algorithm 1, line 11": "L_mtr",
    "Algorithm 1, line 12": "rho'", "Algorithm 1, line 13": "meta-test", "Algorithm 1, line 14": "sample X_T",
    "Algorithm 1, line 15": "move rho",
}  # fmt: skip


@dataclass(frozen=True)
class Study:
    """A table or figure of the paper: what it is about, the code that makes it possible, and its experiment's name."""

    item: str
    title: str
    code: tuple[str, ...]  # "module.function"
    experiment: str = ""  # its numbers are in figures/results/<experiment>.json; "": not run


STUDIES = (
    Study(
        "Table 1",
        "methods on unseen data sets",
        ("config.METHODS", "protocols.evaluate_protocol"),
        "table1",
    ),
    Study(
        "Table 2",
        "one source, cameras as domains",
        ("images.cameras_as_domains", "presets.preset"),
        "table2",
    ),
    Study(
        "Table 3",
        "losses, fixed and cyclic inner step",
        ("config.Config.criterion", "meta.cyclic_inner_lr"),
        "table3",
    ),
    Study("Table 4", "MLDG, episode separation", ("meta.mldg_step", "config.METHODS"), "table4"),
    Study(
        "Table 5",
        "normalizations, supervised too",
        ("normalizations.convert_norm", "presets.SETTINGS"),
        "table5",
    ),
    Study(
        "Table 6", "architectures", ("backbones.build_backbone", "bench.backbone_cost"), "table6"
    ),
    Study(
        "Fig. 1",
        "under- and over-style-normalization",
        ("analysis.style_and_identity", "plotting.draw_phase"),
        "phase",
    ),
    Study(
        "Fig. 2",
        "domains and images per batch",
        ("samplers.PKSampler", "samplers.split_domains"),
        "figure2",
    ),
    Study("Fig. 3", "t-SNE of unseen domains", ("analysis.embed_in_plane",), "figure3"),
    Study("Fig. 4", "rho in every layer", ("analysis.rho_distribution",), "figure4"),
    Study("Fig. 5", "direction of the inner gradients", ("analysis.inner_gradients",), "figure5"),
    Study("Fig. 6", "weights of the meta-train losses", ("losses.Criterion",), "figure6"),
    Study("Fig. 7", "losses during training", ("train.train", "plotting.draw_losses"), "history"),
    Study("Fig. 8", "period of the inner step", ("meta.cyclic_inner_lr",), "figure8"),
    Study(
        "Fig. 9",
        "outer step size against rho",
        ("meta.meta_step", "analysis.rho_distribution"),
        "figure9",
    ),
    Study(
        "Fig. 10",
        "rho in other networks and data sets",
        ("backbones.build_backbone", "analysis.rho_distribution"),
        "figure10",
    ),
    Study(
        "Fig. 11",
        "rho during training",
        ("analysis.rho_summary", "plotting.draw_rho_history"),
        "history",
    ),
)


def references(docstring: str | None) -> list[str]:
    """What a docstring's first sentence says it implements, in parentheses at its end: equations and algorithm lines."""
    end = re.search(r"\(([^()]*)\)\.?$", (docstring or "").strip().split("\n\n")[0].split("\n")[0])
    found = []
    for part in end[1].split(";") if end else ():
        for kind in ("Eq.", "Algorithm 1, line"):
            if part.strip().startswith(kind):
                found += [
                    f"{kind} {n}"
                    for n in re.findall(r"\d+", part.strip().removeprefix(kind).split("Section")[0])
                ]
    return found


@cache
def definitions() -> tuple[dict[str, ast.AST], dict[str, Path]]:
    """Every public function, class and constant of the package by its name ("train.Run"), methods too; and their files.

    What a folder's files define goes by the folder's name, which is how it is imported.
    """
    found, places = {}, {}

    def visit(body, prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                found[f"{prefix}.{node.name}"] = node
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{prefix}.{node.name}")
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Name):
                        found[f"{prefix}.{target.id}"] = node

    for path in sorted(PACKAGE.rglob("*.py")):
        names = set(found)
        visit(
            ast.parse(path.read_text()).body, path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        )
        places.update(dict.fromkeys(found.keys() - names, path.relative_to(ROOT)))
    return found, places


def implementations() -> dict[str, list[str]]:
    """Equation or algorithm line -> the names of what says that it implements it."""
    found = {item: [] for item in EQUATIONS + LINES}
    for name, node in definitions()[0].items():
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for item in references(ast.get_docstring(node)):
                found.setdefault(item, []).append(name)
    return found


@cache
def _sources(kind: str) -> dict[str, str]:
    """Code of the lessons or of the tests by file name."""
    if kind == "tests":
        return {
            p.name: p.read_text()
            for p in sorted((ROOT / "tests").glob("test_*.py"))
            if p.stem != "test_paper_map"
        }
    cells = {
        p.name: json.loads(p.read_text())["cells"]
        for p in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    }
    return {
        name: "\n".join("".join(c["source"]) for c in cs if c["cell_type"] == "code")
        for name, cs in cells.items()
    }


def _uses(source: str, name: str) -> bool:
    """Whether a source imports or names this piece of the package ("batches.Batches.draw")."""
    module, symbol, *method = name.split(".")
    imported = re.search(rf"from metabin\.{module} import (\([^)]*|[^\n(]*)\b{symbol}\b", source)
    named = re.search(rf"\b{module}\.{symbol}\b", source)
    return bool(imported or named) and all(re.search(rf"\.{part}\b", source) for part in method)


def lessons_of(name: str) -> list[str]:
    """The lessons that show this piece of code, or else those that use it."""
    lessons, short = _sources("lessons"), name.split(".")[1]
    shown = [
        file for file, source in lessons.items() if re.search(rf"\bshow\([\w.]*\b{short}\b", source)
    ]
    return shown or [file for file, source in lessons.items() if _uses(source, name)]


def tests_of(name: str) -> list[str]:
    """The test files that use this piece of code; its own module's file comes first."""
    own = f"test_{name.split('.')[0]}.py"
    return sorted(
        (f for f, source in _sources("tests").items() if _uses(source, name)),
        key=lambda f: f != own,
    )


def rows() -> Iterator[tuple[str, str, list[str], str]]:
    """The map's rows: item, title, names of its code, state of its result ("" where there is none to be had)."""
    known = implementations()
    for item in EQUATIONS + LINES:
        yield item, TITLES[item], known[item], ""
    for study in STUDIES:
        results = ROOT / "figures" / "results" / f"{study.experiment}.json"
        state = (
            f"[streets](figures/results/{results.name})"
            if study.experiment and results.exists()
            else "not run"
        )
        yield study.item, study.title, list(study.code), state


def markdown() -> str:
    """The map as a Markdown table."""
    places = definitions()[1]
    lines = [
        "| paper | about | code | lesson | test | result |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for item, title, names, state in rows():
        code = ", ".join(f"[`{name}`]({places[name]})" for name in names)
        lessons = sorted({file for name in names for file in lessons_of(name)})
        shown = " ".join(f"[{file[:2]}](notebooks/{file})" for file in lessons)
        tests = sorted({file for name in names for file in tests_of(name)[:1]})
        checked = ", ".join(f"[{file[5:-3]}](tests/{file})" for file in tests)
        lines.append(f"| {item} | {title} | {code} | {shown} | {checked} | {state} |")
    return "\n".join(lines)


def status() -> str:
    """What became of each table and figure, as a Markdown table: on streets, from the committed results; on real data."""
    lines = [
        "| paper | about | on streets | seeds | on real data |",
        "| --- | --- | --- | --- | --- |",
    ]
    for study in STUDIES:
        path = ROOT / "figures" / "results" / f"{study.experiment}.json"
        found = json.loads(path.read_text()) if study.experiment and path.exists() else {}
        verdict = found.get("verdict", "measured")
        verdict = verdict[study.item] if isinstance(verdict, dict) else verdict
        told = f"[{verdict}](figures/results/{path.name})" if found else "not run"
        seeds = {len(row["metrics"]["rank1"]) for row in found.get("rows", ())} or {
            len(found.get("rho", ()))
        } - {0}
        lines.append(
            f"| {study.item} | {study.title} | {told} | {', '.join(map(str, sorted(seeds)))} | not run |"
        )
    return "\n".join(lines)


BLOCKS = {  # what the README holds between two markers -> what makes it
    "paper map": markdown,
    "status": status,
}


def markers(block: str) -> tuple[str, str]:
    return (
        f"<!-- {block}: made by python -m metabin course map --write -->",
        f"<!-- end of the {block} -->",
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m metabin course map", description="The paper map and its status."
    )
    parser.add_argument(
        "--write", action="store_true", help="put both into README.md, between their markers"
    )
    if not parser.parse_args(arguments).write:
        print(markdown(), status(), sep="\n\n")
        return 0
    readme = ROOT / "README.md"
    text = readme.read_text()
    for block, make in BLOCKS.items():
        begin, end = markers(block)
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            parser.exit(
                2,
                f"README.md has no line {begin} followed by {end}: put both where the {block} shall stand\n",
            )
        text = f"{before}{begin}\n{make()}\n{end}{after}"
    readme.write_text(text)
    return 0
