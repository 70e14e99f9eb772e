"""Equations for KaTeX, which lies in the site itself, on the pages that have some."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

FILES = ("katex.min.js", "auto-render.min.js")


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    r"""`\(...\)`."""
    translator.body.append(f'<span class="math">\\({translator.encode(node.astext())}\\)</span>')
    raise nodes.SkipNode


def block(translator: HTML5Translator, node: nodes.math_block) -> None:
    r"""`\[...\]`, which scrolls where it is wider than the page."""
    text = translator.encode(node.astext())
    translator.body.append(f'<div class="math">\\[{text}\\]</div>')
    raise nodes.SkipNode


def is_equation(node: nodes.Node) -> bool:
    """In a line or of its own."""
    return isinstance(node, (nodes.math, nodes.math_block))


def add_files(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """KaTeX on pages with equations alone."""
    equations = () if doctree is None else doctree.findall(is_equation)
    if any(True for _ in equations):
        app.add_css_file("katex/katex.min.css")
        for name in FILES:
            app.add_js_file(f"katex/{name}", loading_method="defer")
        app.add_js_file("equations.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("katex", (inline, None), (block, None))
    app.connect("html-page-context", add_files)
    return {"parallel_read_safe": True}
