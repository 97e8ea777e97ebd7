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
"""


def to_page(notebook, name: str) -> str:
    """A notebook as HTML: formulas as MathML, attached pictures inside, alt text kept, no script, links to other pages."""
    html, _ = Exporter().from_notebook_node(notebook, {"metadata": {"name": name}})
    page = BeautifulSoup(html, "html.parser")
    for script in page("script"):  # MathJax, require.js, widgets: all fetched from the web
        script.decompose()
    for link in page("a", href=re.compile(r"^[\w.-]+\.ipynb")):
        link["href"] = link["href"].replace(".ipynb", ".html", 1)
    page.head.append(page.new_tag("style", string=STYLE))
    return str(page)


def to_mathml(formula: str, display: str) -> str:
    """A TeX formula as MathML, which browsers draw and screen readers read without a script; `display` inline or block."""
    known = re.sub(r"\\(begin|end)\{(aligned|gathered|split)\}", r"\\\1{align*}", formula)  # drawn alike, one is known
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
        return MarkdownWithMath(renderer=Renderer(escape=False, attachments=attachments)).render(source)
