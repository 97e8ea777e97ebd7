"""Notebooks as pages: one HTML file each that needs nothing from the web."""

import copy
import re
from pathlib import Path

from bs4 import BeautifulSoup
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert.exporters.html import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from metabin.course.lesson import RECORD

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def to_page(notebook, name: str, folded: bool = True) -> str:
    """A notebook as HTML, to read and to print, that needs nothing from the web.

    Formulas become MathML; pictures are inside, with their alt text; there is no script. Solutions
    are `folded` away until somebody opens them, and are printed only then.
    """
    resources = {"metadata": {"name": name}}
    html, _ = Exporter().from_notebook_node(without_records(notebook), resources)
    page = BeautifulSoup(html, "html.parser")
    for script in page("script"):  # MathJax, require.js, widgets: all fetched from the web
        script.decompose()
    for cell in page.select(".celltag_solution") if folded else ():
        cell.wrap(page.new_tag("details", attrs={"class": "solution"}))
        cell.insert_before(page.new_tag("summary", string="Solution"))
    for link in page("a", href=re.compile(r"^[\w.-]+\.ipynb")):
        link["href"] = link["href"].replace(".ipynb", ".html", 1)
    page.head.append(page.new_tag("style", string=STYLE))
    return str(page)


def without_records(notebook):
    """A copy of a notebook without what record() left, which no page can show."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [x for x in cell.outputs if RECORD not in x.get("data", {})]
    return notebook


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


class Exporter(HTMLExporter):
    """nbconvert's HTML exporter with that renderer."""

    @pass_context
    def markdown2html(self, context, source: str) -> str:
        attachments = context.get("cell", {}).get("attachments", {})
        return MarkdownWithMath(renderer=Renderer(escape=False, attachments=attachments)).render(
            source
        )
