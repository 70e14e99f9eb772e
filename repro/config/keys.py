"""The groups, options and keys that a configuration has, and what to say of an unknown one."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from repro.config import algorithms, objectives
from repro.config.atari import AtariConfig
from repro.config.humanoid import HumanoidConfig
from repro.config.names import nearest, nearest_key
from repro.config.schema import CONF_DIR, Config

# Directories of `conf` that are no groups to choose from: Hydra's own, what `conf/config.yaml`
# adds to a choice by itself, and the configuration of `repro.language`.
NOT_GROUPS = ("hydra", "tuned", "language")
NOT_KEYS = ("algorithm", "env.atari", "env.humanoid")  # sections that some tasks lack


@functools.cache
def groups(config_dir: str | None = None) -> dict[str, list[str]]:
    """Group -> its options, from the YAML files of `conf` and of a further directory."""
    options: dict[str, list[str]] = {}
    for directory in (CONF_DIR, *([Path(config_dir)] if config_dir else [])):
        for path in sorted(directory.rglob("*.yaml")):
            group, *rest = path.relative_to(directory).parts
            if rest and group not in NOT_GROUPS:
                options.setdefault(group, []).append("/".join(rest).removesuffix(".yaml"))
    return options


@functools.cache
def known_keys() -> list[str]:
    """Every dotted key that a configuration can have."""
    schema = OmegaConf.to_container(OmegaConf.structured(Config))
    keys = [key for key in _flatten(schema) if key not in NOT_KEYS]
    for section, switches in (("atari", AtariConfig), ("humanoid", HumanoidConfig)):
        keys += [f"env.{section}.{each.name}" for each in dataclasses.fields(switches)]
    keys += [f"algorithm.{name}" for name in algorithms.all_keys()]
    keys += ["objective.kind"]
    keys += [
        f"objective.{name}" for kind in objectives.kinds() for name in objectives.scalars(kind)
    ]
    return list(dict.fromkeys(keys))


def unknown_option(group: str, option: str, options: Sequence[str]) -> str:
    """A sentence on an option that a group does not have."""
    hint = nearest(option, options)
    return f"{group}={option} is not known{hint}: it can be {listed(options)}."


def unknown_key(key: str, among: Iterable[str] = ()) -> str:
    """A sentence on a key that the configuration does not have.

    Args:
        key: dotted.
        among: the keys that it can be; all keys and groups by default.
    """
    start = f"{key} is not a key of the configuration"
    section = key.rpartition(".")[0]
    names = list(among) or [*known_keys(), *(() if section else groups())]
    inside = [name for name in names if name.startswith(f"{key}.")]
    if inside:
        return f"{key} is a section: set one of its keys, such as {inside[0]}."
    match = nearest_key(key, names)
    if match not in (None, key):
        return f"{start} (did you mean {match}?)."
    siblings = [name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == section]
    if section and siblings:
        return f"{start}: {section} has {listed(siblings)}."
    return f"{start}: python -m repro env=hopper --cfg job shows them all."


def unknown_algorithm_key(key: str, algorithm: str) -> str:
    """A sentence on a key that an algorithm does not have, though others may."""
    own = [name for name in algorithms.keys(algorithms.SETTINGS[algorithm]) if name != "name"]
    hint = nearest(key, own)
    return f"algorithm.{key} is not a key of algorithm={algorithm}{hint}: it has {listed(own)}."


def no_option(group: str) -> str:
    """A sentence on a group of which one option must be chosen."""
    options = groups().get(group, [])
    example = f"{options[-1]} (it can be {listed(options)})." if options else "..."
    return f"{group} has no value: choose one, such as {group}={example}"


def listed(options: Sequence[str]) -> str:
    """The options, those of a subdirectory as one."""
    names = dict.fromkeys(re.sub("/.*", "/*", option) for option in options)
    return ", ".join(names) if options else "nothing"


def _flatten(values: Any, path: str = "") -> list[str]:
    if not isinstance(values, Mapping) or not values:
        return [path]
    prefix = f"{path}." if path else ""
    return [key for name, value in values.items() for key in _flatten(value, f"{prefix}{name}")]
