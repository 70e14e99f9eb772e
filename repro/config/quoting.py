"""Python values as `key=value` overrides, in Hydra's grammar."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from repro.config.grammar import parse
from repro.errors import ConfigError


def override(key: str, value: Any) -> str:
    """One override.

    Args:
        key: a group or a dotted key. An experiment, `experiment`, gets its plus.
        value: None, a bool, number, string or path; a mapping or tuple of them, which is one value;
            or a list, range or array of them, which is a sweep over its elements. `${...}` in a
            string is an interpolation, as on the command line.

    Raises:
        ConfigError: a value that no override can hold.
    """
    swept = elements(value)
    values = [value] if swept is None else swept
    if not values:
        raise ConfigError(f"{key}=[] is a sweep without values: give one, or leave it out.")
    plus = "+" if key == "experiment" else ""
    return f"{plus}{key}=" + ",".join(_written(key, each) for each in values)


def elements(value: Any) -> list[Any] | None:
    """The values that a list, a range or an array sweeps over; None for a single value."""
    if isinstance(value, list | range):
        return list(value)
    if getattr(value, "shape", ()):  # NumPy's, torch's and pandas' arrays
        return list(value.tolist())
    return None


def _written(key: str, value: Any) -> str:
    if hasattr(value, "tolist"):  # a number of NumPy
        value = value.tolist()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, str | os.PathLike):
        return _text(key, os.fspath(value))
    if isinstance(value, tuple | list):
        return "[" + ",".join(_written(key, each) for each in value) + "]"
    if isinstance(value, Mapping):
        pairs = (f"{_text(key, str(name))}:{_written(key, each)}" for name, each in value.items())
        return "{" + ",".join(pairs) + "}"
    raise ConfigError(
        f"{key}={value!r} is of type {type(value).__name__}: give a number, a string, a bool, None "
        "or a list of them."
    )


def _text(key: str, text: str) -> str:
    """A string, quoted unless Hydra reads it back as it is."""
    if text:
        with contextlib.suppress(ConfigError):
            (parsed,) = parse([f"{key}={text}"])
            if not parsed.is_sweep_override() and parsed.value() == text:
                return text
    return QuotedString(text, Quote.single).with_quotes()
