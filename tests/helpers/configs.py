"""Configurations composed from the real `conf/`, what they have in common only once."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType

from repro.config.compose import compose as compose_anew
from repro.config.keys import groups
from repro.config.overrides import check_use
from repro.config.schema import Config
from repro.config.validation import from_dict
from repro.errors import ConfigError

Compose = Callable[..., Config]

# Other keys in `conf/` take their values from these.
REFERRED_TO = ("env.id", "env.version", "env.game")


def compose(*overrides: str) -> Config:
    """What `repro.config.compose.compose` returns, or raises.

    Hydra takes a quarter of a second to compose a configuration, and checking one takes a sixth of
    that. Here each choice of groups is composed once, and each choice of values checked once; any
    seed and any directory will do.
    """
    seeds = [each for each in overrides if re.fullmatch(r"seed=\d{1,9}", each)]
    places = [each for each in overrides if each.startswith("runs_dir=")]
    config = copy.deepcopy(_checked(*(x for x in overrides if x not in (*seeds, *places))))
    for each in seeds:
        config.seed = int(each.removeprefix("seed="))
    for each in places:
        config.runs_dir = each.removeprefix("runs_dir=")
    return config


def with_value(config: Config, key: str, value: object) -> Config:
    """A copy with one dotted key changed, unchecked."""
    changed = copy.deepcopy(config)
    *sections, name = key.split(".")
    setattr(functools.reduce(getattr, sections, changed), name, value)
    return changed


@functools.cache
def _checked(*overrides: str) -> Config:
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    plain = [each for each in parsed if _is_plain(each)]
    if any(each.key_or_group == "experiment" for each in parsed):
        plain = []  # experiments refer to any key
    groups_only = (each.input_line or "" for each in parsed if each not in plain)
    try:
        values = _composed(*groups_only).as_dict()
        for each in plain:
            _put(values, each.key_or_group, each.value())
        config = from_dict(values)
    except (KeyError, InvalidWithoutError):
        return compose_anew(*overrides)
    check_use(overrides, config)
    return config


class InvalidWithoutError(Exception):
    """Groups that are valid only with the values that come with them."""


@functools.cache
def _composed(*overrides: str) -> Config:
    try:
        return compose_anew(*overrides)
    except ConfigError as error:
        raise InvalidWithoutError from error


def _is_plain(override: Override) -> bool:
    key = override.key_or_group
    changes = override.type is OverrideType.CHANGE and override.package is None
    return changes and key not in groups() and key not in REFERRED_TO


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    """Raises KeyError for a key that is not there, or is a section."""
    *sections, name = key.split(".")
    section = functools.reduce(lambda inner, each: inner[each], sections, values)
    if isinstance(section[name], dict):
        raise KeyError(key)
    section[name] = value
