"""Names that must be among known ones, and the known name that a wrong one is most like."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from repro.errors import ConfigError


def check_choice(key: str, value: Any, choices: Iterable[str]) -> None:
    """Raise a ConfigError unless `value` is one of `choices`; it proposes the nearest."""
    names = sorted(choices)
    if value not in names:
        hint = nearest(str(value), names)
        raise ConfigError(f"{key}={value} is not known{hint}: it can be {', '.join(names)}.")


def nearest(name: str, names: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing where none of `names` is like `name`."""
    match = _most_like(name, names)
    return f" (did you mean {match}?)" if match else ""


def nearest_key(key: str, keys: Iterable[str]) -> str | None:
    """The one of dotted `keys` whose last part is most like that of `key`, in the nearest section.

    `horizon` and `optimizer.horizon` both mean `algorithm.horizon`.
    """
    by_last: dict[str, list[str]] = {}
    for each in keys:
        by_last.setdefault(_last(each), []).append(each)
    last = _most_like(_last(key), by_last)
    if last is None:
        return None
    return max(by_last[last], key=lambda each: difflib.SequenceMatcher(None, key, each).ratio())


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _most_like(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that is most like `name`, whatever the case of its letters."""
    folded = {each.casefold(): each for each in names}
    matches = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[matches[0]] if matches else None
