"""Checks of overrides such as `env=hopper algorithm.gamma=0.9`.

Hydra proposes no nearest name, and merges a key that the chosen algorithm never reads. So names are
checked before Hydra sees them, and their use once it has composed the configuration.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from repro.config import algorithms, keys
from repro.config.grammar import ARGUMENTS, alternatives, parse
from repro.config.schema import CONF_DIR, Config
from repro.errors import ConfigError

_PLACE = "each run has a directory of its own in runs_dir, so set that"
# Keys of Hydra's that say where its own files go. It writes none here.
NO_EFFECT = {
    "hydra.job.chdir": "runs write into runs_dir, wherever they are started, so leave it out",
    **dict.fromkeys(("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"), _PLACE),
    "hydra.output_subdir": "a run's directory holds its config.yaml, so leave it out",
}


def check_overrides(overrides: Sequence[str], config_dir: str | None = None) -> None:
    """Refuse arguments that name no group, option or key.

    Args:
        overrides: `key=value` arguments.
        config_dir: where options are besides `conf`, Hydra's `--config-dir`.

    Raises:
        ConfigError: the first, with the nearest name that exists.
    """
    for override in parse(list(_plain(overrides))):
        if override.is_hydra_override():
            _check_hydra_override(override)
        else:
            _check_override(override, keys.groups(config_dir))
        if override.key_or_group == "experiment":
            for name in _values(override):
                _check_experiment(str(name), config_dir)


def _plain(overrides: Iterable[str]) -> Iterable[str]:
    """All overrides that alternatives stand for, each once."""
    for line in overrides:
        found = alternatives(line)
        yield from [line] if found is None else dict.fromkeys(itertools.chain(*found))


def check_use(overrides: Sequence[str], config: Config) -> None:
    """Refuse keys that the user sets and the algorithm does not read.

    A whole recipe or budget is no such request: an algorithm takes of it what it reads.

    Args:
        overrides: `key=value` arguments, all of the one run.
        config: the configuration that they compose.

    Raises:
        ConfigError: the first.
    """
    own = config.algorithm
    for override in parse(overrides):
        section, _, name = override.key_or_group.partition(".")
        if section == "objective" and not own.takes_objective:
            takers = [key for key, each in algorithms.SETTINGS.items() if each.takes_objective]
            raise ConfigError(
                f"{override.input_line} has no meaning for algorithm={own.name}: only algorithm="
                f"{' or '.join(takers)} takes an objective."
            )
        if section == "algorithm" and name and name not in algorithms.keys(type(own)):
            raise ConfigError(keys.unknown_algorithm_key(name, own.name))
        if section == "recipe" and name in own.recipe_unused:
            raise ConfigError(
                f"{override.input_line} has no meaning for algorithm={own.name}, which does not "
                "read it: leave it out."
            )


def _check_override(override: Override, options: Mapping[str, list[str]]) -> None:
    key, line = override.key_or_group, override.input_line
    if override.package is not None:
        raise ConfigError(f"{line}: a group cannot be moved to another place: say {key}=...")
    if key.startswith(ARGUMENTS):
        _check_argument(override)
        return
    if key not in keys.known_keys() and key not in options:
        raise ConfigError(keys.unknown_key(key or str(line)))
    if override.is_delete():
        raise ConfigError(f"{line} would delete a key that every run needs: set {key} instead.")
    if key in options and not isinstance(override.value(), dict):
        _check_options(override, options[key])
    elif override.is_add():
        raise ConfigError(f"{line}: {key} has a value already: leave out the +.")


def _check_argument(override: Override) -> None:
    """Of `gymnasium.make`: the task knows its name."""
    key, line = override.key_or_group, override.input_line
    if override.is_add() or override.is_delete():
        raise ConfigError(f"{line} must be written as {key}=VALUE.")
    if not all(name.isidentifier() for name in key.split(".")):
        raise ConfigError(f"{line}: {key.removeprefix(ARGUMENTS)} is no name of an argument.")


def _check_hydra_override(override: Override) -> None:
    """Hydra itself lists the names for an unknown one, but fails on a value that is no name."""
    key = override.key_or_group
    if key in NO_EFFECT:
        raise ConfigError(f"{override.input_line} has no effect here: {NO_EFFECT[key]}.")
    if "/" in key and not all(isinstance(value, str) for value in _values(override)):
        raise ConfigError(f"{override.input_line}: write one name, such as {key}=population.")


def _check_options(override: Override, options: Sequence[str]) -> None:
    group, line = override.key_or_group, str(override.input_line)
    if isinstance(override.value(), RangeSweep | IntervalSweep):
        raise ConfigError(f"{line} holds numbers, but {group} can be {keys.listed(options)}.")
    for option in _values(override):
        if isinstance(option, list):
            names = ",".join(str(name) for name in option)
            raise ConfigError(f"{line} is a list: to run each of them, say -m {group}={names}.")
        if option not in options:
            name = "null" if option is None else str(option)
            raise ConfigError(keys.unknown_option(group, name, options))
    # An experiment is the one choice that is not in the defaults list.
    if (group == "experiment") != override.is_add():
        right = f"+{line}" if group == "experiment" else line.lstrip("+")
        raise ConfigError(f"{line} must be written as {right}.")


def _check_experiment(name: str, config_dir: str | None) -> None:
    for directory in (CONF_DIR, *([Path(config_dir)] if config_dir else [])):
        path = directory / "experiment" / f"{name}.yaml"
        defaults = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
        for entry in (defaults or {}).get("defaults", ()):
            # Hydra silently ignores it (hydra#2946).
            late = re.search(r"hydra/\w+", str(entry))
            if late:
                raise ConfigError(
                    f"experiment={name} chooses {late[0]}, too late to have an effect: choose it "
                    "in conf/config.yaml or on the command line."
                )


def _values(override: Override) -> Iterable[Any]:
    """The values of an override; several in a sweep."""
    if not override.is_sweep_override():
        return [override.value()]
    value = override.value()
    return [getattr(item, "text", item) for item in getattr(value, "list", [])]
