"""The command line of the course: run, handouts, slides, exercises, map.

A command's modules are imported when it is called: `--help` must not wait for papermill.
"""

import argparse
import importlib.util
import os
import sys
from importlib import import_module
from pathlib import Path

from metabin.course.lessons import find_lessons
from metabin.course.parameters import from_file, from_pairs, values_for
from metabin.runs.provenance import ROOT

NEEDED = ("papermill", "nbconvert", "ipykernel", "latex2mathml")


def run(chosen) -> int:
    """run the lessons headless and collect what they find"""
    from metabin.course import runner

    values = from_file(chosen.file) | from_pairs(chosen.parameter)
    common = {"profile": chosen.profile, "seed": chosen.seed}
    return runner.run(values_for(lessons(chosen.lesson), common, values), ROOT / "build")


def handouts(chosen) -> int:
    """make a page of every lesson, to read and to print, in build/html/, and index.html to them"""
    from metabin.course.pages import write_pages
    from metabin.course.runner import executed_copies

    copies = executed_copies(lessons(chosen.lesson), ROOT / "build")
    for path in write_pages(copies, ROOT / "build" / "html"):
        print(os.path.relpath(path))
    return 0


def slides(chosen) -> int:
    """make a deck of slides of every lesson, or of a lesson plan, in build/slides/"""
    from metabin.course.deck import lesson_deck, plan_deck
    from metabin.course.plans import find_plan
    from metabin.course.runner import executed_copies

    folder, plan = ROOT / "build" / "slides", None
    if chosen.plan:
        plan = find_plan(ROOT / "notebooks" / "lesson_plans.md", chosen.plan)
    wanted = lessons(",".join(plan.lessons) if plan else chosen.lesson)
    copies = executed_copies(wanted, ROOT / "build")
    if plan:
        write(folder / f"plan_{plan.name}.html", plan_deck(plan, copies))
        return 0
    for lesson, notebook in copies.items():
        write(folder / f"{lesson.stem}.html", lesson_deck(lesson.stem, notebook))
    return 0


def exercises(chosen) -> int:
    """make exercise sheets, with and without solutions, in build/exercises/"""
    from metabin.course.sheets import write_sheets

    for lesson in lessons(chosen.lesson):
        for path in write_sheets(lesson, ROOT / "build" / "exercises"):
            print(os.path.relpath(path))
    return 0


def lessons(wanted: str) -> list[Path]:
    return find_lessons(ROOT / "notebooks", wanted)


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    print(os.path.relpath(path))


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="python -m metabin course", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    made = {}
    for work in (run, handouts, slides, exercises):
        made[work] = commands.add_parser(work.__name__, help=work.__doc__)
        made[work].set_defaults(work=work)
        made[work].add_argument("--lesson", default="", help="such as 6 or 02,06 (default: all)")
    made[slides].add_argument(
        "--plan", default="", help="a plan of notebooks/lesson_plans.md, such as 45"
    )
    option = made[run].add_argument
    option("--profile", default="demo", help="how large everything is (default: demo)")
    option("--seed", default="0", help="where random numbers start (default: 0)")
    option("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE")
    option("-f", "--file", type=Path, help="a YAML file of parameters")
    paper_map = "print or write the table that leads from the paper to code, lessons and tests"
    commands.add_parser("map", help=paper_map, add_help=False)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Call a command. Returns 0: all made, 1: a lesson failed, 2: nothing ran, 130: stopped."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["map"]:
        return import_module("metabin.course.paper_map").main(words[1:])
    chosen = parser().parse_args(words)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        names = ", ".join(missing)
        print(
            f"{names} not installed in {sys.executable}: pip install -e '.[all]'", file=sys.stderr
        )
        return 2
    try:
        return chosen.work(chosen)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
