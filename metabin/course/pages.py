"""Notebooks as pages: one HTML file each that reads like an article and needs nothing from the web."""

import re
from html import escape
from pathlib import Path

from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader
from latex2mathml.converter import convert
from nbconvert.filters import strip_ansi
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from metabin.course.blocks import SOURCE, printed
from metabin.course.frames import FRAMES, SCRIPT, shrink, to_html
from metabin.course.lessons import carry_pictures, find_lessons, read_notebook, tagged, title_of

HERE = Path(__file__).parent
LONG = 8  # lines of a cell that a reader has to open; of a shown source three times as many
PLUMBING = ("plumbing", "parameters")  # tags
DRAWING = re.compile(r"\b(figure|widget_with_twin|setup)\(")
CALLS = re.compile(r"(?:(?:lesson\.)?show\(.*\)\n?)+")  # a cell that only shows sources
NAME = "MetaBIN, lesson by lesson"
WELCOME = """Why a network loses people on a street that it has never seen, and what MetaBIN changes.
Figures with sliders can be moved here; exercises and code are for JupyterLab."""
LINK = re.compile(r"^([\w.-]+)\.(?:ipynb|md)\b")  # to what has a page beside this one
ELSEWHERE = re.compile(r"^(?!https?:|#|[\w.-]+\.html\b)")  # to a file that pages go without
NOT_YET = "<p>This lesson was not run yet: <code>make handouts</code> makes its page.</p>"


def to_page(notebook, name: str, folded: bool = True, lessons: list[Path] = ()) -> str:
    """A notebook as HTML, to read and to print, that needs nothing from the web.

    Formulas are MathML; pictures are inside, with their alt text; the only script moves frames.
    Solutions and plumbing are `folded` away until somebody opens them, and printed only then. The
    page leads on and back among `lessons`.
    """
    body = "\n".join(cell_html(cell, folded) for cell in notebook.cells)
    return _page(body, "lesson", _around(name, lessons) if lessons else None)


def write_pages(copies: dict[Path, object], folder: Path) -> list[Path]:
    """Write the pages of executed lessons, and what they lead to: the door and the prose beside.

    A lesson that was not run yet has a page with its picture, its question and how to make it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    notebooks = next(iter(copies)).parent
    lessons = find_lessons(notebooks)
    pages = {"index": door(lessons)}
    for lesson, notebook in copies.items():
        pages[lesson.stem] = to_page(notebook, lesson.stem, lessons=lessons)
    for lesson in lessons:
        if lesson.stem not in pages and not (folder / f"{lesson.stem}.html").is_file():
            body = f"<h1>{escape(title_of(lesson))}</h1>{NOT_YET}{card(lesson)}"
            pages[lesson.stem] = _page(body, "door", [])
    for text in notebooks.glob("*.md"):
        body = markdown(text.read_text(encoding="utf-8"))
        pages[text.stem] = _page(body, "lesson", [])
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return [folder / f"{path.stem}.html" for path in copies] + [folder / "index.html"]


def door(lessons: list[Path]) -> str:
    """The page with every lesson's title, picture and question, each a link to the lesson's page."""
    texts = sorted(lessons[0].parent.glob("*.md"))
    beside = " · ".join(
        f'<a href="{text.stem}.html">{text.stem.replace("_", " ")}</a>' for text in texts
    )
    cards = "\n".join(map(card, lessons))
    return _page(f"<h1>{NAME}</h1><p>{WELCOME}</p><p>{beside}</p>{cards}", "door")


def card(lesson: Path) -> str:
    """A lesson's title, picture and question, as a link to its page."""
    cell = read_notebook(lesson).cells[0]
    carry_pictures(cell, lesson.parent)
    page = BeautifulSoup(markdown(cell.source, cell.get("attachments")), "html.parser")
    texts = [text for text in page("p") if text.get_text().startswith("The question")]
    question = "".join(text.decode_contents() for text in texts or page("p")[-1:])
    return (
        f'<article><a href="{lesson.stem}.html"><h2>{escape(page.h1.get_text())}</h2>'
        f"{page.img or ''}</a><p>{question}</p></article>"
    )


def _page(body: str, kind: str, around: list[tuple] | None = None) -> str:
    """The whole of a page around its body; with a way to the door where `around` is a list."""
    soup = BeautifulSoup(body, "html.parser")
    for link in soup("a", href=True):
        link["href"] = LINK.sub(r"\1.html", link["href"])
        if ELSEWHERE.match(link["href"]):
            link.unwrap()
    for anchor in soup(class_="anchor-link"):
        anchor.decompose()
    for heading in soup(id=True):  # links are written as GitHub has them
        heading["id"] = heading["id"].lower()
    shrink(soup)
    for image in soup("img", style=True):  # as wide as the page lets it be
        image["style"] = image["style"].replace("width:", "--width:", 1)
    for later in soup.select("details.code + details.code"):
        join(later)
    parts = [(part["id"], part.get_text()) for part in soup("h2", id=True)]
    colours = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    style = [
        HtmlFormatter().get_style_defs(".highlight"),
        f"@media screen and (prefers-color-scheme: dark) {{{colours}}}",
        (HERE / "page.css").read_text(encoding="utf-8"),
    ]
    environment = Environment(loader=FileSystemLoader(HERE), trim_blocks=True)
    return environment.get_template("page.html").render(
        title=soup.h1.get_text(),
        body=soup.decode(),
        kind=kind,
        parts=parts,
        around=around,
        door=NAME,
        style="\n".join(style),
        script=SCRIPT,
    )


def _around(name: str, lessons: list[Path]) -> list[tuple]:
    """The lessons before and after one of that name: a word, the page's name, the title."""
    place = [lesson.stem for lesson in lessons].index(name)
    around = [("previous", lesson) for lesson in lessons[:place][-1:]]
    around += [("next", lesson) for lesson in lessons[place + 1 :][:1]]
    return [(word, lesson.stem, title_of(lesson)) for word, lesson in around]


# ---- cells ---------------------------------------------------------------------------------------


def cell_html(cell, folded: bool = True) -> str:
    """A cell as HTML: prose, or a source that is open where it is short, and what came of it."""
    if cell.cell_type == "markdown":
        return markdown(cell.source, cell.get("attachments"))
    if tagged(cell, "injected-parameters"):
        return ""
    outputs = outputs_html(cell.get("outputs", []))
    if tagged(cell, "solution") and folded:
        return fold("Solution", f"{code(cell.source)}\n{outputs}", "solution")
    return f"{source_html(cell, folded)}\n{outputs}"


def source_html(cell, folded: bool = True) -> str:
    """The source of a cell: what is plumbing or long is one click away, a mere show() left out."""
    if CALLS.fullmatch(cell.source):
        return ""
    plumbing = any(tagged(cell, tag) for tag in PLUMBING) or DRAWING.search(cell.source)
    long = cell.source.count("\n") >= LONG
    open_ = not folded or tagged(cell, "spec") or not (plumbing or long)
    return code(cell.source) if open_ else fold("code", code(cell.source))


def outputs_html(outputs: list) -> str:
    """What a cell left, with everything that it printed between two figures in one piece."""
    pieces, text = [], ""
    for output in outputs:
        if output.output_type == "stream":
            text += output.text
        elif html := output_html(output):
            pieces += [printed_html(text), html]
            text = ""
    return "\n".join([*pieces, printed_html(text)])


def output_html(output) -> str:
    """A figure, frames, a shown source, a value or an error."""
    data = output.get("data", {})
    if FRAMES in data:
        return to_html(data[FRAMES])
    if "text/html" in data:
        return data["text/html"]
    if "text/markdown" in data:
        return shown_html(data["text/markdown"])
    text = "\n".join(output.get("traceback", [data.get("text/plain", "")]))
    return f'<pre class="printed">{escape(strip_ansi(text))}</pre>' if text else ""


def printed_html(text: str) -> str:
    """Printed text, its tables as tables."""
    pieces = []
    for block in printed(strip_ansi(text)):
        plain = f'<pre class="printed">{escape(block.source)}</pre>'
        pieces.append(markdown(block.source) if block.kind == "table" else plain)
    return "".join(pieces)


def shown_html(text: str) -> str:
    """A source that show() left under its file and line, folded where it is long."""
    source = SOURCE.search(text)
    if source is None or source[2].count("\n") < 3 * LONG:
        return markdown(text)
    file = escape(text.partition("\n")[0].strip("*"))
    return fold(f"code, <em>{file}</em>", code(source[2]))


def fold(word: str, html: str, kind: str = "code") -> str:
    """HTML that is one click away."""
    return f'<details class="{kind}"><summary>{word}</summary>\n{html}\n</details>'


def join(later) -> None:
    """Put what a fold holds into the fold before it, where nothing stands between them."""
    before, between = later.find_previous_sibling("details"), later.find_previous(string=True)
    if later.summary.string == before.summary.string and not between.strip():
        later.summary.decompose()
        before.extend(list(later.contents))
        later.decompose()


def code(source: str) -> str:
    """Python in colours."""
    return highlight(source, PythonLexer(), HtmlFormatter())


def markdown(source: str, attachments: dict | None = None) -> str:
    """Markdown as HTML with its formulas as MathML."""
    renderer = Renderer(escape=False, attachments=attachments or {}, anchor_link_text="")
    return MarkdownWithMath(renderer=renderer).render(source)


def to_mathml(formula: str, display: str) -> str:
    """A TeX formula as MathML, which needs no script; `display` is inline or block."""
    environments = r"\\(begin|end)\{(aligned|gathered|split)\}"  # drawn alike, one is known
    return convert(re.sub(environments, r"\\\1{align*}", formula), display=display)


class Renderer(IPythonRenderer):
    """nbconvert's Markdown with its formulas drawn here instead of by MathJax in the browser."""

    def inline_math(self, body: str) -> str:
        return to_mathml(body, "inline")

    def block_math(self, body: str) -> str:
        return to_mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return to_mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")
