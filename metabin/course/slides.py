"""What of a lesson stands on slides: nothing is marked in the notebooks, one plain rule reads them.

A `##` heading begins a slide. A figure, a widget's frames, a quote, an equation, a list, a table
and an exercise stand on one; a source, of a `spec` cell or of a show(), stands below it. A
paragraph shows its first sentence, and its last one where that ends in a colon; whole it is a
speaker note. "Predict" stands alone, before its answer. Other code is left out, and so are choice
boxes, asides in brackets, solutions, further reading and appendices.
The browser makes the letters of a full slide smaller (deck.js).
"""

import re
from dataclasses import dataclass, field, replace

from metabin.course.blocks import (
    Block,
    blocks_of,
    docstring_and_code,
    first_sentence,
    last_sentence,
    pages_of,
)
from metabin.course.lessons import tagged

LINES, LETTERS = 11, 72  # of text on a slide, and letters in such a line
CODE_LINES = 24  # of a source on a slide
RESULT_LINES = 18  # of a table or print, whose letters may be smaller; a longer one is a note
ALONE = 3  # least lines of a printed result with a slide to itself
RESULTS = ("output", "table")
LEAD = 3  # most sentences that lead to what a slide shows
QUOTE_WORDS = 70  # longer quotes are notes
EXERCISE = re.compile(r"\*\*(\d+)\. (.+?)\*\* \(([^)]*)\)\.?\s*(.*)", re.DOTALL)
BEHIND = ("Further reading", "Appendix")  # parts for readers
PICTURED = ("figure", "picture", "frames")
EXPLAINED = (*PICTURED, "quote", "math", "table", "output")  # by the paragraph behind it


@dataclass
class Slide:
    """One slide; `part` is the `##` heading that it belongs to, or the lesson's title."""

    lesson: str
    part: str
    heading: str
    shown: list[Block] = field(default_factory=list)
    notes: list[Block] = field(default_factory=list)
    below: bool = False  # a source, which belongs to the slide before it

    @property
    def last(self) -> str:
        """The kind of the last block that is shown."""
        return self.shown[-1].kind if self.shown else ""

    def room(self) -> float:
        """How many lines of text it still takes."""
        return LINES - sum(map(height, self.shown))


def height(block: Block) -> float:
    """About how many lines of text a block is high."""
    if block.kind in PICTURED:
        return 7
    if block.kind == "math":
        return 2 + block.source.count(r"\\")
    if block.kind in ("code", "output"):
        return 0.7 * block.source.count("\n") + 0.7
    return sum(1 + len(line) // LETTERS for line in block.source.splitlines())


def sentences(block: Block) -> list[Block]:
    """What is shown of a paragraph: its first sentence, and its last one if it ends in a colon."""
    first, last = first_sentence(block.source), last_sentence(block.source)
    shown = [first, last] if last != first and last.endswith(":") else [first]
    return [Block("text", sentence, attachments=block.attachments) for sentence in shown]


class SlideLayout:
    """Puts a lesson's blocks on slides, one after another."""

    def __init__(self, lesson: str, title: str):
        self.lesson = lesson
        self.slides = [Slide(lesson, title, title)]
        self.lead: list[Block] = []  # sentences that lead to what comes next

    @property
    def slide(self) -> Slide:
        return self.slides[-1]

    def begin(self, heading: str | None = None, part: str | None = None) -> None:
        """A new slide, under the same heading where no other is given."""
        part, heading = part or self.slide.part, heading or self.slide.heading
        self.slides.append(Slide(self.lesson, part, heading))

    def end(self) -> None:
        """The end of a part: sentences that lead nowhere are shown where nothing else is."""
        if not self.slide.shown:
            self.slide.shown = self.lead[-LEAD:]
        self.lead = []

    def put(self, block: Block) -> None:
        """Any block but a heading or an exercise."""
        if is_note(block):
            self.slide.notes.append(block)
        elif block.kind == "text":
            self.text(block)
        elif block.kind == "list":
            self.items(block)
        elif block.kind == "code":
            self.code(block)
        else:
            self.anchor(block)

    def text(self, block: Block) -> None:
        """A paragraph: one sentence below what it explains, or it leads to what comes next."""
        self.slide.notes.append(block)
        goes_on = self.slide.shown and block.source[0].islower()  # after a formula: says little
        if self.slide.last == "predict" or goes_on or block.source[0] == "(":
            return
        first, *others = sentences(block)
        slide = self.explained()
        explains = slide.last in EXPLAINED and not self.lead and first.source[-1] != ":"
        if explains and height(first) <= slide.room():
            slide.shown.append(first)
        else:
            others.insert(0, first)
        self.lead += others

    def explained(self) -> Slide:
        """What the next sentence explains: a figure, also where what it shows is printed behind."""
        before = self.slides[-2:][0]
        only_results = all(block.kind in RESULTS for block in self.slide.shown)
        return before if only_results and before.last in PICTURED else self.slide

    def anchor(self, block: Block) -> None:
        """What is shown whole: on this slide where it has room, else on a new one."""
        kinds, result = [shown.kind for shown in self.slide.shown], block.kind in RESULTS
        lead = self.lead[-1:] if block.kind in PICTURED else self.lead[-LEAD:]
        alone = block.kind in (*PICTURED, "predict") or self.slide.last in ("code", "predict")
        if self.slide.last == "code" and result:
            alone = bool(lead)
        alone = alone or any(kind in PICTURED for kind in kinds)
        needed = height(block) + sum(map(height, lead))
        if set(kinds) - {"text"} and (alone or needed > self.slide.room()):
            lines = block.source.count("\n") + 1 - 2 * (block.kind == "table")
            if result and not lead and lines < ALONE:
                self.slide.notes.append(block)
                return
            self.begin()
        self.slide.shown += [*lead, block]
        self.lead = []

    def items(self, block: Block) -> None:
        """A list: whole if it fits on a slide, else its items' first sentences."""
        if height(block) > LINES:
            self.slide.notes.append(block)
            items = re.split(r"\n(?=(?:[-*]|\d+\.) )", block.source)
            block = replace(block, source="\n".join(map(first_sentence, items)))
        self.anchor(block)

    def code(self, block: Block) -> None:
        """A source, on slides of its own below what leads to it."""
        docstring, code = docstring_and_code(block.source)
        pieces = pages_of(code, CODE_LINES)
        self.lead = []
        for number, piece in enumerate(pieces, 1):
            if self.slide.shown:
                self.begin()
                self.slide.below = True
            title = f"{block.title} ({number} of {len(pieces)})" if pieces[1:] else block.title
            self.slide.shown.append(Block("code", piece, title))
        if docstring:
            self.slides[-len(pieces)].notes.append(Block("text", docstring))

    def exercise(self, block: Block) -> None:
        """An exercise: its number, name and task."""
        number, title, level, task = EXERCISE.match(block.source).groups()
        self.end()
        self.begin(f"Exercise {number}: {title} ({level})")
        self.slide.shown.append(Block("text", task, attachments=block.attachments))


def is_note(block: Block) -> bool:
    """Whether a block is too long for a wall, or not meant for it."""
    lines = block.source.count("\n") + 1
    if block.kind in RESULTS:
        return lines > RESULT_LINES
    if block.kind == "quote":
        return len(block.source.split()) > QUOTE_WORDS
    return block.kind in ("aside", "fence")


def slides_of(notebook, lesson: str) -> list[Slide]:
    """The slides of an executed lesson, from its title to its last exercise."""
    layout = opening(notebook, lesson)
    part, solved = None, False
    for cell in notebook.cells[2:]:
        if tagged(cell, "exercise"):
            stub = cell.source.removeprefix("```python\n").removesuffix("\n```")
            layout.slide.shown.append(Block("code", stub))
        if tagged(cell, "exercise") or tagged(cell, "solution"):
            solved = tagged(cell, "solution")
            continue
        for block in blocks_of(cell):
            if block.kind == "heading":
                layout.end()
                marks, _, heading = block.source.partition(" ")
                part = heading if marks == "##" else part
                layout.begin(heading, part)
            elif part == "Exercises" and EXERCISE.match(block.source):
                layout.exercise(block)
                solved = False
            elif part == "Exercises" and cell.cell_type == "markdown":
                # what stands behind a solution is about the answer
                (layout.slide.notes if solved else layout.slide.shown).append(block)
            elif part and part != "Exercises":
                layout.put(block)
    layout.end()
    shown = [slide for slide in layout.slides if slide.shown]
    return [slide for slide in shown if slide.part not in BEHIND]


def opening(notebook, lesson: str) -> SlideLayout:
    """The title with its picture and question, and the goals; the rest is for the speaker."""
    title, *others = blocks_of(notebook.cells[0])
    layout = SlideLayout(lesson, title.source.lstrip("# ").partition(" ")[2])
    for block in others:
        shown = block.kind in ("picture", "quote") or block.source.startswith("**The question")
        (layout.slide.shown if shown else layout.slide.notes).append(block)
    layout.begin("After this lesson you can", "After this lesson you can")
    for block in blocks_of(notebook.cells[1]):
        if block.kind == "list" and not layout.slide.shown:
            layout.items(block)
        elif not block.source.startswith("**Goals.**"):
            layout.slide.notes.append(block)
    return layout
