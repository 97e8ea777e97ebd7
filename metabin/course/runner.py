"""Runs lessons headless by papermill and collects what they find.

papermill and nbconvert are imported where they are used, so that a missing one can be named in one
line. torch is never imported: the peak memory of a kernel, as the system counts it, is at least
that of the process that started it.
"""

import datetime
import hashlib
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from metabin.course.lesson import RECORD, brief
from metabin.course.lessons import (
    executed_copy,
    promised_seconds,
    read_notebook,
    tagged,
    working_copy,
)
from metabin.course.parameters import values_for
from metabin.runs.provenance import ROOT, provenance, write_json


@dataclass
class Outcome:
    """What came of one lesson; no `peak_bytes` where the lesson didn't reach its end."""

    lesson: str
    sha256: str
    parameters: dict
    seconds: float = 0.0
    peak_bytes: int | None = None  # the kernel's largest resident memory
    error: str | None = None
    recorded: dict = field(default_factory=dict)
    units: dict = field(default_factory=dict)
    meanings: dict = field(default_factory=dict)  # in words; "" where a result isn't in the table


def this_python():
    """A kernel manager that starts the interpreter and the package which run this."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    folders = [str(ROOT), os.environ.get("PYTHONPATH")]
    spec = KernelSpec(**get_kernel_dict())
    spec.argv = [sys.executable, *spec.argv[1:], "--log-level=ERROR"]
    spec.env = {
        "PYTHONPATH": os.pathsep.join(filter(None, folders)),
        "TQDM_DISABLE": "1",  # a progress bar would fill the executed copy
    }
    return type("ThisPython", (AsyncKernelManager,), {"kernel_spec": spec})


def run_lesson(lesson: Path, values: dict, build: Path, line: str = "") -> Outcome:
    """Run one lesson in its own folder; write its executed copy and page, also when it fails.

    On a terminal the progress `line` is kept up to date.
    """
    import nbformat

    from metabin.course.pages import write_pages

    outcome = Outcome(lesson.stem, hashlib.sha256(lesson.read_bytes()).hexdigest(), values)
    executed = build / "notebooks" / f"{lesson.stem}.ipynb"
    page = build / "html" / f"{lesson.stem}.html"
    results = build / "results" / f"{lesson.stem}.json"
    for path in (executed, page, results):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # no earlier result stands beside this run's failure
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
        write_pages({lesson: notebook}, page.parent)
    except Exception as error:  # whatever a formula that can't be drawn raises
        outcome.error = outcome.error or f"no page could be made: {type(error).__name__}: {error}"
    if outcome.error is None:
        kept = ("recorded", "units", "meanings")
        write_json(results, {"parameters": values} | {k: vars(outcome)[k] for k in kept})
    return outcome


def execute(lesson: Path, values: dict, executed: Path, line: str) -> str | None:
    """Run a lesson into an executed copy; returns what went wrong in which cell, or None."""
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
        # papermill puts the values into a cell of their own behind the parameters
        tags = [tagged(cell, "parameters") for cell in notebook.cells]
        injected = bool(values) and error.cell_index > tags.index(True)
        first = error.source.strip().partition("\n")[0]
        return f"cell {error.cell_index - injected} (“{first}”): {error.ename}: {error.evalue}"
    except Exception as error:  # a kernel that died or never came: the other lessons go on
        return f"{type(error).__name__}: {error}"
    return None


def collect(executed, outcome: Outcome) -> None:
    """Read the recorded results and the peak memory out of an executed notebook."""
    probed = ""  # what the probe printed, which may come in pieces
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            record = output.get("data", {}).get(RECORD)
            if record:
                name = record["name"]
                if name in outcome.recorded:
                    outcome.error = outcome.error or f"{name!r} is recorded twice"
                outcome.recorded[name] = record["value"]
                outcome.units[name] = record["unit"]
                outcome.meanings[name] = record["meaning"]
            if tagged(cell, "probe") and output.get("name") == "stdout":
                probed += output.text
    if probed.strip():
        outcome.peak_bytes = int(probed)
    else:
        outcome.error = outcome.error or "ended before its last cell"


# ---- the whole run -------------------------------------------------------------------------------


def run(planned: dict[Path, dict], build: Path) -> int:
    """Run lessons with their values and print what they find.

    Returns 1 when one failed (the others still run), else 0.
    """
    (build / "manifest.json").unlink(missing_ok=True)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    manifest = provenance() | {"started": started, "lessons": []}
    outcomes = []
    for number, (lesson, values) in enumerate(planned.items(), 1):
        line = f"[{number}/{len(planned)}] {lesson.stem} … "
        print(line, end="", flush=True)
        outcome = run_lesson(lesson, values, build, line)
        print(summary(outcome, promised_seconds(read_notebook(lesson))), flush=True)
        outcomes.append(outcome)
        entry = vars(outcome).copy()
        del entry["recorded"], entry["units"], entry["meanings"]
        manifest["lessons"].append(entry)
        write_json(build / "manifest.json", manifest)  # a run that is stopped leaves what it did
    print("\n".join(table(outcomes)))
    failed = [outcome.lesson for outcome in outcomes if outcome.error]
    counts = [f"{len(outcomes) - len(failed)} of {len(outcomes)} lessons ran"]
    print(
        f"pages, executed notebooks, all numbers and how they came about: {os.path.relpath(build)}"
    )
    print("; ".join(counts + [f"{lesson} failed" for lesson in failed]))
    return int(bool(failed))


def summary(outcome: Outcome, promised: float | None) -> str:
    """The end of a lesson's progress line, and a line for what is wrong."""
    memory = f"{outcome.peak_bytes / 2**20:.0f} MiB" if outcome.peak_bytes else "memory unknown"
    text = f"{outcome.seconds:.0f} s, {memory}"
    if outcome.error:
        return f"FAILED after {text}\n      {outcome.error}"
    demo = outcome.parameters.get("profile", "demo") == "demo"  # the header speaks of it
    if promised and demo and outcome.seconds > 2 * promised:
        text += f"\n      slow: more than twice the {promised:.0f} s in its header"
    return text


def table(outcomes: list[Outcome]) -> list[str]:
    """The results that say what they mean, a line each under their lesson's name."""
    lines = []
    for outcome in outcomes:
        told = {name: meaning for name, meaning in outcome.meanings.items() if meaning}
        width = max(map(len, told.values()), default=0)
        lines += ["", outcome.lesson] if told else []
        for name, meaning in told.items():
            value = brief(outcome.recorded[name], outcome.units[name])
            lines.append(f"  {meaning:{width}}  {value}")
    return [*lines, ""]


def executed_copies(lessons: list[Path], build: Path) -> dict[Path, object]:
    """An executed copy of every lesson as it stands now; those without one are run first.

    They run in the demo profile. Raises RuntimeError with the lessons that did not run.
    """
    copies = {lesson: executed_copy(lesson, build) for lesson in lessons}
    missing = [lesson for lesson, notebook in copies.items() if notebook is None]
    if missing:
        print(f"not run yet as they are now: {', '.join(lesson.stem for lesson in missing)}")
        run(values_for(missing, {"profile": "demo", "seed": 0}, {}), build)
        copies |= {lesson: executed_copy(lesson, build) for lesson in missing}
    failed = [lesson.stem for lesson, notebook in copies.items() if notebook is None]
    if failed:
        raise RuntimeError(f"{', '.join(failed)} did not run, so there is nothing to show")
    return copies
