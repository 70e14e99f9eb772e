"""What the films say: sentences and numbers from the tables in results/, without manim."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from animations.script import RESULTS, Script
from animations.words import derivation, intuition, motivation, paths, statistics

_WORDS: dict[str, Callable[[Path], Script]] = {
    "statistics": statistics.script,
    "intuition": intuition.script,
    "derivation": derivation.script,
    "motivation": motivation.script,
    "paths": paths.script,
}
FILMS = tuple(_WORDS)


def script(film: str, results: Path = RESULTS) -> Script:
    """What a film says, from the tables in `results`.

    Raises:
        AnalysisError: a table cannot be read.
    """
    return _WORDS[film](results)
