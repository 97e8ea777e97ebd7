"""A lesson read for its slides: cut into paragraphs, lists, quotes, formulas, figures, sources and printed results."""

import ast
import re
import textwrap
from dataclasses import dataclass, field
from itertools import accumulate

from metabin.course.lessons import tagged

CODE_LINES, CODE_LETTERS = 24, 108  # of a source on one slide
FENCE = re.compile(r"^(`{3,})python\n(.*?)\n\1$", re.DOTALL | re.MULTILINE)
PREDICTION = re.compile(
    r"(?<=[.?!:)”]) (?=\*\*Predict\b)"
)  # within a paragraph: what stands alone on a slide
TABLE = re.compile(r"((?:^\|.*\|(?:\n|\Z))+)", re.MULTILINE)  # in Markdown, as results are printed
SHORT = re.compile(r"(?:\b(?:Eqs?|Figs?|Sec|Tab|al|vs|cf|No|ca|e\.g|i\.e|[A-Z])|(?:^|\*\*)\d+)\.$")


@dataclass
class Block:
    """A piece of a lesson: heading, text, predict, list, quote, math, table, picture, figure, code or output."""

    kind: str
    source: str  # Markdown; HTML of a figure, plain text of an output, Python of a code
    title: str = ""  # of a code: where it stands
    attachments: dict = field(default_factory=dict)


def first_sentence(text: str) -> str:
    """The first sentence of a Markdown paragraph; a very short or bold one, a mere title, takes the next one along."""
    for end in re.finditer(r"[.!?][\"”)*_]*(?=\s+[^\sa-z])", text):
        head = text[: end.end()]
        if head.count("$") % 2 or head.count("`") % 2 or SHORT.search(text[: end.start() + 1]):
            continue
        if len(head) >= 30 and not re.fullmatch(r"\*\*[^*]+\*\*", head):
            return head
    return text


def last_sentence(text: str) -> str:
    """The last sentence of a Markdown paragraph, as `first_sentence` cuts it."""
    while (head := first_sentence(text)) != text:
        text = text[len(head) :].lstrip()
    return text


def chunks(source: str) -> list[str]:
    """Markdown cut at empty lines, but not within fences and formulas; a list is parted from the line before it."""
    found, within = [[]], None
    for line in source.splitlines():
        mark = next((m for m in ("```", "$$") if line.lstrip().startswith(m)), None)
        if within is None and (
            not line.strip() or (found[-1] and begins_list(line) and not begins_list(found[-1][0]))
        ):
            found.append([])
        if line.strip() or within:
            found[-1].append(line)
        if within:
            within = None if line.rstrip().endswith(within) else within
        elif mark and not (mark == "$$" and line.strip().endswith("$$") and len(line.strip()) > 2):
            within = mark
    return ["\n".join(lines) for lines in found if lines]


def begins_list(line: str) -> bool:
    return bool(re.match(r"(?:[-*]|\d+\.) ", line))


def kind_of(chunk: str) -> str:
    """What a chunk of Markdown is."""
    first = chunk.lstrip()
    starts = {
        "#": "heading",
        "> **Choice": "aside",
        ">": "quote",
        "|": "table",
        "$$": "math",
        "\\begin": "math",
    }
    starts |= {"![": "picture", "```": "fence", "**Predict": "predict", "**Choice": "aside"}
    for start, kind in starts.items():
        if first.startswith(start):
            return kind
    return "list" if begins_list(first) else "text"


def blocks_of(cell) -> list[Block]:
    """The blocks of one cell of an executed lesson."""
    if cell.cell_type == "markdown":
        carried = cell.get("attachments", {})
        cut = [piece for chunk in chunks(cell.source) for piece in PREDICTION.split(chunk)]
        return [Block(kind_of(piece), piece, attachments=carried) for piece in cut]
    found = (
        [Block("code", cell.source, "Slowly, with the paper's letters")]
        if tagged(cell, "spec")
        else []
    )
    printed = ""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "text/markdown" in data and (source := FENCE.search(data["text/markdown"])):  # a show()
            found.append(
                Block("code", source[2], data["text/markdown"].partition("\n")[0].strip("*"))
            )
        elif "<img" in data.get("text/html", ""):
            found.append(Block("figure", data["text/html"]))
        elif output.get("name") == "stdout":
            printed += output.text
    if re.search(r"\d", printed):  # a result, not a word that all went well
        pieces = [piece.strip("\n") for piece in TABLE.split(printed)]
        found += [
            Block("table" if TABLE.match(piece) else "output", piece) for piece in pieces if piece
        ]
    return found


def without_docstrings(source: str) -> str:
    """Python without its docstrings and the empty lines behind them; what isn't complete Python stays as it is."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    lines = source.splitlines()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef | ast.ClassDef)
            and ast.get_docstring(node)
            and len(node.body) > 1
        ):
            for number in range(node.body[0].lineno - 1, node.body[1].lineno - 1):
                if number < node.body[0].end_lineno or not lines[number].strip():
                    lines[number] = None
    return "\n".join(line for line in lines if line is not None)


def pages_of(source: str, most: int = CODE_LINES) -> list[str]:
    """A source in pieces of at most `most` lines as they are wrapped, of about equal length, parted at empty lines if it can."""
    lines = textwrap.dedent(source.strip("\n")).splitlines()
    wrapped = list(accumulate(1 + len(line) // CODE_LETTERS for line in lines))
    if not lines or wrapped[-1] <= most:
        return ["\n".join(lines)]
    aim = wrapped[-1] / -(-wrapped[-1] // most)
    fitting = [i for i in range(1, len(lines)) if aim / 2 <= wrapped[i - 1] <= most]
    gaps = [i for i in fitting if not lines[i].strip()]
    cut = min(gaps or fitting, key=lambda i: abs(wrapped[i - 1] - aim))
    return ["\n".join(lines[:cut]), *pages_of("\n".join(lines[cut:]), most)]


def docstring(source: str) -> str | None:
    """The docstring of the first function or class of a source."""
    try:
        found = [
            node
            for node in ast.parse(source).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        ]
    except SyntaxError:
        return None
    return ast.get_docstring(found[0]) if found else None
