"""Where metrics go besides the run directory. Every package is optional and imported when needed.

The names are those of `repro.runs.store.PROGRESS`, in W&B and TensorBoard alike.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from repro.config.schema import Config
from repro.errors import ConfigError, installation
from repro.runs import store

PACKAGES = {"wandb": "wandb", "tensorboard": "tensorboard"}  # logger.name -> what it imports


class Sink(Protocol):
    """Takes one run's metrics as they come."""

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Take one iteration.

        Args:
            step: environment steps of the run so far; it never decreases.
            metrics: columns of `store.PROGRESS`; None and non-finite values are left out.
        """

    def close(self, status: str) -> None:
        """End, with one of the statuses of `repro.runs.store`."""


def check_available(config: Config) -> None:
    """Refuse a logger that cannot work here, without importing more than that takes.

    Raises:
        ConfigError: its package is not installed, or there is no key to be online with.
    """
    name, mode = config.logger.name, config.logger.mode
    package = PACKAGES.get(name)
    if package is not None and importlib.util.find_spec(package) is None:
        raise ConfigError(
            f"logger={name} needs a package that is not installed: {installation(name)}, or say "
            "logger=none."
        )
    if name == "wandb" and mode is None:
        raise ConfigError("logger.mode has no value: say logger.mode=offline or online.")
    if name == "wandb" and mode == "online" and not _wandb().login(prompt=False):
        raise ConfigError(
            "logger.mode=online needs an API key: run `wandb login`, or say logger.mode=offline."
        )


def open_sink(config: Config, directory: Path, step: int = 0) -> Sink:
    """The sink that `config.logger` names, for the run in `directory`.

    Args:
        config: of the run.
        directory: the run's.
        step: environment steps after which it goes on; what an earlier attempt logged later is
            void.

    Raises:
        ConfigError: it cannot be opened.
    """
    check_available(config)
    if config.logger.name == "wandb":
        return _Wandb(config, directory)
    if config.logger.name == "tensorboard":
        return _TensorBoard(directory, step)
    return _Nothing()


class _Nothing:
    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        pass

    def close(self, status: str) -> None:
        pass


class _Wandb:
    """One W&B run in the run directory; many can be open in one process."""

    open_runs = 0

    def __init__(self, config: Config, directory: Path) -> None:
        wandb = _wandb()
        settings = wandb.Settings(
            silent=True,
            console="off",  # our output is the pack's, not the run's
            save_code=False,
            disable_git=True,
            disable_job_creation=True,
            x_disable_stats=True,
            x_disable_meta=True,
        )
        try:
            self._run = wandb.init(
                project=config.logger.project,
                id=re.sub(r"[/\\#?%:]", "-", config.run_id),  # what W&B allows in one
                name=config.run_id,
                group=config.experiment,
                config=config.as_dict(),
                dir=str(directory),
                mode=config.logger.mode,
                reinit="create_new",
                resume="allow" if config.logger.mode == "online" else None,
                settings=settings,
            )
        except wandb.errors.Error as error:
            raise ConfigError(
                f"logger=wandb cannot start ({error}): try logger.mode=offline."
            ) from error
        _Wandb.open_runs += 1

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        self._run.log(_finite(metrics), step=step)

    def close(self, status: str) -> None:
        self._run.finish(exit_code=0 if status == store.DONE else 1)
        _Wandb.open_runs -= 1
        wandb = _wandb()
        # The service process would stay for as long as this one does. It may also serve a run that
        # is not ours.
        if _Wandb.open_runs == 0 and wandb.run is None:
            wandb.teardown()


class _TensorBoard:
    """Event files in the run directory."""

    def __init__(self, directory: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(directory), purge_step=step + 1 if step else None)

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        for name, value in _finite(metrics).items():
            self._writer.add_scalar(name, value, step)

    def close(self, status: str) -> None:
        self._writer.add_text("status", status)
        self._writer.close()


def _finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    numbers = {name: float(value) for name, value in metrics.items() if value is not None}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _wandb() -> Any:
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # no calls home
    return importlib.import_module("wandb")
