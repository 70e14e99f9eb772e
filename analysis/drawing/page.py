"""A report in Markdown as one HTML file, with its pictures inside: it can be mailed and printed."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping

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
.r { text-align: right; }
img { display: block; width: 100%; min-width: 42rem; background: #fff; }
@media (max-width: 40rem) {
  td:not(.r) { white-space: normal; }
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
_LONG = 60  # characters of a cell whose lines are broken


def page(text: str, pictures: Mapping[str, bytes]) -> str:
    """What `tables.report` makes, as a page that fetches nothing.

    Args:
        text: titles, lists, tables, paragraphs and `![...](NAME)`.
        pictures: SVG by NAME.
    """
    title = text.partition("\n")[0].lstrip("# ")
    body = "\n".join(_block(block, pictures) for block in re.split(r"\n\n+", text))
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE}\n</style>\n{body}\n</html>"
    )


def _block(block: str, pictures: Mapping[str, bytes]) -> str:
    """A title, a list, a table, a picture or a paragraph."""
    lines = block.strip().split("\n")
    if title := re.fullmatch(r"(#+) (.*)", lines[0]):
        level = len(title[1])
        rest = _block("\n".join(lines[1:]), pictures) if lines[1:] else ""
        return f"<h{level}>{_inline(title[2])}</h{level}>{rest}"
    if picture := re.fullmatch(r"!\[(.*)\]\((.*)\)", lines[0]):
        source = base64.b64encode(pictures[picture[2]]).decode()
        image = f'<img alt="{picture[1]}" src="data:image/svg+xml;base64,{source}">'
        return f"{_SCROLL}{image}</div>"
    if lines[0].startswith("- "):
        return "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in lines) + "</ul>"
    if lines[0].startswith("| "):
        cells = [re.split(r"(?<!\\)\|", line[1:-1]) for line in lines]
        right = [rule.strip().endswith(":") for rule in cells[1]]
        rows = "".join(f"<tr>{_row(row, right)}</tr>" for row in cells[2:])
        head = f"<thead><tr>{_row(cells[0], right, 'th')}</tr></thead>"
        return f"{_SCROLL}<table>{head}<tbody>{rows}</tbody></table></div>"
    return f"<p>{_inline(' '.join(lines))}</p>"


def _row(cells: list[str], right: list[bool], tag: str = "td") -> str:
    """The cells of a row; in a head, a name such as InvertedPendulum may be broken."""
    shown = []
    for cell, is_right in zip(cells, right, strict=True):
        text = cell.strip()
        kind = "r" if is_right else "long" if len(text) > _LONG else ""
        how = f' class="{kind}"' if kind else ""
        words = (
            re.sub("(?<=[a-z])(?=[A-Z])", "<wbr>", _inline(text)) if tag == "th" else _inline(text)
        )
        shown.append(f"<{tag}{how}>{words}</{tag}>")
    return "".join(shown)


def _inline(text: str) -> str:
    escaped = html.escape(text.replace("\\|", "|"), quote=False)
    bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escaped)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", bold)
