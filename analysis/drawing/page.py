"""A report in Markdown as one HTML file, with its pictures inside: it can be mailed and printed."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping

from markdown_it import MarkdownIt

_STYLE = """\
:root { --paper: #fff; --ink: #1a1a1a; --muted: #595959; --rule: #d9d9d9;
  color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --ink: #ececec; --muted: #b3b3b3; --rule: #3a3f44; }
}
body { margin: 0 auto; max-width: 64rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
ul { padding-left: 1.2rem; overflow-wrap: anywhere; }
code { font-size: .87em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .15em 1.2em .15em 0; border-bottom: 1px solid var(--rule); text-align: left;
  vertical-align: top; white-space: nowrap; }
th { color: var(--muted); font-weight: 600; white-space: normal; vertical-align: bottom; }
td.long { white-space: normal; min-width: 20em; }
img { display: block; width: 100%; min-width: 42rem; background: #fff; }
@media (max-width: 40rem) {
  td:not([style]) { white-space: normal; }
  td, th { padding-right: .7em; }
  td.long { min-width: 14em; }
}
@media print {
  @page { margin: 15mm; }
  :root { --paper: #fff; --ink: #1a1a1a; --muted: #595959; --rule: #d9d9d9;
    color-scheme: light; font-size: 12px; }
  body { max-width: none; padding: 0; font-size: 10px; }
  h1, h2, h3 { break-after: avoid; }
  tr, img { break-inside: avoid; }
  .scroll { overflow: visible; }
  td, th { padding-right: .9em; }
  img { min-width: 0; }
}"""
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
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE}\n</style>\n{body}</html>"
    )
