"""Configurations from overrides, composed as on the command line."""

from __future__ import annotations

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore

from repro.config.grammar import spelled_out
from repro.config.hydra_errors import translated
from repro.config.overrides import check_overrides, check_use
from repro.config.schema import CONF_DIR, Config
from repro.config.validation import from_omegaconf

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
