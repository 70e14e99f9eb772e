"""Tables as Markdown, LaTeX and CSV, values as JSON, and the form of a report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from tabulate import DataRow, TableFormat, tabulate

from analysis.drawing.text import Line

Columns = Mapping[str, str | Callable[[Line], str]]  # by title: a name, or a text of a line

_ROW = DataRow("| ", " | ", " |")
_PIPES = TableFormat(None, None, None, None, _ROW, _ROW, padding=0, with_header_hide=None)


def csv(table: pd.DataFrame) -> bytes:
    """Ten significant digits: as much as means of float64 returns are good for everywhere."""
    return table.to_csv(index=False, float_format="%.10g", lineterminator="\n").encode()


def as_json(values: Mapping[str, Any]) -> bytes:
    """Indented JSON of plain values; numbers with ten significant digits, as `csv` has them."""
    return (json.dumps(_plain(values), indent=2, ensure_ascii=False) + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.10g}")
    return value


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    """A pipe table, padded; `align` is `l` or `r` a column, the last one for the others."""
    sides = align.ljust(len(header), align[-1])
    cells = [[text.replace("|", "\\|") for text in row] for row in (header, *rows)]
    how = [{"l": "left", "r": "right"}[side] for side in sides]
    aligned = tabulate(cells, tablefmt=_PIPES, colalign=how, disable_numparse=True)
    first, *others = aligned.split("\n")
    widths = [len(title) for title in first[2:-2].split(" | ")]
    rule = ["-" * (w - 1) + (":" if s == "r" else "-") for w, s in zip(widths, sides, strict=True)]
    return "\n".join([first, f"| {' | '.join(rule)} |", *others])


def of(table: pd.DataFrame, align: str, columns: Columns) -> str:
    """A pipe table of a frame; `columns` by title, each a column's name or a text of a line."""
    lines = table.to_dict("records")
    cells = [[str(x[c]) if isinstance(c, str) else c(x) for c in columns.values()] for x in lines]
    return markdown(tuple(columns), cells, align)


def pivot(
    corner: str,
    rows: Mapping[str, str],
    columns: Sequence[str],
    table: pd.DataFrame,
    by: tuple[str, str],
    text: Callable[[Line | None], str],
) -> str:
    """A pipe table of rows (name by key) and columns; `text` of None where there is no line."""
    lines = {(line[by[0]], line[by[1]]): line for line in table.to_dict("records")}
    cells = [(name, *(text(lines.get((row, c))) for c in columns)) for row, name in rows.items()]
    return markdown((corner, *columns), cells, "lr")


def report(title: str, body: str, notes: Sequence[str] = (), holes: Sequence[str] = ()) -> str:
    """A whole report: its title, its tables, then notes and missing runs as lists."""
    tail = bullets("Notes", notes) + bullets("Missing runs", holes)
    return f"# {title}\n\n{body}\n{tail}".rstrip("\n")


def bullets(title: str, lines: Sequence[str]) -> str:
    """A titled list, or nothing when it is empty."""
    return f"\n## {title}\n\n" + "".join(f"- {line}\n" for line in lines) if lines else ""


def latex(header: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    """A booktabs tabular; cells are LaTeX already (`latex_text` makes plain text so)."""
    body = "".join(" & ".join(row) + " \\\\\n" for row in rows)
    return (
        f"% needs \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{align}}}\n\\toprule\n"
        f"{' & '.join(header)} \\\\\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}"
    )


def latex_text(text: str) -> str:
    """Plain text with LaTeX's special characters escaped."""
    escapes = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    escapes |= {c: f"\\{c}" for c in "&%$#_{}"}
    return "".join(escapes.get(character, character) for character in text)
