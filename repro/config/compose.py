"""Configurations from overrides, as the command line would compose them."""

from __future__ import annotations

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore

from repro.config.overrides import check_use
from repro.config.schema import CONF_DIR, Config
from repro.config.validation import from_omegaconf

SCHEMA = "schema"  # the first entry of conf/config.yaml's defaults


def register_schema() -> None:
    """Let Hydra check types against `Config`."""
    ConfigStore.instance().store(name=SCHEMA, node=Config)


def compose(*overrides: str) -> Config:
    """The run that `python -m repro OVERRIDES` would start.

    Raises:
        ConfigError: a configuration that cannot run; Hydra's own errors for what it cannot compose.
    """
    register_schema()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = from_omegaconf(hydra_compose("config", overrides=list(overrides)))
    check_use(overrides, config)
    return config
