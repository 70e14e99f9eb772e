"""How a field of the schema declares the range or the choices of its key; no other place does.

The schema's dataclasses declare their fields with these functions; `repro.config.validation` checks
every field accordingly. OmegaConf checks types, and refuses null where the type does not allow it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Any

from omegaconf import MISSING

RANGES: dict[str, Callable[[float], bool]] = {
    "finite": lambda x: True,
    "above 0": lambda x: x > 0,
    "0 or more": lambda x: x >= 0,
    "1 or more": lambda x: x >= 1,
    "2 or more": lambda x: x >= 2,
    "in [0, 1]": lambda x: 0 <= x <= 1,
    "in [0, 1)": lambda x: 0 <= x < 1,
    "above 0 and below 1": lambda x: 0 < x < 1,
    "above 0 and at most 1": lambda x: 0 < x <= 1,
}
"""By the words that complete "must be"; all numbers must be finite besides."""


def number(meaning: str, default: Any = MISSING) -> Any:
    """A field for a number in one of `RANGES`."""
    return field(default=default, metadata=within(meaning))


def within(meaning: str) -> dict[str, str]:
    """The metadata of a field for a number, or for a list of numbers, in one of `RANGES`."""
    assert meaning in RANGES, meaning
    return {"range": meaning}


def choice(*names: str, default: Any = MISSING) -> Any:
    """A field for one of `names`."""
    return field(default=default, metadata={"choices": names})


def flattened(value: Any) -> Iterable[Any]:
    """The numbers of a field: one, or those of a list or of a list of lists."""
    if not isinstance(value, list):
        return [value]
    return [number for each in value for number in flattened(each)]
