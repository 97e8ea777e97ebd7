"""The course as an instrument: runs the lessons headless by papermill and collects what they find.

    python -m metabin.course run --profile demo --seed 0 --lesson 02 -p iterations=50

Values are checked against the lessons' `parameters` cells before anything runs. What comes out lies in build/: executed
copies (notebooks/), self-contained pages (html/), recorded numbers (results/) and how they came about (manifest.json).
"""

import argparse
import base64
import copy
import datetime
import hashlib
import importlib.util
import mimetypes
import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

# Not imported at the top: papermill and nbconvert, so that a missing one can be named in one line. Never imported at all:
# torch, since a kernel's peak memory as the system counts it is at least the peak of the process that started it.
from metabin.lesson import RECORD, brief, repo_root
from metabin.parameters import Text, declared_parameters, did_you_mean, tagged
from metabin.provenance import provenance, write_json

ROOT = repo_root()
NEEDED = ("papermill", "nbconvert", "ipykernel", "latex2mathml")
TIME = re.compile(r"^\*\*Time\.\*\* about (\d+(?:\.\d+)?) (s|min)\b", re.MULTILINE)
PICTURE = re.compile(r"!\[([^\]]*)\]\((?![a-z]+:)([^)\s]+)\)")

# Run after the last cell. The system counts in bytes on macOS and in KiB on Linux.
PROBE = """import resource, sys
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))"""


# ---- lessons and their parameters ----------------------------------------------------------------------------------


def find_lessons(folder: Path, wanted: str = "") -> list[Path]:
    """The lessons NN_*.ipynb of a folder in order; `wanted` picks some by the beginning of their names ("02,06")."""
    lessons = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not lessons:
        raise ValueError(f"no lesson (NN_name.ipynb) in {folder}")
    starts = wanted.replace(",", " ").split()
    for start in starts:
        if not any(lesson.name.startswith(start) for lesson in lessons):
            raise ValueError(f"no lesson begins with {start!r}; there are {', '.join(x.stem for x in lessons)}")
    return [x for x in lessons if not starts or x.name.startswith(tuple(starts))]


def plan(lessons: list[Path], common: dict, given: dict) -> dict[Path, dict]:
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
            known = list(dict.fromkeys(name for parameters in declared.values() for name in parameters))
            lesson = lessons[0].stem if len(lessons) == 1 else f"{lessons[0].stem} to {lessons[-1].stem}"
            raise ValueError(
                f"{lesson}: no parameter {name!r}{did_you_mean(name, known)} (there are {', '.join(known)})"
            )
    values = {}
    for lesson, parameters in declared.items():
        try:
            values[lesson] = {n: parameters[n].read(v) for n, v in (common | given).items() if n in parameters}
        except ValueError as error:
            raise ValueError(f"{lesson.stem}: {error}") from None
    return values


def promised_seconds(notebook) -> float | None:
    """The time that the header's line `**Time.** about 40 s` (or `3 min`) states, in seconds."""
    found = TIME.search(notebook.cells[1].source if len(notebook.cells) > 1 else "")
    return float(found[1]) * (60 if found[2] == "min" else 1) if found else None


# ---- running one lesson --------------------------------------------------------------------------------------------


def read_notebook(path: Path):
    import nbformat

    return nbformat.read(path, as_version=4)


def working_copy(notebook, folder: Path):
    """What is run: pictures carried inside, exercises to read but not to run, and a last cell that measures memory."""
    import nbformat

    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code" and tagged(cell, "exercise"):
            cell.update(cell_type="markdown", source=f"```python\n{cell.source}\n```")
            del cell["outputs"], cell["execution_count"]
        elif cell.cell_type == "markdown":
            carry_pictures(cell, folder)
    notebook.cells.append(nbformat.v4.new_code_cell(PROBE, metadata={"tags": ["probe"]}))
    return notebook


def carry_pictures(cell, folder: Path) -> None:
    """Turn a markdown cell's pictures from files beside the notebook into attachments, which any copy of it keeps."""

    def attach(found: re.Match) -> str:
        path = folder / found[2]
        if not path.is_file():
            return found[0]
        data = base64.b64encode(path.read_bytes()).decode()
        cell.setdefault("attachments", {})[path.name] = {mimetypes.guess_type(path.name)[0]: data}
        return f"![{found[1]}](attachment:{path.name})"

    cell.source = PICTURE.sub(attach, cell.source)


@dataclass
class Outcome:
    """What came of one lesson."""

    lesson: str
    sha256: str
    parameters: dict
    seconds: float = 0.0
    peak_bytes: int | None = None  # the kernel's largest resident memory; None when the lesson didn't reach its end
    error: str | None = None
    recorded: dict = field(default_factory=dict)


def this_python():
    """A kernel manager that starts the interpreter and the package which run this, whatever 'python3' is registered."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    spec = KernelSpec(**get_kernel_dict())
    spec.argv = [sys.executable, *spec.argv[1:], "--log-level=ERROR"]
    spec.env = {"PYTHONPATH": path, "TQDM_DISABLE": "1"}  # a progress bar would fill the executed copy
    return type("ThisPython", (AsyncKernelManager,), {"kernel_spec": spec})


def run_lesson(lesson: Path, values: dict, build: Path, line: str = "") -> Outcome:
    """Run one lesson in its own folder; writes the executed copy and the page whether it fails or not.

    On a terminal the progress `line` is kept up to date.
    """
    import nbformat

    from metabin.pages import to_page

    outcome = Outcome(lesson.stem, hashlib.sha256(lesson.read_bytes()).hexdigest(), values)
    executed, page, results = (
        build / kind / f"{lesson.stem}{suffix}"
        for kind, suffix in (("notebooks", ".ipynb"), ("html", ".html"), ("results", ".json"))
    )
    for path in (executed, page, results):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # nothing of an earlier run may stand beside this one's failure
    start = time.perf_counter()
    outcome.error = execute(lesson, values, executed, line)
    outcome.seconds = time.perf_counter() - start
    if not executed.is_file():
        return outcome
    notebook = read_notebook(executed)
    collect(notebook, outcome)
    notebook.cells = [cell for cell in notebook.cells if not tagged(cell, "probe")]
    nbformat.write(notebook, executed)
    try:
        page.write_text(to_page(notebook, lesson.stem), encoding="utf-8")
    except Exception as error:  # whatever a formula that can't be drawn raises
        outcome.error = outcome.error or f"no page could be made: {type(error).__name__}: {error}"
    if outcome.error is None:
        write_json(results, {"parameters": values, "recorded": outcome.recorded})
    return outcome


def execute(lesson: Path, values: dict, executed: Path, line: str) -> str | None:
    """Let papermill run a lesson into an executed copy; returns what went wrong in which cell, or None."""
    import papermill

    notebook = read_notebook(lesson)

    def on_cell_start(cell, cell_index: int) -> None:
        if sys.stdout.isatty():
            print(f"\r{line}cell {cell_index}/{len(notebook.cells)} \r{line}", end="", flush=True)

    try:
        papermill.execute_notebook(
            working_copy(notebook, lesson.parent),
            executed,
            parameters=values,
            cwd=lesson.parent,
            kernel_name="python3",
            progress_bar=False,
            kernel_manager_class=this_python(),
            on_cell_start=on_cell_start,
        )
    except papermill.PapermillExecutionError as error:
        start = next(i for i, cell in enumerate(notebook.cells) if tagged(cell, "parameters"))
        injected = bool(values) and error.cell_index > start  # papermill puts the values into a cell behind that one
        first = next((text.strip() for text in error.source.splitlines() if text.strip()), "")
        return f"cell {error.cell_index - injected} (“{first}”): {error.ename}: {error.evalue}"
    except Exception as error:  # a kernel that died or never came: the other lessons go on
        return f"{type(error).__name__}: {error}"
    return None


def collect(executed, outcome: Outcome) -> None:
    """Read the recorded values and the peak memory out of an executed notebook."""
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            found = output.get("data", {}).get(RECORD)
            if found and found["name"] in outcome.recorded:
                outcome.error = outcome.error or f"{found['name']!r} is recorded twice"
            if found:
                outcome.recorded[found["name"]] = found["value"]
            if tagged(cell, "probe") and output.get("name") == "stdout":
                outcome.peak_bytes = int(output.text)
    if outcome.peak_bytes is None:
        outcome.error = outcome.error or "ended before its last cell"


# ---- the whole run -------------------------------------------------------------------------------------------------


def run(planned: dict[Path, dict], build: Path) -> int:
    """Run lessons with their values and print what they found; returns 1 when one failed (the others still run), else 0."""
    (build / "manifest.json").unlink(missing_ok=True)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    manifest = provenance() | {"started": started, "lessons": []}
    outcomes = []
    for number, (lesson, values) in enumerate(planned.items(), 1):
        line = f"[{number}/{len(planned)}] {lesson.stem} … "
        print(line, end="", flush=True)
        outcome = run_lesson(lesson, values, build, line)
        print(told(outcome, promised_seconds(read_notebook(lesson))), flush=True)
        outcomes.append(outcome)
        manifest["lessons"].append({key: value for key, value in vars(outcome).items() if key != "recorded"})
        write_json(build / "manifest.json", manifest)  # after every lesson: a run that is stopped leaves what it did
    for text in table(outcomes):
        print(text)
    failed = [outcome.lesson for outcome in outcomes if outcome.error]
    print(f"pages, executed notebooks, numbers and how they came about: {os.path.relpath(build)}")
    print(
        "; ".join([f"{len(outcomes) - len(failed)} of {len(outcomes)} lessons ran", *(f"{x} failed" for x in failed)])
    )
    return int(bool(failed))


def told(outcome: Outcome, promised: float | None) -> str:
    """The end of a lesson's progress line, and a line for what is wrong."""
    memory = f"{outcome.peak_bytes / 2**20:.0f} MiB" if outcome.peak_bytes else "memory unknown"
    text = f"{outcome.seconds:.0f} s, {memory}"
    if outcome.error:
        return f"FAILED after {text}\n      {outcome.error}"
    slow = promised and outcome.parameters.get("profile", "demo") == "demo" and outcome.seconds > 2 * promised
    return text + (f"\n      slow: more than twice the {promised:.0f} s in its header" if slow else "")


def table(outcomes: list[Outcome]) -> list[str]:
    """The recorded values of all lessons as lines of text."""
    rows = [(outcome.lesson, *item) for outcome in outcomes for item in outcome.recorded.items()]
    wide, wider = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
    return [f"{lesson:{wide}}  {name:{wider}}  {brief(value)}" for lesson, name, value in rows]


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


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code: 0 all ran, 1 a lesson failed, 2 nothing ran, 130 stopped by hand."""
    parser = argparse.ArgumentParser(prog="python -m metabin.course", description="The course as an instrument.")
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="run the lessons headless and collect what they find")
    runner.add_argument("--profile", default="demo", help="how large everything is (default: demo)")
    runner.add_argument("--seed", default="0", help="where the random numbers start (default: 0)")
    runner.add_argument("--lesson", default="", help="only lessons whose names begin so, as 02 or 02,06 (default: all)")
    runner.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="another parameter"
    )
    runner.add_argument("-f", "--file", type=Path, help="a YAML file of parameters")
    chosen = parser.parse_args(arguments)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"{', '.join(missing)} not installed in {sys.executable}: pip install -e '.[all]'", file=sys.stderr)
        return 2
    try:
        given = from_file(chosen.file) | from_pairs(chosen.parameter)
        common = {"profile": Text(chosen.profile), "seed": Text(chosen.seed)}
        planned = plan(find_lessons(ROOT / "notebooks", chosen.lesson), common, given)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        return run(planned, ROOT / "build")
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
