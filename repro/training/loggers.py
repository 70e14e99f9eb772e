"""Loggers: where metrics go besides the run directory.

Their packages are optional and imported when needed. What they are given, and under which names, is
in `repro.training.metrics`, for W&B and TensorBoard alike.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from repro.config.run import RunConfig
from repro.errors import ConfigError, installation
from repro.runs.schema import DONE
from repro.training import metrics

PACKAGES = {"wandb": "wandb", "tensorboard": "tensorboard"}  # logger.name -> imported package


class Sink(Protocol):
    """Receives one run's metrics, iteration by iteration.

    Attributes:
        first_step: earlier metrics it has already, or another of its files.
    """

    first_step: int

    def write(self, step: int, shown: Mapping[str, float]) -> None:
        """Write one iteration's metrics at `step`, which never decreases."""

    def close(self, status: str) -> None:
        """End the run with a status of `repro.runs.schema`."""


class Logger:
    """Names one run's metrics as `repro.training.metrics` says, and writes them to a sink."""

    def __init__(
        self, sink: Sink | None, kind: str, tables: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        """Go on after the rows of `tables`, writing those that the sink does not have."""
        self._sink, self._metrics = sink, metrics.Metrics(kind)
        if sink is not None and tables:
            for shown in self._metrics.replay(tables):
                step = int(shown[metrics.STEP])
                if step >= sink.first_step:
                    sink.write(step, shown)

    def log(self, row: Mapping[str, Any], episodes: Mapping[str, Any]) -> None:
        """Log one iteration.

        Args:
            row: of the progress table.
            episodes: columns of the episodes that ended in it.
        """
        if self._sink is not None:
            self._sink.write(row["step"], self._metrics.add(row, episodes))

    def close(self, status: str) -> None:
        """End the run with a status of `repro.runs.schema`."""
        if self._sink is not None:
            self._sink.close(status)


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
    config: RunConfig,
    directory: Path,
    step: int = 0,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
) -> Logger:
    """Open the logger that `config.logger` names.

    Args:
        config: of the run.
        directory: of the run.
        step: environment steps of the run so far; TensorBoard hides what an earlier attempt logged
            after it.
        tables: the run's tables so far, by column. W&B gets their metrics again, since each attempt
            makes a record of its own, and of several records of one id only the last one counts.

    Raises:
        ConfigError: it cannot be opened.
    """
    check_available(config)
    sink: Sink | None = None
    if config.logger.name == "wandb":
        sink = _Wandb(config, directory)
    elif config.logger.name == "tensorboard":
        sink = _TensorBoard(config, directory, step)
    return Logger(sink, config.kind, tables)


class _Wandb:
    """One W&B run in the run directory; many can be open in one process."""

    open_runs = 0

    def __init__(self, config: RunConfig, directory: Path) -> None:
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
                group=metrics.group(config),
                job_type="train",
                tags=metrics.tags(config),
                config=config.as_dict() | metrics.identity(config),
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
        self.first_step: int = self._run.starting_step  # online, W&B has the earlier ones

    def write(self, step: int, shown: Mapping[str, float]) -> None:
        self._run.log(dict(shown), step=step)

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

    def __init__(self, config: RunConfig, directory: Path, step: int) -> None:
        board: Any = importlib.import_module("torch.utils.tensorboard")
        self.first_step = step + 1  # the earlier ones are in another event file
        self._writer = board.SummaryWriter(str(directory), purge_step=self.first_step)
        # Without a summary of the experiment TensorBoard itself finds what differs between runs.
        _, start, self._end = board.summary.hparams(metrics.hyperparameters(config), {})
        self._writer.file_writer.add_summary(start)

    def write(self, step: int, shown: Mapping[str, float]) -> None:
        for name, value in shown.items():
            if name != metrics.STEP:  # every event has it
                self._writer.add_scalar(name, value, step)

    def close(self, status: str) -> None:
        if status == DONE:
            self._writer.file_writer.add_summary(self._end)
        self._writer.add_text("status", status)
        self._writer.close()


def _wandb() -> Any:
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # sends no reports
    return importlib.import_module("wandb")
