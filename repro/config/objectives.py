"""The kinds of surrogate objectives and their scalars, which `conf/objective/*.yaml` define.

A YAML has the scalars with their defaults, and under `scalars` what is to be known of each:

    range      which values it can have, in the words of `fields.within`; any finite one by default
    scheduled  whether `recipe.epsilon_schedule` scales it; false by default
    label      whether it is part of the objective's name in run ids, tables and legends; true by
               default. Of the others a table's label names those that are not at their default.

A scalar whose default is null may be left out.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from repro.config.fields import CONF_DIR, FLOAT32, allows, within
from repro.config.names import check_choice, nearest
from repro.errors import ConfigError

ABOUT = "scalars"  # the section of a YAML that is about its scalars; no run has it


@dataclass(frozen=True)
class Scalar:
    """What a YAML says of a scalar."""

    default: float | None
    range: str = "finite"
    scheduled: bool = False
    label: bool = True


def kinds() -> list[str]:
    """Every kind of objective, one YAML each."""
    return sorted(path.stem for path in (CONF_DIR / "objective").glob("*.yaml"))


@functools.cache
def scalars(kind: str) -> dict[str, Scalar]:
    """The scalars of a kind of objective, such as epsilon, in the order of its YAML.

    Raises:
        ConfigError: the YAML says something of a scalar that it cannot say.
    """
    path = CONF_DIR / "objective" / f"{kind}.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if "kind" not in values:  # a removed kind, or a setting of one, such as table1/clip_0.1
        return {}
    about = values.pop(ABOUT, None) or {}
    values.pop("kind")
    try:
        found = {name: Scalar(default, **about.pop(name, {})) for name, default in values.items()}
        for scalar in found.values():
            within(scalar.range)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path}, {ABOUT}: {error}.") from error
    if about:
        raise ConfigError(f"{path}, {ABOUT}: {next(iter(about))} has no default above.")
    return found


def value(objective: Mapping[str, Any]) -> float | None:
    """The first scalar of the label, by which rows of one kind are sorted; None without one."""
    named = [each for each, scalar in _scalars(objective).items() if scalar.label]
    return float(objective[named[0]]) if named else None


def label(objective: Mapping[str, Any]) -> str:
    """A name for tables and legends: `clip_0.2`; empty without an objective.

    Two settings of one kind have two labels.
    """
    others = [
        f"_{name}_{objective[name]:g}"
        for name, scalar in _scalars(objective).items()
        if not scalar.label and objective[name] != scalar.default
    ]
    return short_label(objective) + "".join(others)


def short_label(objective: Mapping[str, Any]) -> str:
    """A name for run ids, whose hash tells apart what this does not."""
    own = _scalars(objective)
    values = [f"_{objective[name]:g}" for name, scalar in own.items() if scalar.label]
    return str(objective.get("kind", "")) + "".join(values)


def _scalars(objective: Mapping[str, Any]) -> dict[str, Scalar]:
    """Those that an objective has."""
    known = scalars(objective["kind"]) if objective else {}
    names = dict.fromkeys([*known, *objective])
    return {
        name: known.get(name, Scalar(None))
        for name in names
        if name in objective and name != "kind"
    }


def without_defaults(objective: Mapping[str, Any]) -> dict[str, Any]:
    """An objective as runs have it: without what its YAML says of scalars, and without nulls."""
    return {name: each for name, each in objective.items() if name != ABOUT and each is not None}


def check(objective: Mapping[str, Any]) -> None:
    """Refuse a kind that does not exist, scalars that it lacks or does not have, and their values.

    Raises:
        ConfigError: the first.
    """
    kind = objective.get("kind")
    check_choice("objective.kind", kind, kinds())
    known = scalars(str(kind))
    has = f"objective.kind={kind} has {' and '.join(known) or 'no scalars'}"
    for name, each in objective.items():
        if name == "kind":
            continue
        if name not in known:
            raise ConfigError(f"objective.{name} is not known{nearest(name, known)}: {has}.")
        _check_scalar(f"objective.{name}", each, known[name].range)
    for name, scalar in known.items():
        if name not in objective and scalar.default is not None:
            raise ConfigError(f"objective.{name} has no value: {has}.")
    low, high = (objective.get(f"beta_{end}") for end in ("min", "max"))
    if low is not None and high is not None and low > high:
        raise ConfigError(f"objective.beta_min={low} is above objective.beta_max={high}.")


def _check_scalar(key: str, value: Any, meaning: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{key}={value} is not a number: give one, such as {key}=0.2.")
    check_float32(key, value)
    if not math.isfinite(value):
        raise ConfigError(f"{key}={value} must be finite.")
    if not allows(meaning, value):
        raise ConfigError(f"{key}={value} must be {meaning}.")


def check_float32(key: str, value: float) -> None:
    """Refuse a finite number that float32 rounds to infinity or to 0.

    Raises:
        ConfigError: naming the key.
    """
    smallest, largest = FLOAT32
    if largest < abs(value) < math.inf or 0 < abs(value) < smallest:
        raise ConfigError(
            f"{key}={value} must be between {smallest:.3g} and {largest:.3g} in size: runs compute "
            f"in float32, where it is {'infinite' if abs(value) > largest else '0'}."
        )
