"""Slides as one file that needs nothing beside it and opens by a double click."""

from html import escape
from pathlib import Path

from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader
from pygments.formatters import HtmlFormatter

from metabin.course import pages
from metabin.course.blocks import Block
from metabin.course.frames import SCRIPT, shrink
from metabin.course.plans import Plan, slides_for
from metabin.course.slides import Slide, slides_of

HERE = Path(__file__).parent
AGENDA = 10  # rows on a slide


def to_deck(title: str, slides: list[Slide]) -> str:
    """A deck as HTML: deck.css lays its slides out, deck.js shows one at a time."""
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True)
    environment.filters |= {"drawn": drawn, "inline": inline}
    return environment.get_template("deck.html").render(
        title=title,
        slides=slides,
        code_style=HtmlFormatter().get_style_defs(".highlight"),
        style=(HERE / "deck.css").read_text(encoding="utf-8"),
        script=SCRIPT + (HERE / "deck.js").read_text(encoding="utf-8"),
    )


def drawn(block: Block) -> str:
    """A block as HTML with its links taken off: nobody clicks on a wall."""
    if block.kind in ("figure", "frames"):
        return bare_figures(block.source)
    if block.kind == "output":
        return f"<pre>{escape(block.source)}</pre>"
    if block.kind == "code":
        title = f"<p class='title'>{escape(block.title)}</p>" if block.title else ""
        return title + pages.code(block.source)
    return markdown(block.source, block.attachments)


def markdown(source: str, attachments: dict | None = None) -> str:
    """Markdown as HTML without its links."""
    page = BeautifulSoup(pages.markdown(source, attachments), "html.parser")
    for link in page("a"):
        link.unwrap()
    return str(page)


def inline(source: str) -> str:
    """A heading's text as HTML ("3. Metrics" by itself would be a list)."""
    return BeautifulSoup(markdown(f"# {source}"), "html.parser").h1.decode_contents()


def bare_figures(source: str) -> str:
    """Pictures with their alt texts, and what moves them; the slide says how large they are."""
    page = BeautifulSoup(source, "html.parser")
    shrink(page)
    for image in page("img"):
        del image["style"]
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
        table = ["| Minutes | Lesson | Part |", "| ---: | --- | --- |"]
        table += rows[start : start + AGENDA]
        deck.append(Slide("", plan.title, plan.title, [Block("table", "\n".join(table))]))
    for part in plan.parts:
        deck += slides_for(part, lessons.get(part.lesson, []))
    return to_deck(f"{plan.title} ({plan.minutes} minutes)", deck)
