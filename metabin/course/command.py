"""The command line: run, handouts, slides, exercises."""

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from metabin.course import runner
from metabin.course.lessons import find_lessons
from metabin.course.parameters import Text, from_file, from_pairs, values_for

NEEDED = ("papermill", "nbconvert", "ipykernel", "latex2mathml")


def run(chosen) -> int:
    """Run lessons with the values that are typed or in a file."""
    given = from_file(chosen.file) | from_pairs(chosen.parameter)
    common = {"profile": Text(chosen.profile), "seed": Text(chosen.seed)}
    planned = values_for(find_lessons(runner.ROOT / "notebooks", chosen.lesson), common, given)
    return runner.run(planned, runner.ROOT / "build")


def handouts(chosen) -> int:
    """A page for every lesson, from its executed copy."""
    from metabin.course.pages import to_page

    folder = runner.ROOT / "build" / "html"
    lessons = find_lessons(runner.ROOT / "notebooks", chosen.lesson)
    for lesson, notebook in runner.executed(lessons, runner.ROOT / "build").items():
        write(folder / f"{lesson.stem}.html", to_page(notebook, lesson.stem))
    return 0


def slides(chosen) -> int:
    """A deck for every lesson, or one for a lesson plan."""
    from metabin.course.deck import lesson_deck, plan_deck
    from metabin.course.plans import find_plan
    from metabin.course.vendor import MATHJAX, REVEAL, fetch

    folder = runner.ROOT / "build" / "slides"
    lessons = find_lessons(runner.ROOT / "notebooks", chosen.lesson)
    plan = (
        find_plan(runner.ROOT / "notebooks" / "lesson_plans.md", chosen.plan)
        if chosen.plan
        else None
    )
    if plan:
        lessons = find_lessons(runner.ROOT / "notebooks", ",".join(plan.lessons))
    for package in (REVEAL, MATHJAX):
        fetch(package, folder / "vendor")
    copies = runner.executed(lessons, runner.ROOT / "build")
    if plan:
        write(folder / f"plan_{plan.name}.html", plan_deck(plan, copies))
    else:
        for lesson, notebook in copies.items():
            write(folder / f"{lesson.stem}.html", lesson_deck(lesson.stem, notebook))
    return 0


def exercises(chosen) -> int:
    """Two sheets for every lesson: without solutions for students, with them for teachers."""
    from metabin.course.sheets import write_sheets

    for lesson in find_lessons(runner.ROOT / "notebooks", chosen.lesson):
        for path in write_sheets(lesson, runner.ROOT / "build" / "exercises"):
            print(os.path.relpath(path))
    return 0


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    print(os.path.relpath(path))


def parser() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = argparse.ArgumentParser(
        prog="python -m metabin course", description="The course as an instrument."
    )
    commands = parser.add_subparsers(required=True)
    made = {
        run: "run the lessons headless and collect what they find",
        handouts: "make a page of every lesson, to read and to print, in build/html/",
        slides: "make a deck of slides of every lesson, or of a lesson plan, in build/slides/",
        exercises: "make exercise sheets, with and without solutions, in build/exercises/",
    }
    for work, text in made.items():
        command = commands.add_parser(work.__name__, help=text)
        command.set_defaults(work=work)
        command.add_argument(
            "--lesson",
            default="",
            help="only lessons whose names begin so, as 02 or 02,06 (default: all)",
        )
        if work is slides:
            command.add_argument(
                "--plan", default="", help="a plan of notebooks/lesson_plans.md, as 45"
            )
        if work is run:
            command.add_argument(
                "--profile", default="demo", help="how large everything is (default: demo)"
            )
            command.add_argument(
                "--seed", default="0", help="where the random numbers start (default: 0)"
            )
            command.add_argument(
                "-p",
                "--parameter",
                action="append",
                default=[],
                metavar="NAME=VALUE",
                help="another parameter",
            )
            command.add_argument("-f", "--file", type=Path, help="a YAML file of parameters")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code: 0 all made, 1 a lesson failed, 2 nothing ran, 130 stopped by hand."""
    chosen = parser().parse_args(arguments)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"{', '.join(missing)} not installed in {sys.executable}: pip install -e '.[all]'",
            file=sys.stderr,
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
