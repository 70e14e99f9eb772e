"""A report in Markdown as one HTML file, with its pictures inside: it can be mailed and printed."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from pathlib import Path

from markdown_it import MarkdownIt

_STYLE = Path(__file__).with_suffix(".css")
_SCROLL = '<div class="scroll" tabindex="0">'  # with the keyboard too
_LONG = re.compile(r"<td>(?=[^<]{60})")  # a cell whose lines are broken


def page(text: str, pictures: Mapping[str, bytes]) -> str:
    """What `tables.report` makes, as a page that fetches nothing.

    Args:
        text: Markdown, with pictures as `![...](NAME)`.
        pictures: SVG by NAME.
    """
    title = text.partition("\n")[0].lstrip("# ")
    body = MarkdownIt("commonmark").enable("table").render(text)
    for name, picture in pictures.items():
        inside = f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}"
        image = rf'<p>(<img src="){re.escape(name)}(".*?>)</p>'
        body = re.sub(image, rf"{_SCROLL}\1{inside}\2</div>", body)
    body = body.replace("<table>", f"{_SCROLL}<table>").replace("</table>", "</table></div>")
    # A name such as InvertedPendulum may be broken in the head of a table.
    body = re.sub("<th.*?</th>", lambda head: re.sub("([a-z])([A-Z])", r"\1<wbr>\2", head[0]), body)
    body = _LONG.sub('<td class="long">', body)
    style = _STYLE.read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n{body}</html>"
    )
