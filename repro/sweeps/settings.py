"""How a sweep is spread over processes: the keys of `hydra.launcher`. No torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from repro.config.names import check_choice
from repro.errors import ConfigError, installation

# The modules of `repro.sweeps.backends`, and the extra that each needs.
BACKENDS = {"loky": None, "serial": None, "ray": "ray", "submitit": "submitit"}


@dataclass(frozen=True)
class Settings:
    """`conf/hydra/launcher/population.yaml`, which explains them."""

    backend: str = "loky"
    workers: int | None = None
    max_pack: int | None = None
    retries: int = 2
    submitit: Mapping[str, Any] = field(default_factory=dict)

    @property
    def here(self) -> bool:
        """Whether packs train on this machine, whose devices can be looked at."""
        return self.backend in ("loky", "serial")

    def check(self) -> None:
        """Raise a ConfigError for a value that cannot be used on this machine."""
        check_count("hydra.launcher.workers", self.workers)
        check_count("hydra.launcher.max_pack", self.max_pack)
        check_choice("hydra.launcher.backend", self.backend, BACKENDS)
        check_count("hydra.launcher.retries", self.retries, least=0)
        extra = BACKENDS[self.backend]
        if extra is not None and importlib.util.find_spec(extra) is None:
            raise ConfigError(
                f"hydra.launcher.backend={self.backend} needs a package that is not installed: "
                f"{installation(extra)}."
            )


def check_count(key: str, value: object, least: int = 1) -> None:
    """Raise a ConfigError unless `value` is a whole number of `least` or more.

    Where `least` is 1, null is accepted too.
    """
    if value is None and least:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        null = ", or null" if least else ""
        raise ConfigError(f"{key}={value!s} must be a whole number of {least} or more{null}.")
