"""Slides as pages of reveal.js that need nothing from the web and open by a double click."""

from html import escape
from pathlib import Path

from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from metabin.course.blocks import Block
from metabin.course.frames import SCRIPT
from metabin.course.pages import PNG, smaller
from metabin.course.plans import Plan, slides_for
from metabin.course.slides import Slide, slides_of
from metabin.course.vendor import MATHJAX, REVEAL

AGENDA = 10  # rows on a slide


def to_deck(title: str, slides: list[Slide]) -> str:
    """A deck as HTML; reveal.js and MathJax are expected in the folder vendor/ beside it."""
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=folder, autoescape=True, trim_blocks=True)
    environment.filters |= {"drawn": drawn, "inline": inline}
    columns = []
    for slide in slides:
        if slide.below and columns:
            columns[-1].append(slide)
        else:
            columns.append([slide])
    return environment.get_template("deck.html").render(
        title=title,
        columns=columns,
        code_style=HtmlFormatter(style="default").get_style_defs("pre"),
        script=SCRIPT,
        reveal=f"vendor/{REVEAL.folder}",
        mathjax=f"vendor/{MATHJAX.folder}",
    )


def drawn(block: Block) -> str:
    """A block as HTML with its links taken off: nobody clicks on a wall."""
    if block.kind in ("figure", "frames"):
        return bare_figures(block.source)
    if block.kind == "output":
        return f"<pre>{escape(block.source)}</pre>"
    if block.kind == "code":
        title = f"<p class='title'>{escape(block.title)}</p>" if block.title else ""
        return f"{title}<pre>{coloured(block.source)}</pre>"
    return markdown(block.source, block.attachments)


def coloured(source: str) -> str:
    """Python in colours, line by line: where a line is wrapped, it goes on deeper than it began."""
    lexer = PythonLexer(stripnl=False)
    lines = highlight(source, lexer, HtmlFormatter(nowrap=True)).splitlines(keepends=True)
    spans = []
    for plain, line in zip(source.splitlines(), lines, strict=True):
        depth = len(plain) - len(plain.lstrip()) + 6
        spans.append(f'<span style="--depth:{depth}ch">{line}</span>')
    return "".join(spans)


def markdown(source: str, attachments: dict | None = None) -> str:
    """Markdown as HTML; formulas stay as they are, for MathJax."""
    renderer = IPythonRenderer(
        escape=False, attachments=attachments or {}, exclude_anchor_links=True
    )
    page = BeautifulSoup(MarkdownWithMath(renderer=renderer).render(source), "html.parser")
    for link in page("a"):
        link.unwrap()
    return str(page)


def inline(source: str) -> str:
    """A heading's text as HTML ("3. Metrics" by itself would be a list)."""
    return BeautifulSoup(markdown(f"# {source}"), "html.parser").h1.decode_contents()


def bare_figures(source: str) -> str:
    """Pictures with their alt texts, and what moves them; the slide says how large they are."""
    page = BeautifulSoup(source, "html.parser")
    for image in page("img"):
        del image["style"]
        if image["src"].startswith(PNG):
            image["src"] = smaller(image["src"])
    return "".join(map(str, page(class_="moving") or page("img")))


def lesson_deck(name: str, notebook) -> str:
    """The deck of an executed lesson."""
    slides = slides_of(notebook, name)
    return to_deck(slides[0].heading, slides)


def plan_deck(plan: Plan, copies: dict) -> str:
    """The deck of a lesson plan from executed lessons by path: agenda, then the slides it names."""
    lessons = {path.name[:2]: slides_of(notebook, path.stem) for path, notebook in copies.items()}
    rows = [f"| {part.minutes} | {part.lesson} | {part.name} |" for part in plan.parts]
    deck = []
    for start in range(0, len(rows), AGENDA):
        table = ["| Minutes | Lesson | |", "| ---: | --- | --- |", *rows[start : start + AGENDA]]
        deck.append(Slide("", plan.title, plan.title, [Block("table", "\n".join(table))]))
    for part in plan.parts:
        if part.lesson:
            chosen = slides_for(part, lessons[part.lesson])
        else:
            chosen = [Slide("", plan.title, part.name, [Block("text", part.why)])]
        chosen[0].notes.insert(0, Block("text", f"**{part.minutes} minutes.** {part.why}"))
        deck += chosen
    return to_deck(f"{plan.title} ({plan.minutes} minutes)", deck)
