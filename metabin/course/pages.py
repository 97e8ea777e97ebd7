"""Notebooks as pages: one HTML file each that needs nothing from the web."""

import re

from bs4 import BeautifulSoup
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert.exporters.html import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

STYLE = """
main {max-width: 70rem; margin: 0 auto}
math[display=block] {margin: .8em 0; font-size: 1.1em}
.jp-RenderedMarkdown .highlight {background: #f6f6f6; border-left: 3px solid #cccccc; padding: .3em .8em; overflow-x: auto}
.jp-RenderedMarkdown .highlight pre {background: none; margin: 0; line-height: 1.4; font-size: 13px}
.highlight pre {font-family: var(--jp-code-font-family), monospace}
.jp-InputArea-editor {overflow-x: auto}
details.solution > summary {margin: .8em 0 .4em 4rem; cursor: pointer; font-style: italic}
figure img, .jp-RenderedMarkdown img {max-width: 100%}
@media print {
  @page {margin: 16mm 14mm}
  body, main {max-width: none; margin: 0; padding: 0; color: black; background: white}
  .jp-InputPrompt, .jp-OutputPrompt, .anchor-link, details.solution:not([open]) {display: none}
  .jp-InputArea-editor, .jp-RenderedMarkdown .highlight {overflow: visible; background: none; border: 0; border-left: 2px solid #808080}
  .highlight pre, .jp-OutputArea-output pre {white-space: pre-wrap; overflow-wrap: anywhere; font-size: 8.5pt}
  .highlight pre * {color: black !important; background: none !important}
  .highlight .k, .highlight .kn, .highlight .nf, .highlight .nc {font-weight: bold}
  figure, img, tr, blockquote, .jp-RenderedMarkdown .highlight, math[display=block] {break-inside: avoid}
  h1, h2, h3 {break-after: avoid}
}
"""


def to_page(notebook, name: str, folded: bool = True) -> str:
    """A notebook as HTML that is read and printed, in greys too: formulas as MathML, pictures inside with their alt text,
    no script, links to other pages. Solutions are `folded` away until somebody opens them, and are then printed too."""
    html, _ = Exporter().from_notebook_node(notebook, {"metadata": {"name": name}})
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


def to_mathml(formula: str, display: str) -> str:
    """A TeX formula as MathML, which browsers draw and screen readers read without a script; `display` inline or block."""
    known = re.sub(
        r"\\(begin|end)\{(aligned|gathered|split)\}", r"\\\1{align*}", formula
    )  # drawn alike, one is known
    return convert(known, display=display)


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
