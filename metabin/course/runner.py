"""Runs lessons headless by papermill and collects what they find."""

import datetime
import hashlib
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from metabin.course.lesson import RECORD, brief, repo_root

# Not imported at the top: papermill and nbconvert, so that a missing one can be named in one line. Never imported at all:
# torch, since a kernel's peak memory as the system counts it is at least the peak of the process that started it.
from metabin.course.lessons import (
    executed_copy,
    promised_seconds,
    read_notebook,
    tagged,
    working_copy,
)
from metabin.course.parameters import values_for
from metabin.runs.provenance import provenance, write_json

ROOT = repo_root()


@dataclass
class Outcome:
    """What came of one lesson."""

    lesson: str
    sha256: str
    parameters: dict
    seconds: float = 0.0
    peak_bytes: int | None = (
        None  # the kernel's largest resident memory; None when the lesson didn't reach its end
    )
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
    spec.env = {
        "PYTHONPATH": path,
        "TQDM_DISABLE": "1",
    }  # a progress bar would fill the executed copy
    return type("ThisPython", (AsyncKernelManager,), {"kernel_spec": spec})


def run_lesson(lesson: Path, values: dict, build: Path, line: str = "") -> Outcome:
    """Run one lesson in its own folder; writes the executed copy and the page whether it fails or not.

    On a terminal the progress `line` is kept up to date.
    """
    import nbformat

    from metabin.course.pages import to_page

    outcome = Outcome(lesson.stem, hashlib.sha256(lesson.read_bytes()).hexdigest(), values)
    executed, page, results = (
        build / kind / f"{lesson.stem}{suffix}"
        for kind, suffix in (("notebooks", ".ipynb"), ("html", ".html"), ("results", ".json"))
    )
    for path in (executed, page, results):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(
            missing_ok=True
        )  # nothing of an earlier run may stand beside this one's failure
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
        injected = (
            bool(values) and error.cell_index > start
        )  # papermill puts the values into a cell behind that one
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
        manifest["lessons"].append(
            {key: value for key, value in vars(outcome).items() if key != "recorded"}
        )
        write_json(
            build / "manifest.json", manifest
        )  # after every lesson: a run that is stopped leaves what it did
    for text in table(outcomes):
        print(text)
    failed = [outcome.lesson for outcome in outcomes if outcome.error]
    print(f"pages, executed notebooks, numbers and how they came about: {os.path.relpath(build)}")
    print(
        "; ".join(
            [
                f"{len(outcomes) - len(failed)} of {len(outcomes)} lessons ran",
                *(f"{x} failed" for x in failed),
            ]
        )
    )
    return int(bool(failed))


def told(outcome: Outcome, promised: float | None) -> str:
    """The end of a lesson's progress line, and a line for what is wrong."""
    memory = f"{outcome.peak_bytes / 2**20:.0f} MiB" if outcome.peak_bytes else "memory unknown"
    text = f"{outcome.seconds:.0f} s, {memory}"
    if outcome.error:
        return f"FAILED after {text}\n      {outcome.error}"
    slow = (
        promised
        and outcome.parameters.get("profile", "demo") == "demo"
        and outcome.seconds > 2 * promised
    )
    return text + (
        f"\n      slow: more than twice the {promised:.0f} s in its header" if slow else ""
    )


def table(outcomes: list[Outcome]) -> list[str]:
    """The recorded values of all lessons as lines of text."""
    rows = [(outcome.lesson, *item) for outcome in outcomes for item in outcome.recorded.items()]
    wide, wider = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
    return [f"{lesson:{wide}}  {name:{wider}}  {brief(value)}" for lesson, name, value in rows]


def executed(lessons: list[Path], build: Path) -> dict[Path, object]:
    """An executed copy of every lesson as it stands now; those that have none are run first, in the demo profile.

    Raises RuntimeError, naming the lessons, when one didn't run.
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
