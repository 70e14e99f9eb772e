"""A self-contained HTML page: controls, what they say, two charts, and a table."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

WEB = Path(__file__).parent / "web"


def slider(name: str, label: str, low: float, high: float, step: float, at: float) -> str:
    """A native slider, which the keyboard moves, and its value."""
    return (
        f'<label for="{name}">{label}: <output for="{name}"></output></label>'
        f'<input type="range" id="{name}" min="{low}" max="{high}" step="{step}" value="{at}">'
    )


def choice(name: str, label: str, options: Mapping[str, str]) -> str:
    """A native list of choices."""
    entries = "".join(f'<option value="{key}">{text}</option>' for key, text in options.items())
    return f'<label for="{name}">{label}</label><select id="{name}">{entries}</select>'


def controls(*parts: str) -> str:
    """Controls side by side, as far as there is room."""
    return "".join(f"<div>{part}</div>" for part in parts)


def number(x: float) -> str:
    """As the tables of the pages show it."""
    return f"{x:.4g}"


def script(name: str, folder: Path = WEB) -> str:
    """One file of JavaScript."""
    return (folder / f"{name}.js").read_text(encoding="utf-8")


def document(
    title: str,
    text: str,
    controls: str,
    charts: tuple[str, str],
    keys: Sequence[tuple[str, str]],
    table: str,
    footer: str,
    scripts: Sequence[str],
) -> bytes:
    """The page; nothing is loaded from anywhere, and its policy forbids it.

    Args:
        title: as a sentence.
        text: what the reader can find out.
        controls: HTML of sliders and choices.
        charts: headings of both charts.
        keys: (color, meaning as HTML) pairs.
        table: HTML of the data table.
        footer: HTML: where the numbers come from.
        scripts: the page's own, after the charts'.
    """
    figures = (
        f'<section><h2>{heading}</h2><div id="{place}"></div></section>'
        for heading, place in zip(charts, ("first", "second"), strict=True)
    )
    page = Template(_web("page.html")).substitute(
        title=html.escape(title),
        text=html.escape(text),
        style=_web("style.css"),
        controls=controls,
        charts="".join(figures),
        keys="".join(f'<span class="key {color}">{meaning}</span>' for color, meaning in keys),
        table=table,
        footer=footer,
        script="\n".join([script("chart"), *scripts, script("frame")]),
    )
    return page.encode()


def _web(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")
