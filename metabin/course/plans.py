"""Lesson plans: a class of so many minutes as parts of lessons, from notebooks/lesson_plans.md."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from metabin.course.blocks import Block
from metabin.course.slides import Slide

HEADING = re.compile(r"## (?:([A-Z]\w+) )?(\d+) minutes: (.+)")
ROW = re.compile(r"\|\s*(\d+)\s*\|\s*(?:\[(\d\d)\][^|]*?)?\|([^|]*)\|([^|]*)\|$")
VOTE = re.compile(r"\bquiz (\d+)")
QUESTION = re.compile(
    r"^### (\d+)\. (.+)\n\n((?:- .+\n)+)\n<details>.*\n\n((?s:.+?))\n\n</details>", re.MULTILINE
)


@dataclass(frozen=True)
class Part:
    """A row of a plan: minutes for a part of a lesson (a heading, "Exercise 2"), or for a break."""

    minutes: int
    lesson: str  # its number, such as 02, or nothing
    name: str
    why: str
    votes: tuple[Slide, ...] = ()  # questions of the quiz that `why` names


@dataclass(frozen=True)
class Plan:
    """A class; its name is the number of its minutes, or the word before it in the heading."""

    name: str
    minutes: int
    title: str
    parts: list[Part]

    @property
    def lessons(self) -> list[str]:
        """The numbers of the lessons that it uses."""
        return sorted({part.lesson for part in self.parts} - {""})


def read_plans(path: Path) -> dict[str, Plan]:
    """All plans of a file by their names.

    Raises ValueError when a plan's parts don't add up to its minutes, or a name is there twice.
    """
    plans, plan, quiz = {}, None, read_quiz(path.with_name("quiz.md"))
    for line in path.read_text(encoding="utf-8").splitlines():
        heading, row = HEADING.match(line), ROW.match(line)
        if heading:
            word, minutes, title = heading.groups()
            plan = Plan((word or minutes).lower(), int(minutes), title, [])
            if plan.name in plans:
                raise ValueError(
                    f"{path.name}: two plans are called {plan.name}; begin a heading by a word, "
                    "as ## Next 90 minutes:"
                )
            plans[plan.name] = plan
        elif row:
            minutes, lesson, name, why = row.groups()
            votes = tuple(quiz[number] for number in VOTE.findall(why))
            plan.parts.append(Part(int(minutes), lesson or "", name.strip(), why.strip(), votes))
    for plan in plans.values():
        total = sum(part.minutes for part in plan.parts)
        if total != plan.minutes:
            raise ValueError(
                f"{path.name}: the parts of the plan {plan.name} take {total} minutes, "
                f"not {plan.minutes}"
            )
    return plans


def find_plan(path: Path, wanted: str) -> Plan:
    """The plan of that name, such as 45 or next."""
    plans = read_plans(path)
    if wanted.lower() not in plans:
        raise ValueError(f"no plan is called {wanted!r}; there are {', '.join(plans)}")
    return plans[wanted.lower()]


def read_quiz(path: Path) -> dict[str, Slide]:
    """The questions of a quiz by number, each a slide to vote on with its answer in the notes."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    slides = {}
    for number, question, options, answer in QUESTION.findall(text):
        shown, notes = [Block("vote", options)], [Block("text", answer)]
        slides[number] = Slide("", f"Vote: quiz {number}", question, shown, notes)
    return slides


def slides_for(part: Part, slides: list[Slide]) -> list[Slide]:
    """The slides of a part: those of the lesson's heading or exercise that it names, its votes."""
    if not part.lesson:
        chosen = [Slide("", part.name, part.name, [Block("text", part.why)])]
    elif part.name.startswith("Exercise "):
        chosen = [slide for slide in slides if slide.heading.startswith(f"{part.name}:")]
    else:
        chosen = [slide for slide in slides if part.name in (slide.part, slide.heading)]
    if not chosen:
        raise ValueError(
            f"the {part.minutes} minutes for {part.name!r}: lesson {part.lesson} has no such part"
        )
    how = Block("text", f"**{part.minutes} minutes.** {part.why}")
    return [replace(chosen[0], notes=[how, *chosen[0].notes]), *chosen[1:], *part.votes]
