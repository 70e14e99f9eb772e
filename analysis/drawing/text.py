"""Tables as Markdown, LaTeX and CSV, values as JSON, and numbers as text."""

from __future__ import annotations

import json as _json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

NOT_KNOWN = "n/a"


def csv(table: pd.DataFrame) -> bytes:
    """Ten significant digits: as much as means of float64 returns are good for everywhere."""
    return table.to_csv(index=False, float_format="%.10g", lineterminator="\n").encode()


def json(values: Mapping[str, Any]) -> bytes:
    """Indented JSON of plain values; numbers with ten significant digits, as `csv` has them."""
    return (_json.dumps(_plain(values), indent=2, ensure_ascii=False) + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.10g}")
    return value


def score(value: float) -> str:
    """A normalized score: `0.82`."""
    return NOT_KNOWN if math.isnan(value) else f"{value:.2f}"


def amount(value: float) -> str:
    """A return, with as many digits as say something: `1,830`, `-7.0`."""
    if math.isnan(value):
        return NOT_KNOWN
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def interval(low: float, high: float) -> str:
    """A score's interval: `[0.79, 0.85]`."""
    return NOT_KNOWN if math.isnan(low) else f"[{score(low)}, {score(high)}]"


def signed(text: str) -> str:
    """A difference as text, with its sign: `+0.12`."""
    return text if text == NOT_KNOWN or text.startswith("-") else f"+{text}"


def amounts(low: float, high: float) -> str:
    """An interval of returns: `[1,790, 1,850]`."""
    return NOT_KNOWN if math.isnan(low) else f"[{amount(low)}, {amount(high)}]"


def of(count: int, expected: int) -> str:
    """`20 of 21`."""
    return f"{count} of {expected}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    """A pipe table, padded so that it reads as plain text too.

    Args:
        header: column titles.
        rows: cells as text.
        align: one of `l`, `r` a column.
    """
    cells = [[_cell(text) for text in row] for row in (header, *rows)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(header))]
    rule = [
        "-" * (w - 1) + ":" if a == "r" else "-" * w for w, a in zip(widths, align, strict=True)
    ]
    lines = [_pad(cells[0], widths, align), rule, *(_pad(row, widths, align) for row in cells[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _pad(row: Sequence[str], widths: Sequence[int], align: str) -> list[str]:
    return [
        text.rjust(width) if side == "r" else text.ljust(width)
        for text, width, side in zip(row, widths, align, strict=True)
    ]


def bullets(title: str, lines: Sequence[str]) -> str:
    """A titled list, or nothing when it is empty."""
    return f"\n## {title}\n\n" + "".join(f"- {line}\n" for line in lines) if lines else ""


def latex_table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    """A booktabs tabular; cells are LaTeX already (`latex_text` makes plain text so)."""
    body = "".join(" & ".join(row) + " \\\\\n" for row in rows)
    return (
        f"% needs \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{align}}}\n\\toprule\n"
        f"{' & '.join(header)} \\\\\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"
    )


def latex_text(text: str) -> str:
    """Plain text with LaTeX's special characters escaped."""
    escapes = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    escapes |= {c: f"\\{c}" for c in "&%$#_{}"}
    return "".join(escapes.get(character, character) for character in text)
