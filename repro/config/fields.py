"""How a field of the schema declares the range or the choices of its key; no other place does.

The schema's dataclasses declare their fields with these functions; `repro.config.validation` checks
every field accordingly. OmegaConf checks types, and refuses null where the type does not allow it.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

_PACKAGE = Path(__file__).resolve().parents[1]
# A wheel holds `conf` in the package; a checkout has it beside.
CONF_DIR = (_PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent) / "conf"

FLOAT32 = (2.0**-149, 2.0**128 - 2.0**104)  # the smallest number above 0, and the largest

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_LIMITS: dict[str, Callable[[float, float], bool]] = {
    rf"above {_NUMBER}": operator.gt,
    rf"{_NUMBER} or more": operator.ge,
    rf"below {_NUMBER}": operator.lt,
    rf"at most {_NUMBER}": operator.le,
}


def allows(meaning: str, value: float) -> bool:
    """Whether a finite number is in the range that completes "must be"; see `within`."""
    return all(inside(value, limit) for inside, limit in _limits(meaning))


@functools.cache
def _limits(meaning: str) -> tuple[tuple[Callable[[float, float], bool], float], ...]:
    """Comparisons that must all hold.

    Raises:
        ValueError: words that are no range.
    """
    if meaning == "finite":
        return ()
    if interval := re.fullmatch(rf"in ([\[(]){_NUMBER}, {_NUMBER}([\])])", meaning):
        opening, low, high, closing = interval.groups()
        least = operator.ge if opening == "[" else operator.gt
        most = operator.le if closing == "]" else operator.lt
        return (least, float(low)), (most, float(high))
    found = []
    for part in meaning.split(" and "):
        matches = ((inside, re.fullmatch(words, part)) for words, inside in _LIMITS.items())
        limits = [(inside, float(match[1])) for inside, match in matches if match]
        if not limits:
            raise ValueError(f"{meaning!r} is no range: write it as 'above 0 and at most 1'")
        found += limits
    return tuple(found)


def number(meaning: str, default: Any = MISSING) -> Any:
    """A field for a number in a range; see `within`."""
    return field(default=default, metadata=within(meaning))


def within(meaning: str) -> dict[str, str]:
    """The metadata of a field for a number in a range, or for a list of such numbers.

    Args:
        meaning: completes "must be": `finite`, `above 0`, `0 or more`, `below 1`, `at most 1`, two
            of these joined by `and`, or an interval such as `in [0, 1)`.

    Raises:
        ValueError: other words.
    """
    _limits(meaning)
    return {"range": meaning}


def choice(*names: str, default: Any = MISSING) -> Any:
    """A field for one of `names`."""
    return field(default=default, metadata={"choices": names})


def checked(check: Callable[[str, Any], None], default: Any = MISSING) -> Any:
    """A field whose values a function refuses: it takes the key and the value."""
    return field(default=default, metadata={"check": check})


def flattened(value: Any) -> Iterable[Any]:
    """The numbers of a field: one, or those of a list or of a list of lists."""
    if not isinstance(value, list):
        return [value]
    return [number for each in value for number in flattened(each)]
