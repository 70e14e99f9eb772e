"""Loggers: where metrics go besides the run directory.

Their packages are optional and imported when needed. Metrics have the names of
`repro.runs.schema.PROGRESS`, in W&B and TensorBoard alike.
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

from repro.config.run import RunConfig
from repro.errors import ConfigError, installation
from repro.runs.schema import DONE

PACKAGES = {"wandb": "wandb", "tensorboard": "tensorboard"}  # logger.name -> imported package


class Logger(Protocol):
    """Receives one run's metrics, iteration by iteration."""

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Log one iteration.

        Args:
            step: environment steps of the run so far; it never decreases.
            metrics: columns of PROGRESS. None and values that are not finite are left out.
        """

    def close(self, status: str) -> None:
        """End the run with a status of `repro.runs.schema`."""


def check_available(config: RunConfig) -> None:
    """Refuse a logger that cannot work here; imports wandb only where it must be online.

    Raises:
        ConfigError: its package is not installed, or W&B has no API key.
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


def open_logger(
    config: RunConfig, directory: Path, step: int = 0, rows: Mapping[str, Any] | None = None
) -> Logger:
    """Open the logger that `config.logger` names.

    Args:
        config: of the run.
        directory: of the run.
        step: environment steps of the run so far; TensorBoard hides what an earlier attempt logged
            after it.
        rows: the progress table so far, by column. W&B gets it again, since each attempt makes a
            record of its own, and of several records of one id only the last one counts.

    Raises:
        ConfigError: it cannot be opened.
    """
    check_available(config)
    if config.logger.name == "wandb":
        return _Wandb(config, directory, rows or {})
    if config.logger.name == "tensorboard":
        return _TensorBoard(directory, step)
    return _NoLogger()


class _NoLogger:
    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        pass

    def close(self, status: str) -> None:
        pass


class _Wandb:
    """One W&B run in the run directory; many can be open in one process."""

    open_runs = 0

    def __init__(self, config: RunConfig, directory: Path, rows: Mapping[str, Any]) -> None:
        wandb = _wandb()
        settings = wandb.Settings(
            silent=True,
            console="off",  # the process's output belongs to the whole pack
            save_code=False,
            disable_git=True,
            disable_job_creation=True,
            x_disable_stats=True,
            x_disable_meta=True,
        )
        try:
            self._run = wandb.init(
                project=config.logger.project,
                id=re.sub(r"[/\\#?%:]", "-", config.run_id),  # characters that W&B refuses
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
        for values in zip(*rows.values(), strict=True):
            row = {name: value.item() for name, value in zip(rows, values, strict=True)}
            if row["step"] >= self._run.starting_step:  # online, W&B has the earlier ones
                self.log(row["step"], row)

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        self._run.log(_finite(metrics), step=step)

    def close(self, status: str) -> None:
        self._run.finish(exit_code=0 if status == DONE else 1)
        _Wandb.open_runs -= 1
        wandb = _wandb()
        # W&B's service process would otherwise live as long as this one. It may also serve a run
        # that somebody else opened in this process.
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
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # sends no reports
    return importlib.import_module("wandb")
