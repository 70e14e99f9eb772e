"""Names that must be among those that there are, with the nearest proposed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from repro.errors import ConfigError


def check_choice(key: str, value: Any, choices: Iterable[str]) -> None:
    """Raise a ConfigError unless `value` is one of `choices`; the nearest is proposed."""
    names = sorted(choices)
    if value not in names:
        hint = nearest(str(value), names)
        raise ConfigError(f"{key}={value} is not known{hint}: it can be {', '.join(names)}.")


def nearest(name: str, names: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing when no name is close."""
    match = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" (did you mean {match[0]}?)" if match else ""
