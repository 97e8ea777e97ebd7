"""What of a lesson stands on slides: nothing is marked in the notebooks, one plain rule reads them.

A `##` heading begins a slide, and a figure, a paper's sentence, an equation, a list, a table, an exercise, the source of a
`spec` cell or of a show() stands on one. A paragraph shows its first sentence, and its last one where that ends in a colon;
whole it is a speaker note. "Predict" stands alone, before its answer. Other code is left out, and so are choice boxes,
solutions and further reading.
"""

import re

from metabin.course.blocks import (
    Block,
    blocks_of,
    docstring,
    first_sentence,
    last_sentence,
    pages_of,
    without_docstrings,
)
from metabin.course.lessons import tagged
from metabin.course.room import (
    LETTERS,
    LINES,
    MORE,
    OUTPUT,
    PICTURED,
    Slide,
    height,
    lines_beside,
    wrapped,
)

ALONE = 4  # least lines of a printed result by itself
QUOTE_WORDS = 70  # longer quotes are notes
COLUMNS = re.compile(r"\S {2,}\S")  # what would be torn apart where a line is wrapped
EXERCISE = re.compile(r"\*\*(\d+)\. (.+?)\*\* \(([^)]*)\)\.?\s*(.*)", re.DOTALL)
EXPLAINED = (
    *PICTURED,
    "quote",
    "math",
    "table",
    "output",
)  # what a paragraph right behind it explains


def said(block: Block) -> list[Block]:
    """What is shown of a paragraph: its first sentence, and its last one where that leads on by a colon."""
    first, last = first_sentence(block.source), last_sentence(block.source)
    shown = [first, last] if last != first and last.endswith(":") else [first]
    return [Block("text", sentence, attachments=block.attachments) for sentence in shown]


class Layout:
    """Puts a lesson's blocks on slides, one after another."""

    def __init__(self, lesson: str):
        self.lesson, self.slides, self.ahead = (
            lesson,
            [],
            [],
        )  # ahead: paragraphs that lead to what comes next

    @property
    def slide(self) -> Slide:
        return self.slides[-1]

    def begin(self, heading: str | None = None, part: str | None = None) -> None:
        """A new slide, under the same heading where no other is given."""
        self.slides.append(
            Slide(self.lesson, part or self.slide.part, heading or self.slide.heading)
        )

    def leading(self) -> float:
        """How many lines the sentences of the paragraphs ahead take."""
        return sum(height(sentence) for block in self.ahead for sentence in said(block))

    def lead(self, room: float) -> None:
        """Show what is said of the paragraphs ahead, the last sentences where not all fit; keep them whole as notes."""
        self.slide.notes += self.ahead
        taken = []
        for sentence in reversed([sentence for block in self.ahead for sentence in said(block)]):
            room -= height(sentence)
            if room >= 0:
                taken.insert(0, sentence)
        self.slide.shown, self.ahead = self.slide.shown + taken, []

    def text(self, block: Block) -> None:
        """A paragraph: the one sentence below what it explains, else it leads to what comes next."""
        last = self.slide.shown[-1].kind if self.slide.shown else None
        first, *leading = said(block)
        goes_on = (
            last and block.source[0].islower()
        )  # what goes on after a formula says little by itself
        if goes_on or last == "predict":
            self.slide.notes.append(block)
        elif (
            last in EXPLAINED
            and not self.ahead
            and first.source[-1] != ":"
            and height(first) <= self.slide.room()
        ):
            self.slide.shown.append(first)
            self.slide.notes.append(block)
            self.ahead = leading
        else:
            self.ahead.append(block)

    def anchor(self, block: Block) -> None:
        """What is shown whole: on this slide where it has room, else on a new one."""
        pictured, last = (
            block.kind in PICTURED,
            self.slide.shown[-1].kind if self.slide.shown else None,
        )
        needed = height(block) + self.leading()
        apart = (
            pictured or block.kind == "predict" or (self.ahead and self.slide.look == "pictured")
        )
        full = self.slide.anchored and (apart or needed > self.slide.room())
        if (
            full
            or last == "predict"
            or (last == "code" and (block.kind != "output" or self.ahead or self.slide.below))
        ):
            if block.kind == "output" and not self.ahead and block.source.count("\n") + 1 < ALONE:
                self.slide.notes.append(block)
                return
            self.begin()
        whole = lines_beside(block)
        if pictured and len(self.ahead) > 2 and needed > whole:
            self.lead(LINES)
            self.begin()
        self.lead(
            (min(whole - 1, 2) if pictured else LINES - height(block))
            - sum(map(height, self.slide.shown))
        )
        self.slide.shown.append(block)

    def listed(self, block: Block) -> None:
        """A list: whole on one slide if it can, else its items' first sentences, cut where a slide is full."""
        items = re.split(r"\n(?=(?:[-*]|\d+\.) )", block.source)
        short = items
        if height(block) + self.leading() > LINES:
            short = [item if len(item) < 2 * LETTERS else first_sentence(item) for item in items]
        if (
            self.slide.anchored
            and height(Block("list", "\n".join(short))) + self.leading() > self.slide.room()
        ):
            self.begin()
        self.anchor(Block("list", short[0], attachments=block.attachments))
        for item in short[1:]:
            piece = Block("list", item, attachments=block.attachments)
            if height(piece) > self.slide.room() + (0 if self.slide.look == "pictured" else MORE):
                self.begin()
                self.slide.shown.append(piece)
            else:
                self.slide.shown[-1].source += "\n" + item
        if short != items:
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
        torn = any(
            len(line) > OUTPUT[1] and COLUMNS.search(line) for line in block.source.splitlines()
        )
        if block.kind == "output" and (torn or wrapped(block.source, OUTPUT[1]) > OUTPUT[0]):
            self.slide.notes.append(block)
        elif (
            block.kind == "quote"
            and len(block.source.split()) > QUOTE_WORDS
            or block.kind in ("aside", "fence")
        ):
            self.slide.notes.append(block)
        elif block.kind == "table" and height(block) > LINES + MORE:
            self.slide.notes.append(block)
        else:
            {"text": self.text, "list": self.listed, "code": self.code}.get(
                block.kind, self.anchor
            )(block)


def slides_of(notebook, lesson: str) -> list[Slide]:
    """The slides of an executed lesson, from its title to its last exercise."""
    layout = Layout(lesson)
    opening(notebook, layout)
    part, solved = None, False
    for cell in notebook.cells[2:]:
        if tagged(cell, "exercise"):
            layout.stub(cell.source.removeprefix("```python\n").removesuffix("\n```"))
        if tagged(cell, "exercise") or tagged(cell, "solution"):
            solved = tagged(cell, "solution")
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
                    solved = False
                elif cell.cell_type == "markdown" and block.kind != "fence":
                    seen = (
                        layout.slide.notes if solved else layout.slide.shown
                    )  # behind a solution: about the answer
                    seen.append(block)
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
