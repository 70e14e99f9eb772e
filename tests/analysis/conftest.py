"""Pictures are laid out but not painted, which takes half the time of a report; see `painted`."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure


@pytest.fixture(autouse=True)
def sketched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure's file says what is in it: its size, and every line, bar and word of each panel."""
    if "painted" not in request.fixturenames:
        monkeypatch.setattr(Figure, "savefig", _sketch)


@pytest.fixture
def painted() -> None:
    """For tests of the pictures themselves: figures are saved as their users see them."""


def _sketch(figure: Figure, file: Any, **how: Any) -> None:
    parts = [f"{figure.get_size_inches()}"]
    for axes in figure.axes:
        parts += [f"{line.get_xydata()}" for line in axes.lines]
        parts += [text.get_text() for text in (*axes.texts, axes.title, axes.xaxis.label)]
    file.write(b"\x89PNG " + "\n".join(parts).encode())
