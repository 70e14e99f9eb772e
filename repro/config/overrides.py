"""From what went wrong with a configuration to one sentence that says what to change.

Names are checked before Hydra sees them, which knows no nearest name; what Hydra and OmegaConf
refuse later is translated.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from repro.config import algorithms
from repro.config.atari import AtariConfig
from repro.config.names import nearest
from repro.config.schema import CONF_DIR, Config
from repro.errors import ConfigError

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException)  # what bad input makes Hydra raise
CHOSEN_BY_OTHERS = ("hydra", "tuned")  # directories of conf that are no groups to choose from
_KINDS = {  # how OmegaConf ends its complaint -> what was expected
    "to Integer": "a whole number",
    "to Float": "a number",
    "not a valid bool": "true or false",
    "not a ListConfig": "a list, such as [64,64]",
}


@functools.cache
def groups(further: str | None = None) -> dict[str, list[str]]:
    """Group -> its options, from the YAML files of `conf` and of a further directory."""
    options: dict[str, list[str]] = {}
    for directory in (CONF_DIR, *([Path(further)] if further else [])):
        for path in sorted(directory.rglob("*.yaml")):
            group, *rest = path.relative_to(directory).parts
            if rest and group not in CHOSEN_BY_OTHERS:
                options.setdefault(group, []).append("/".join(rest).removesuffix(".yaml"))
    return options


@functools.cache
def known_keys() -> list[str]:
    """Every dotted key that a configuration can have."""
    schema = OmegaConf.to_container(OmegaConf.structured(Config))
    keys = dict.fromkeys(key for key in _flatten(schema) if key not in ("algorithm", "env.atari"))
    keys |= dict.fromkeys(f"env.atari.{each.name}" for each in dataclasses.fields(AtariConfig))
    keys |= dict.fromkeys(f"algorithm.{name}" for name in algorithms.all_keys())
    for path in sorted((CONF_DIR / "objective").glob("*.yaml")):
        scalars = yaml.safe_load(path.read_text(encoding="utf-8"))
        keys |= dict.fromkeys(f"objective.{name}" for name in scalars)
    return list(keys)


def parse(overrides: Sequence[str]) -> list[Override]:
    """Hydra's own reading of `key=value` arguments.

    Raises:
        ConfigError: one that Hydra cannot read.
    """
    try:
        return list(OverridesParser.create().parse_overrides(list(overrides)))
    except OverrideParseException as error:
        raise sentence(error) from error


def check_overrides(overrides: Sequence[str], config_dir: str | None = None) -> None:
    """Refuse arguments that name no group, option or key.

    Args:
        overrides: `key=value` arguments.
        config_dir: where options are besides `conf`, Hydra's `--config-dir`.

    Raises:
        ConfigError: the first, with the nearest name that there is.
    """
    for override in parse(overrides):
        if override.is_hydra_override():
            _check_hydras_own(override)
        else:
            _check_override(override, groups(config_dir))
        if override.key_or_group == "experiment":
            for name in _values(override):
                _check_experiment(str(name), config_dir)


def below_null(overrides: Sequence[str]) -> ConfigError | None:
    """What to say where OmegaConf only asserts: a key was set below `env.atari`, and it is null."""
    for override in parse(overrides):
        if str(override.key_or_group).startswith("env.atari."):
            return ConfigError(
                f"{override.input_line} is a key of env=atari alone: say that, or leave it out."
            )
    return None


def check_use(overrides: Sequence[str], config: Config) -> None:
    """Refuse what was asked for by name and has no meaning for the algorithm.

    A whole recipe or budget is no such request: an algorithm takes of it what it has a use for.

    Args:
        overrides: `key=value` arguments, all of the one run.
        config: what they compose.

    Raises:
        ConfigError: the first.
    """
    own = config.algorithm
    for override in parse(overrides):
        section, _, name = override.key_or_group.partition(".")
        if section == "objective" and not own.takes_objective:
            takers = [key for key, each in algorithms.SETTINGS.items() if each.takes_objective]
            raise ConfigError(
                f"{override.input_line} has no meaning for algorithm={own.name}: an objective is "
                f"what algorithm={' or '.join(takers)} takes."
            )
        if section == "algorithm" and name and name not in algorithms.keys(type(own)):
            raise ConfigError(_foreign_key(name, own.name))
        if section == "recipe" and name in own.recipe_unused:
            raise ConfigError(
                f"{override.input_line} has no meaning for algorithm={own.name}, which does not "
                "read it."
            )


def sentence(error: BaseException) -> ConfigError:
    """The ConfigError that an exception of Hydra or OmegaConf amounts to."""
    chain = _chain(error)
    for link in chain:
        if isinstance(link, ConfigError):
            return link
    for text in map(_translate, reversed(chain)):  # the innermost is the most precise
        if text is not None:
            return ConfigError(text)
    return ConfigError(_one_line(str(error)) or type(error).__name__)


def _check_override(override: Override, options: Mapping[str, list[str]]) -> None:
    key, line = override.key_or_group, override.input_line
    if override.package is not None:
        raise ConfigError(f"{line}: a group can only be used in its place: say {key}=...")
    if key not in known_keys() and key not in options:
        raise ConfigError(_unknown_key(key or str(line)))
    if override.is_delete():
        raise ConfigError(f"{line} would take away what every run needs: set {key} instead.")
    if key in options and not isinstance(override.value(), dict):
        _check_choice(override, options[key])
    elif override.is_add():
        raise ConfigError(f"{line}: {key} has a value already: leave out the +.")


def _check_hydras_own(override: Override) -> None:
    """Hydra says of a wrong name what there is, but stumbles over what is no name."""
    key = override.key_or_group
    if "/" in key and not all(isinstance(value, str) for value in _values(override)):
        raise ConfigError(f"{override.input_line}: write one name, such as {key}=population.")


def _check_choice(override: Override, options: Sequence[str]) -> None:
    group, line = override.key_or_group, str(override.input_line)
    if isinstance(override.value(), RangeSweep | IntervalSweep):
        raise ConfigError(f"{line} holds numbers, but {group} can be {_listed(options)}.")
    for option in _values(override):
        if isinstance(option, list):
            listed = ",".join(str(name) for name in option)
            raise ConfigError(f"{line} is a list: to run each of them, say -m {group}={listed}.")
        if option not in options:
            name = "null" if option is None else str(option)
            raise ConfigError(_unknown_option(group, name, options))
    # An experiment is the one choice that is not in the defaults list.
    if (group == "experiment") != override.is_add():
        right = f"+{line}" if group == "experiment" else line.lstrip("+")
        raise ConfigError(f"{line} must be written as {right}.")


def _check_experiment(name: str, config_dir: str | None) -> None:
    for directory in (CONF_DIR, *([Path(config_dir)] if config_dir else [])):
        path = directory / "experiment" / f"{name}.yaml"
        defaults = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
        for entry in (defaults or {}).get("defaults", ()):
            # Hydra would ignore it without a word (hydra#2946).
            late = re.search(r"hydra/\w+", str(entry))
            if late:
                raise ConfigError(
                    f"experiment={name} chooses {late[0]}, too late to have an effect: choose it "
                    "in conf/config.yaml or on the command line."
                )


def _values(override: Override) -> Iterable[Any]:
    if not override.is_sweep_override():
        return [override.value()]
    value = override.value()
    return [getattr(item, "text", item) for item in getattr(value, "list", [])]


def _unknown_option(group: str, option: str, options: Sequence[str]) -> str:
    return f"{group}={option} is not known{nearest(option, options)}: it can be {_listed(options)}."


def _unknown_key(key: str, among: Iterable[str] = ()) -> str:
    start = f"{key} is not a key of the configuration"
    section = key.rpartition(".")[0]
    names = list(among) or [*known_keys(), *(() if section else groups())]
    score, match = max((_likeness(key, name), name) for name in names)
    if score >= 0.6 and match != key:
        return f"{start} (did you mean {match}?)."
    beside = [name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == section]
    if section and beside:
        return f"{start}: {section} has {_listed(beside)}."
    return f"{start}: python -m repro env=hopper --cfg job shows them all."


def _foreign_key(key: str, algorithm: str) -> str:
    """For a key that other algorithms have, or none has."""
    own = [name for name in algorithms.keys(algorithms.SETTINGS[algorithm]) if name != "name"]
    hint = nearest(key, own)
    return f"algorithm.{key} is not a key of algorithm={algorithm}{hint}: it has {_listed(own)}."


def _likeness(key: str, name: str) -> float:
    """Of the last parts of two dotted keys; a little less where they are in different sections."""
    section, _, last = key.rpartition(".")
    other_section, _, other = name.rpartition(".")
    ratio = difflib.SequenceMatcher(None, last, other).ratio()
    return ratio if section == other_section else 0.9 * ratio


def _translate(error: BaseException) -> str | None:
    """A sentence for an exception that says enough by itself."""
    message = str(error)
    key = str(getattr(error, "full_key", None) or getattr(error, "key", None) or "")
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be read: write key=value, and quote special characters."
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        options = groups().get(group, list(error.options or ()))
        return _unknown_option(group, option, options)
    if isinstance(error, ConfigKeyError | ConfigAttributeError) and key:
        section = getattr(error, "parent_node", None)
        if key.startswith("algorithm.") and isinstance(section, DictConfig):
            return _foreign_key(key.partition(".")[2], section.name)
        return _unknown_key(key, _siblings(error, key))
    if isinstance(error, MissingMandatoryValue) and key:
        return f"{key} has no value: give one, such as {key}=..."
    if isinstance(error, ValidationError) and key:
        return _wrong_type(key, getattr(error, "value", None), message)
    if match := re.match(r"You must specify '([\w/]+)'", message):
        group = match[1]
        return f"{group} has no value: choose one, such as {_example(group)}."
    if match := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.+)'", message):
        return f"{match[1]} holds several values: to run each of them, add -m."
    if isinstance(error, OmegaConfBaseException) and key:
        return f"{key}: {_one_line(message)}"
    return None


def _wrong_type(key: str, value: object, message: str) -> str:
    if value is None:
        return f"{key}=null: it needs a value."
    for complaint, kind in _KINDS.items():
        if complaint in message:
            return f"{key}={value!s} must be {kind}."
    return f"{key}={value!s} does not fit: {_one_line(message)}"


def _siblings(error: OmegaConfBaseException, key: str) -> list[str]:
    """Keys beside an unknown one, where OmegaConf says what it looked in."""
    parent = getattr(error, "parent_node", None)
    path = key.rpartition(".")[0]
    if not isinstance(parent, DictConfig) or not path:
        return []
    return [f"{path}.{name}" for name in map(str, parent)]


def _example(group: str) -> str:
    options = groups().get(group, [])
    return f"{group}={options[-1]} (it can be {_listed(options)})" if options else f"{group}=..."


def _listed(options: Sequence[str]) -> str:
    """The options; those of a subdirectory as one."""
    names = dict.fromkeys(re.sub("/.*", "/*", option) for option in options)
    return ", ".join(names) if options else "nothing"


def _chain(error: BaseException | None) -> list[BaseException]:
    """An exception, what caused it, and so on inwards."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _one_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("full_key", "reference_", "object_"))]
    return " ".join(kept[:2])


def _flatten(values: Any, path: str = "") -> list[str]:
    if not isinstance(values, Mapping) or not values:
        return [path]
    prefix = f"{path}." if path else ""
    return [key for name, value in values.items() for key in _flatten(value, f"{prefix}{name}")]
