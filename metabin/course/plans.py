"""Lesson plans: a class of so many minutes as parts of lessons, read from the tables of notebooks/lesson_plans.md."""

import re
from dataclasses import dataclass
from pathlib import Path

from metabin.course.room import Slide

HEADING = re.compile(r"## (?:([A-Z]\w+) )?(\d+) minutes: (.+)")
ROW = re.compile(r"\|\s*(\d+)\s*\|\s*(?:\[(\d\d)\][^|]*?)?\|([^|]*)\|([^|]*)\|$")


@dataclass(frozen=True)
class Part:
    """A row of a plan: minutes for a lesson's part (a heading, "Exercise 2") or, without a lesson, for something else."""

    minutes: int
    lesson: str  # its number, as 02, or nothing
    name: str
    why: str


@dataclass(frozen=True)
class Plan:
    """A class of `minutes`, which its parts use up; its name is their number, or the word before it in the heading."""

    name: str
    minutes: int
    title: str
    parts: tuple[Part, ...]

    @property
    def lessons(self) -> list[str]:
        """The numbers of the lessons that it uses."""
        return sorted({part.lesson for part in self.parts} - {""})


def read_plans(path: Path) -> dict[str, Plan]:
    """All plans of a file by their names; raises ValueError when the parts of one don't add up, or a name is there twice."""
    plans, parts = {}, []
    for line in path.read_text(encoding="utf-8").splitlines():
        if heading := HEADING.match(line):
            word, minutes, title = heading.groups()
            name, parts = (word or minutes).lower(), []
            if name in plans:
                raise ValueError(
                    f"{path.name}: two plans are called {name}; begin a heading by a word, as ## Next 90 minutes:"
                )
            plans[name] = int(minutes), title, parts
        elif row := ROW.match(line):
            parts.append(Part(int(row[1]), row[2] or "", row[3].strip(), row[4].strip()))
    for name, (minutes, _, parts) in plans.items():
        found = sum(part.minutes for part in parts)
        if found != minutes:
            raise ValueError(
                f"{path.name}: the parts of the plan {name} take {found} minutes, not {minutes}"
            )
    return {
        name: Plan(name, minutes, title, tuple(parts))
        for name, (minutes, title, parts) in plans.items()
    }


def find_plan(path: Path, wanted: str) -> Plan:
    """The plan of that name, as 45 or next."""
    plans = read_plans(path)
    if wanted.lower() not in plans:
        raise ValueError(f"no plan is called {wanted!r}; there are {', '.join(plans)}")
    return plans[wanted.lower()]


def slides_for(part: Part, slides: list[Slide]) -> list[Slide]:
    """The slides of a lesson that a part names by a heading, or by the number of an exercise; ValueError if there are none."""
    exercise = f"{part.name}:" if part.name.startswith("Exercise ") else None
    found = [
        s
        for s in slides
        if (s.heading.startswith(exercise) if exercise else part.name in (s.part, s.heading))
    ]
    if not found:
        raise ValueError(
            f"the {part.minutes} minutes for {part.name!r}: lesson {part.lesson} has no such part"
        )
    return found
