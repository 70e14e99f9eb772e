"""Numbers as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

NOT_KNOWN = "n/a"
Line = Mapping[Any, Any]  # of a frame


def score(value: float) -> str:
    """A normalized score: `0.82`."""
    return NOT_KNOWN if math.isnan(value) else f"{value:.2f}"


def amount(value: float) -> str:
    """A return, with as many digits as say something: `1,830`, `-7.0`."""
    if math.isnan(value):
        return NOT_KNOWN
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def signed(value: float, how: Callable[[float], str] = score) -> str:
    """A difference: `+0.12`."""
    text = how(value)
    return text if text == NOT_KNOWN or text.startswith("-") else f"+{text}"


def interval(low: float, high: float, how: Callable[[float], str] = score) -> str:
    """`[0.79, 0.85]`."""
    return NOT_KNOWN if math.isnan(low) else f"[{how(low)}, {how(high)}]"


def estimate(
    line: Line,
    key: str = "return",
    how: Callable[[float], str] = amount,
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
) -> str:
    """A value with its interval, as far as they are known: `1,023 [978, 1,068]`."""
    low, high = (float(line[bound]) for bound in bounds)
    return how(line[key]) + ("" if math.isnan(low) else f" {interval(low, high, how)}")


def number(key: str, how: Callable[[float], str] = score) -> Callable[[Line], str]:
    """A column of numbers."""
    return lambda line: how(line[key])


def between(how: Callable[[float], str] = score, name: str = "ci") -> Callable[[Line], str]:
    """A column of intervals."""
    return lambda line: interval(line[f"{name}_low"], line[f"{name}_high"], how)


def of(count: int, expected: int) -> str:
    """`20 of 21`."""
    return f"{count} of {expected}"


def runs_of(line: Line) -> str:
    """How many runs a cell has, of how many."""
    return of(line["n_runs"], line["n_expected"])


def count(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def percent(probability: float) -> str:
    """`97 %`; what is not certain is never written as 0 or 100."""
    if math.isnan(probability):
        return NOT_KNOWN
    if 0 < probability < 0.01:
        return "< 1 %"
    return "> 99 %" if 0.99 < probability < 1 else f"{100 * probability:.0f} %"
