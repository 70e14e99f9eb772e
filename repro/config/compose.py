"""Configurations from overrides, composed as on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore

from repro.config.grammar import spelled_out
from repro.config.hydra_errors import translated
from repro.config.overrides import check_overrides, check_use
from repro.config.quoting import override
from repro.config.schema import CONF_DIR, Config
from repro.config.validation import from_omegaconf

NAMED_BY = {"gymnasium": "id", "atari": "game"}  # the key without which such a task has no name
SCHEMA = "schema"  # the first entry of conf/config.yaml's defaults


def register_schema() -> None:
    """Let Hydra check types against `Config`."""
    ConfigStore.instance().store(name=SCHEMA, node=Config)


def compose(*overrides: str) -> Config:
    """The run that `python -m repro OVERRIDES` would start.

    Raises:
        ConfigError: an unknown name, or a configuration that cannot run.
    """
    check_overrides(overrides)
    overrides = tuple(spelled_out(overrides))
    register_schema()
    with translated(overrides), initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        node = hydra_compose("config", overrides=list(overrides))
    config = from_omegaconf(node)
    check_use(overrides, config)
    return config


def overrides_of(config: Config) -> list[str]:
    """The fewest overrides from which `compose` makes a run of the same result: groups, then keys.

    Raises:
        ConfigError: none do, as for a file of the user's own configuration directory.
    """
    chosen = [f"env={config.env.name}"]
    key = NAMED_BY.get(config.env.backend)
    chosen += [override(f"env.{key}", getattr(config.env, key))] if key else []
    for group in ("algorithm", "recipe", "objective", "policy"):
        value = getattr(config, group)
        if value and getattr(compose(*chosen), group) != value:
            name = value["kind"] if group == "objective" else value.name
            chosen.append(f"{group}={name}")
    base = flat(compose(*chosen).hashed())
    own = flat(config.hashed())
    changed = {key: own.get(key) for key in {**base, **own} if base.get(key) != own.get(key)}
    return chosen + [override(key, _one(value)) for key, value in changed.items()]


def _one(value: Any) -> Any:
    """A list is one value of a key, and no sweep."""
    return tuple(value) if isinstance(value, list) else value


def flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested values by dotted key."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{path}{key}.")
        else:
            found[path + key] = value
    return found
