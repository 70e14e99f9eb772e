"""Numbers as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

NOT_KNOWN = "n/a"
Line = Mapping[Any, Any]  # of a frame
Format = Callable[[float], str]


def score(value: float) -> str:
    """A normalized score: `0.82`."""
    return NOT_KNOWN if math.isnan(value) else f"{value:.2f}"


def amount(value: float) -> str:
    """A return, with as many digits as say something: `1,830`, `-7.0`."""
    if math.isnan(value):
        return NOT_KNOWN
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def blank(value: float | None, form: str) -> str:
    """A number in a format such as `.2f`; nothing where there is none."""
    return "" if value is None or math.isnan(value) else format(value, form)


def signed(value: float, how: Format = score) -> str:
    """A difference: `+0.12`."""
    text = how(value)
    return text if text == NOT_KNOWN or text.startswith("-") else f"+{text}"


def interval(low: float, high: float, how: Format = score) -> str:
    """`[0.79, 0.85]`."""
    return NOT_KNOWN if math.isnan(low) else f"[{how(low)}, {how(high)}]"


def estimate(
    line: Line, key: str = "return", how: Format = amount, ends: str = "ci_", sign: bool = False
) -> str:
    """A value with its interval, as far as they are known: `1,023 [978, 1,068]`.

    The interval is from `ci_low` to `ci_high`, or `ends` is another prefix.
    """
    value = signed(line[key], how) if sign else how(line[key])
    known = not math.isnan(line[f"{ends}low"])
    return f"{value} {between(how, ends)(line)}" if known else value


def change(line: Line, how: Format = score, ends: str = "difference_") -> str:
    """A difference with its interval: `+0.12 [0.04, 0.17]`."""
    return estimate(line, "difference", how, ends, sign=True)


def number(key: str, how: Format = score) -> Callable[[Line], str]:
    """A column of numbers."""
    return lambda line: how(line[key])


def between(how: Format = score, ends: str = "ci_") -> Callable[[Line], str]:
    """A column of intervals; `ends` as in `estimate`."""
    return lambda line: interval(line[f"{ends}low"], line[f"{ends}high"], how)


def measured(title: str, key: str, how: Format = score) -> dict[str, Callable[[Line], str]]:
    """Three columns: values, their intervals, and how many runs they are of."""
    return {title: number(key, how), "95 % interval": between(how), "Runs": runs_of}


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
