"""What a slide is, and how much it takes: everything is measured in lines of text."""

import base64
import re
import struct
from dataclasses import dataclass, field

from metabin.course.blocks import CODE_LETTERS, Block

LINES, MORE = (
    10,
    2,
)  # of text, on a slide without a figure; what a list may have beyond it, in smaller letters
BESIDE, BESIDE_TALL = (
    4,
    2,
)  # of text, on a slide with one: what is as high as wide needs the slide for itself
LETTERS = 72  # in a line of text
OUTPUT = 16, 89  # most lines and letters of a printed result on a slide

PICTURED = ("figure", "picture")
SIZE = {
    "code": 0.65,
    "output": 0.7,
    "table": 1.1,
    "predict": 1.5,
}  # height of a line of them, in lines of text
CODE_LOOKS = {
    "large": 24,
    "short": 21,
    "middle": 19,
}  # pixels of a letter, in deck.html; the smallest look is "long"


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
        """How large its letters can be: "words" where nothing but text stands ("full" of it), else by the source's length."""
        kinds = {block.kind for block in self.shown}
        if "code" not in kinds:
            return "pictured" if kinds & set(PICTURED) else "words" if self.room() >= 0 else "full"
        sources = [block.source for block in self.shown if block.kind == "code"]
        others = sum(height(block) for block in self.shown if block.kind != "code")
        longest = max(len(line) for source in sources for line in source.splitlines())
        for look, size in CODE_LOOKS.items():
            high = sum(wrapped(source, 1870 // size) for source in sources) * size / 29
            if others + high <= LINES + MORE and (look != "large" or longest < 1870 // size):
                return look
        return "long"

    def room(self) -> float:
        """How many lines of text it still takes."""
        return min(map(lines_beside, self.shown), default=LINES) - sum(map(height, self.shown))


def wrapped(source: str, letters: int) -> int:
    """How many lines a source takes where no line is longer than so many letters."""
    return sum(1 + len(line) // letters for line in source.splitlines())


def lines_beside(block: Block) -> int:
    """How many lines of text a slide with this block takes in all."""
    if block.kind not in PICTURED:
        return LINES
    png = re.search(
        r"base64,(iVBORw0KGgo[\w+/]{33})", block.source
    )  # the head of the file, with its size
    width, high = struct.unpack(">II", base64.b64decode(png[1])[16:24]) if png else (2, 1)
    return BESIDE_TALL if width < 1.8 * high else BESIDE


def height(block: Block) -> float:
    """About how many lines of text a block is high; a figure takes what is left."""
    if block.kind in PICTURED:
        return 0
    letters = {"code": CODE_LETTERS, "output": OUTPUT[1]}.get(block.kind, LETTERS)
    lines = (
        2 + block.source.count(r"\\") if block.kind == "math" else wrapped(block.source, letters)
    )
    return SIZE.get(block.kind, 1.0) * lines
