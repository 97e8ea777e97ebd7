"""A lesson cut into blocks: text, lists, quotes, formulas, figures, sources and printed results."""

import ast
import re
import textwrap
from dataclasses import dataclass, field
from html import escape

from metabin.course.frames import FRAMES, to_html
from metabin.course.lessons import tagged

SOURCE = re.compile(r"^(`{3,})python\n(.*?)\n\1$", re.DOTALL | re.MULTILINE)
PREDICTION = re.compile(r"(?<=[.?!:)”]) (?=\*\*Predict\b)")  # within a paragraph
TABLE = re.compile(r"((?:^\|.*\|(?:\n|\Z))+)", re.MULTILINE)  # in Markdown, as results are printed
LIST = re.compile(r"(?:[-*]|\d+\.) ")
SHORT = re.compile(r"(?:\b(?:Eqs?|Figs?|Sec|Tab|al|vs|cf|No|ca|e\.g|i\.e|[A-Z])|(?:^|\*\*)\d+)\.$")
KINDS = {  # what a chunk of Markdown begins with, and what it is
    "#": "heading",
    "> **Choice": "aside",
    "**Choice": "aside",
    ">": "quote",
    "|": "table",
    "$$": "math",
    "\\begin": "math",
    "![": "picture",
    "```": "fence",
    "**Predict": "predict",
}


@dataclass
class Block:
    """A heading, text, predict, list, quote, math, table, picture, figure, frames, code, output or vote."""

    kind: str
    source: str  # Markdown; HTML of figure and frames, plain text of an output, Python of a code
    title: str = ""  # of a code: its file and line
    attachments: dict = field(default_factory=dict)


def blocks_of(cell) -> list[Block]:
    """The blocks of one cell of an executed lesson."""
    if cell.cell_type == "code":
        return _results(cell)
    blocks = []
    for chunk in chunks(cell.source):
        for piece in PREDICTION.split(chunk):
            blocks.append(Block(kind_of(piece), piece, attachments=cell.get("attachments", {})))
    return blocks


def _results(cell) -> list[Block]:
    """What a code cell leaves: its source if it is a `spec`, then sources, figures, prints."""
    blocks, text = [], ""
    if tagged(cell, "spec"):
        blocks.append(Block("code", cell.source, "Slowly, with the paper's letters"))
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        source = SOURCE.search(data.get("text/markdown", ""))
        if source:  # a show()
            title = data["text/markdown"].partition("\n")[0].strip("*")
            blocks.append(Block("code", source[2], title))
        elif FRAMES in data:
            blocks.append(Block("frames", to_html(data[FRAMES])))
        elif "<img" in data.get("text/html", ""):
            blocks.append(Block("figure", data["text/html"]))
        elif output.get("name") == "stdout":
            text += output.text
    if re.search(r"\d", text):  # a result, not a word that all went well
        blocks += printed(text)
    return blocks


def printed(text: str) -> list[Block]:
    """Printed text: tables in Markdown, lines in equal columns as tables too, and the rest."""
    blocks = []
    for piece in TABLE.split(text):
        piece = piece.strip("\n")
        if TABLE.match(piece):
            blocks.append(Block("table", piece))
        elif piece:
            table = _columns(piece.splitlines())
            blocks.append(Block("table", table) if table else Block("output", piece))
    return blocks


def _columns(lines: list[str]) -> str:
    """Lines that two spaces, or a colon, part into equally many columns, as a Markdown table."""
    rows = []
    for line in lines:
        cells = re.split(r" {2,}(?:: )?", line.strip())
        rows.append(cells if cells[1:] else [cell for cell in line.split(": ", 1) if cell])
    counts = {len(row) for row in rows}
    if len(counts) > 1 or 1 in counts or "|" in "".join(lines):
        return ""
    if len(rows) == 1 and "CI [" not in lines[0]:
        return ""  # a sentence
    head = [[""] * len(rows[0]), ["---"] * len(rows[0])]
    table = "\n".join(f"| {' | '.join(row)} |" for row in head + rows)
    table = re.sub(r"(?<![\w.)-])-(?=\d)", "−", escape(table, quote=False))
    return re.sub(r"\brho\b", "ρ", table)


def chunks(source: str) -> list[str]:
    """Markdown cut at empty lines, not within fences and formulas, and before a list."""
    pieces, closing = [[]], None
    for line in source.splitlines():
        begins_list = LIST.match(line) and pieces[-1] and not LIST.match(pieces[-1][0])
        if closing is None and (begins_list or not line.strip()):
            pieces.append([])
        if line.strip() or closing:
            pieces[-1].append(line)
        if closing:
            closing = None if line.rstrip().endswith(closing) else closing
            continue
        begin = line.strip()
        on_one_line = begin.startswith("$$") and begin.endswith("$$") and len(begin) > 2
        for mark in ("```", "$$"):
            if begin.startswith(mark) and not on_one_line:
                closing = mark
    return ["\n".join(lines) for lines in pieces if lines]


def kind_of(chunk: str) -> str:
    """What a chunk of Markdown is."""
    first = chunk.lstrip()
    for start, kind in KINDS.items():
        if first.startswith(start):
            return kind
    return "list" if LIST.match(first) else "text"


def first_sentence(text: str) -> str:
    """The first sentence of a paragraph; a very short or bold one, a mere title, takes the next."""
    for end in re.finditer(r"[.!?][\"”)*_]*(?=\s+[^\sa-z])", text):
        head = text[: end.end()]
        in_formula = head.count("$") % 2 or head.count("`") % 2
        if in_formula or SHORT.search(text[: end.start() + 1]):
            continue
        if len(head) >= 30 and not re.fullmatch(r"\*\*[^*]+\*\*", head):
            return head
    return text


def last_sentence(text: str) -> str:
    """The last sentence of a paragraph, as `first_sentence` cuts it."""
    while (head := first_sentence(text)) != text:
        text = text[len(head) :].lstrip()
    return text


def docstring_and_code(source: str) -> tuple[str, str]:
    """The docstring of a source's first function or class, and the source without docstrings.

    What isn't complete Python stays as it is.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return "", source
    lines, docstrings = source.splitlines(), []
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or len(node.body) < 2:
            continue
        text = ast.get_docstring(node)
        if text:
            docstrings.append(text)
            begin, end = node.body[0].lineno - 1, node.body[0].end_lineno
            while not lines[end].strip():
                end += 1
            lines[begin:end] = [None] * (end - begin)
    code = "\n".join(line for line in lines if line is not None)
    return "".join(docstrings[:1]), code


def pages_of(source: str, most: int) -> list[str]:
    """A source in pieces of about equal length, parted at empty lines where that is possible."""
    lines = textwrap.dedent(source.strip("\n")).splitlines()
    if len(lines) <= most:
        return ["\n".join(lines)]
    aim = len(lines) / -(-len(lines) // most)
    cuts = range(int(aim / 2) + 1, most + 1)
    gaps = [i for i in cuts if i < len(lines) and not lines[i].strip()]
    cut = min(gaps or cuts, key=lambda i: abs(i - aim))
    return ["\n".join(lines[:cut]), *pages_of("\n".join(lines[cut:]), most)]
