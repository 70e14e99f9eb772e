"""The kinds of surrogate objectives and their scalars, which `conf/objective/*.yaml` define."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import yaml

from repro.config.names import check_choice, nearest
from repro.config.schema import CONF_DIR
from repro.errors import ConfigError

FLOAT32 = (2.0**-149, 2.0**128 - 2.0**104)  # the smallest number above 0, and the largest


def kinds() -> list[str]:
    """Every kind of objective, one YAML each."""
    return sorted(path.stem for path in (CONF_DIR / "objective").glob("*.yaml"))


@functools.cache
def scalars(kind: str) -> tuple[str, ...]:
    """The names of an objective's scalars, such as epsilon."""
    text = (CONF_DIR / "objective" / f"{kind}.yaml").read_text(encoding="utf-8")
    return tuple(name for name in yaml.safe_load(text) if name != "kind")


def check(objective: Mapping[str, Any]) -> None:
    """Refuse a kind that does not exist, scalars that it lacks or does not have, and their values.

    Raises:
        ConfigError: the first.
    """
    kind = objective.get("kind")
    check_choice("objective.kind", kind, kinds())
    expected = scalars(str(kind))
    has = f"objective.kind={kind} has {' and '.join(expected) or 'no scalars'}"
    for name, value in objective.items():
        if name == "kind":
            continue
        if name not in expected:
            raise ConfigError(f"objective.{name} is not known{nearest(name, expected)}: {has}.")
        _check_scalar(name, value)
    for name in expected:
        if name not in objective:
            raise ConfigError(f"objective.{name} has no value: {has}.")
    if kind == "clip" and objective["epsilon"] >= 1:
        raise ConfigError(
            f"objective.epsilon={objective['epsilon']} must be below 1: the clip range begins at "
            "1 - epsilon, and a ratio is above 0."
        )


def _check_scalar(name: str, value: Any) -> None:
    key = f"objective.{name}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{key}={value} is not a number: give one, such as {key}=0.2.")
    smallest, largest = FLOAT32
    if largest < value < math.inf or 0 < value < smallest:
        raise ConfigError(
            f"{key}={value} must be between {smallest:.3g} and {largest:.3g}: runs compute in "
            f"float32, where it is {'infinite' if value > largest else '0'}."
        )
    if not math.isfinite(value) or value < 0 or (value == 0 and name != "beta"):
        limit = "0 or more" if name == "beta" else "above 0"
        raise ConfigError(f"{key}={value} must be finite and {limit}.")
