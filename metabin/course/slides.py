"""What of a lesson stands on slides: nothing is marked in the notebooks, one plain rule reads them.

A `##` heading begins a slide, and a figure, a paper's sentence, an equation, a list, a table, an exercise, the source of a
`spec` cell or of a show() stands on one. A paragraph shows its first sentence, whole it is a speaker note. "Predict" stands
alone, before its answer. Other code is left out, and so are choice boxes, solutions and further reading.
"""

import re
from dataclasses import dataclass, field

from metabin.course.blocks import (
    CODE_LETTERS,
    Block,
    blocks_of,
    docstring,
    first_sentence,
    pages_of,
    without_docstrings,
)
from metabin.course.lessons import tagged

LINES = 10  # of text, on a slide without a figure
BESIDE = 4  # of text, on a slide with one
LETTERS = 72  # in a line of text
QUOTE_WORDS = 70  # longer quotes are notes
OUTPUT, ALONE = (9, 85), 4  # most lines and letters of a printed result on a slide, and least lines of one by itself

EXERCISE = re.compile(r"\*\*(\d+)\. (.+?)\*\* \(([^)]*)\)\.?\s*(.*)", re.DOTALL)
PICTURED = ("figure", "picture")
EXPLAINED = (*PICTURED, "quote", "math", "table")  # what a paragraph right behind it explains
SIZE = {"code": 0.65, "output": 0.7, "table": 1.1, "predict": 1.5}  # height of a line of them, in lines of text


@dataclass
class Slide:
    """One slide; `part` is the `##` heading that it belongs to, or the lesson's title."""

    lesson: str
    part: str
    heading: str
    shown: list[Block] = field(default_factory=list)
    notes: list[Block] = field(default_factory=list)
    below: bool = False  # goes on with the source of the slide before it

    @property
    def anchored(self) -> bool:
        """Whether something stands here that is more than a sentence."""
        return any(block.kind != "text" for block in self.shown)

    @property
    def look(self) -> str:
        """How large its letters can be: "words" where nothing but text stands, else by the length of the source."""
        kinds = {block.kind for block in self.shown}
        lines = sum(height(block) / SIZE["code"] for block in self.shown if block.kind == "code")
        letters = max((len(line) for block in self.shown for line in block.source.splitlines()), default=0)
        if "code" in kinds:
            return "short" if lines <= 12 and letters < 90 else "middle" if lines <= 17 and letters < 99 else "long"
        return "pictured" if kinds & set(PICTURED) else "words"

    def room(self) -> float:
        """How many lines of text it still takes."""
        whole = BESIDE if any(block.kind in PICTURED for block in self.shown) else LINES
        return whole - sum(height(block) for block in self.shown)


def height(block: Block) -> float:
    """About how many lines of text a block is high; a figure takes what is left."""
    if block.kind in PICTURED:
        return 0
    letters = {"code": CODE_LETTERS, "output": OUTPUT[1]}.get(block.kind, LETTERS)
    wrapped = sum(1 + len(line) // letters for line in block.source.splitlines())
    if block.kind == "math":
        wrapped = 2 + block.source.count(r"\\")
    return SIZE.get(block.kind, 1.0) * wrapped


class Layout:
    """Puts a lesson's blocks on slides, one after another."""

    def __init__(self, lesson: str):
        self.lesson, self.slides, self.ahead = lesson, [], []  # ahead: paragraphs that lead to what comes next

    @property
    def slide(self) -> Slide:
        return self.slides[-1]

    def begin(self, heading: str | None = None, part: str | None = None) -> None:
        """A new slide, under the same heading where no other is given."""
        self.slides.append(Slide(self.lesson, part or self.slide.part, heading or self.slide.heading))

    def lead(self, room: float) -> None:
        """Show the first sentences of the paragraphs ahead, the last ones where not all fit; keep them whole as notes."""
        self.slide.notes += self.ahead
        taken = []
        for block in reversed(self.ahead):
            sentence = Block("text", first_sentence(block.source), attachments=block.attachments)
            room -= height(sentence)
            if room >= 0:
                taken.insert(0, sentence)
        self.slide.shown, self.ahead = self.slide.shown + taken, []

    def text(self, block: Block) -> None:
        """A paragraph: the one sentence below what it explains, else it leads to what comes next."""
        last = self.slide.shown[-1].kind if self.slide.shown else None
        said = Block("text", first_sentence(block.source), attachments=block.attachments)
        goes_on = last and block.source[0].islower()  # what goes on after a formula says little by itself
        if goes_on or last == "predict":
            self.slide.notes.append(block)
        elif last in EXPLAINED and not self.ahead and said.source[-1] != ":" and height(said) <= self.slide.room():
            self.slide.shown.append(said)
            self.slide.notes.append(block)
        else:
            self.ahead.append(block)

    def anchor(self, block: Block) -> None:
        """What is shown whole: on this slide where it has room, else on a new one."""
        pictured, last = block.kind in PICTURED, self.slide.shown[-1].kind if self.slide.shown else None
        needed = height(block) + sum(height(Block("text", first_sentence(ahead.source))) for ahead in self.ahead)
        apart = pictured or block.kind == "predict" or (self.ahead and self.slide.look == "pictured")
        full = self.slide.anchored and (apart or needed > self.slide.room())
        if full or last == "predict" or (last == "code" and (block.kind != "output" or self.ahead or self.slide.below)):
            if block.kind == "output" and not self.ahead and block.source.count("\n") + 1 < ALONE:
                self.slide.notes.append(block)
                return
            self.begin()
        if pictured and len(self.ahead) > 2 and needed > BESIDE:
            self.lead(LINES)
            self.begin()
        self.lead((BESIDE - 1 if pictured else LINES - height(block)) - sum(map(height, self.slide.shown)))
        self.slide.shown.append(block)

    def listed(self, block: Block) -> None:
        """A list: its items' first sentences, cut where a slide is full."""
        items = re.split(r"\n(?=(?:[-*]|\d+\.) )", block.source)
        short = [item if len(item) < 2 * LETTERS else first_sentence(item) for item in items]
        self.anchor(Block("list", short.pop(0), attachments=block.attachments))
        for item in short:
            piece = Block("list", item, attachments=block.attachments)
            if height(piece) > self.slide.room():
                self.begin()
                self.slide.shown.append(piece)
            else:
                self.slide.shown[-1].source += "\n" + item
        if any(len(item) >= 2 * LETTERS for item in items):
            self.slide.notes.append(block)

    def code(self, block: Block) -> None:
        """A source, on slides of its own; what doesn't fit goes on below."""
        whole, short = block.source, without_docstrings(block.source)
        pieces = pages_of(short)
        for number, piece in enumerate(pieces):
            if number or self.slide.shown:
                self.begin()
            self.slide.below = number > 0
            if not number:
                self.slide.notes += self.ahead
                self.ahead = []
            place = block.title + (f" ({number + 1} of {len(pieces)})" if len(pieces) > 1 else "")
            self.slide.shown.append(Block("code", piece, place))
        if short != whole and (said := docstring(whole)):
            self.slides[-1 - number].notes.append(Block("text", said))

    def exercise(self, block: Block) -> None:
        """An exercise: its number, name and task."""
        number, title, level, task = EXERCISE.match(block.source).groups()
        self.end()
        self.begin(f"Exercise {number}: {title} ({level})")
        self.slide.shown.append(Block("text", task, attachments=block.attachments))

    def stub(self, source: str) -> None:
        """What an exercise gives to begin with."""
        if height(Block("code", source)) <= self.slide.room():
            self.slide.shown.append(Block("code", source))

    def end(self) -> None:
        """The end of a part: paragraphs that lead nowhere get a slide where there is no other, else they are notes."""
        if self.ahead and not self.slide.shown:
            self.lead(LINES)
        self.slide.notes += self.ahead
        self.ahead = []

    def put(self, block: Block) -> None:
        """Any block but a heading or an exercise."""
        wide = max(map(len, block.source.splitlines()), default=0)
        if block.kind == "output" and (block.source.count("\n") >= OUTPUT[0] or wide > OUTPUT[1]):
            self.slide.notes.append(block)
        elif block.kind == "quote" and len(block.source.split()) > QUOTE_WORDS or block.kind in ("aside", "fence"):
            self.slide.notes.append(block)
        else:
            {"text": self.text, "list": self.listed, "code": self.code}.get(block.kind, self.anchor)(block)


def slides_of(notebook, lesson: str) -> list[Slide]:
    """The slides of an executed lesson, from its title to its last exercise."""
    layout = Layout(lesson)
    opening(notebook, layout)
    part = None
    for cell in notebook.cells[2:]:
        if tagged(cell, "exercise"):
            layout.stub(cell.source.removeprefix("```python\n").removesuffix("\n```"))
        if tagged(cell, "exercise") or tagged(cell, "solution"):
            continue
        for block in blocks_of(cell):
            if block.kind == "heading":
                layout.end()
                deep, _, heading = block.source.partition(" ")
                part = heading if len(deep) == 2 else part
                if part == "Further reading":
                    return [slide for slide in layout.slides if slide.shown]
                layout.begin(heading, part)
            elif part == "Exercises":
                if EXERCISE.match(block.source):
                    layout.exercise(block)
                elif cell.cell_type == "markdown" and block.kind != "fence":
                    layout.slide.shown.append(block)
            elif part:
                layout.put(block)
    layout.end()
    return [slide for slide in layout.slides if slide.shown]


def opening(notebook, layout: Layout) -> None:
    """The title with its picture and question, and the goals; the rest of the header is for the speaker."""
    title, *others = blocks_of(notebook.cells[0])
    name = title.source.lstrip("# ").partition(" ")[2]
    layout.slides.append(Slide(layout.lesson, name, name))
    for block in others:
        shown = block.kind in ("picture", "quote") or block.source.startswith("**The question")
        (layout.slide.shown if shown else layout.slide.notes).append(block)
    header = blocks_of(notebook.cells[1])
    layout.begin("After this lesson you can")
    for block in header:
        if block.kind == "list" and not layout.slide.shown:
            layout.listed(block)
        elif not block.source.startswith("**Goals.**"):
            layout.slide.notes.append(block)
