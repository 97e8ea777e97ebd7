"""Slides as pages of reveal.js that need nothing from the web and open by a double click."""

import html
from pathlib import Path

from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from metabin.course.blocks import Block
from metabin.course.plans import Plan, slides_for
from metabin.course.room import Slide
from metabin.course.slides import slides_of
from metabin.course.vendor import MATHJAX, REVEAL

TEMPLATE = "deck.html"
AGENDA = 10  # rows on a slide


def to_deck(title: str, slides: list[Slide]) -> str:
    """A deck as HTML; reveal.js and MathJax are expected in the folder vendor/ beside it."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
    )
    columns = []
    for slide in slides:
        drawn = {
            "slide": slide,
            "heading": inline(slide.heading),
            "part": inline(slide.part),
            "body": [(block.kind, drawn_html(block)) for block in slide.shown],
            "notes": [drawn_html(block) for block in slide.notes],
        }
        if slide.below and columns:
            columns[-1].append(drawn)
        else:
            columns.append([drawn])
    return environment.get_template(TEMPLATE).render(
        title=title,
        columns=columns,
        code_style=HtmlFormatter(style="default").get_style_defs("pre"),
        reveal=f"vendor/{REVEAL.folder}",
        mathjax=f"vendor/{MATHJAX.folder}",
    )


def drawn_html(block: Block) -> str:
    """A block as HTML with its links taken off: nobody clicks on a wall."""
    if block.kind == "figure":
        return bare_figure(block.source)
    if block.kind == "output":
        return f"<pre>{html.escape(block.source)}</pre>"
    if block.kind == "code":
        title = f"<p class='place'>{html.escape(block.title)}</p>" if block.title else ""
        return f"{title}<pre>{coloured(block.source)}</pre>"
    return markdown(block.source, block.attachments)


def coloured(source: str) -> str:
    """Python in colours, each line by itself: where one is wrapped, it goes on deeper than it began."""
    lines = highlight(source, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)).splitlines(
        keepends=True
    )
    depths = [len(line) - len(line.lstrip()) + 6 for line in source.splitlines()]
    return "".join(
        f'<span style="--deep:{d}ch">{line}</span>' for d, line in zip(depths, lines, strict=True)
    )


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
    """A heading's text as HTML, without the heading around it ("3. Metrics" by itself would be a list)."""
    return BeautifulSoup(markdown(f"# {source}"), "html.parser").h1.decode_contents()


def bare_figure(source: str) -> str:
    """A figure's picture with its alt text; how large it is drawn is up to the slide."""
    images = BeautifulSoup(source, "html.parser")("img")
    for image in images:
        del image["style"]
    return "".join(map(str, images))


def lesson_deck(name: str, notebook) -> str:
    """The deck of an executed lesson."""
    slides = slides_of(notebook, name)
    return to_deck(slides[0].heading, slides)


def plan_deck(plan: Plan, copies: dict) -> str:
    """The deck of a lesson plan, from executed lessons by their paths: its agenda, then the slides that it names."""
    lessons = {path.name[:2]: slides_of(notebook, path.stem) for path, notebook in copies.items()}
    rows = [f"| {part.minutes} | {part.lesson} | {part.name} |" for part in plan.parts]
    agenda = [rows[i : i + AGENDA] for i in range(0, len(rows), AGENDA)]
    head = "| Minutes | Lesson | |\n| ---: | --- | --- |\n"
    deck = [
        Slide("", plan.title, plan.title, [Block("table", head + "\n".join(some))])
        for some in agenda
    ]
    for part in plan.parts:
        spoken = Block("text", f"**{part.minutes} minutes.** {part.why}")
        chosen = (
            slides_for(part, lessons[part.lesson])
            if part.lesson
            else [Slide("", plan.title, part.name)]
        )
        chosen[0].notes.insert(0, spoken)
        if not part.lesson:
            chosen[0].shown.append(Block("text", part.why))
        deck += chosen
    return to_deck(f"{plan.title} ({plan.minutes} minutes)", deck)
