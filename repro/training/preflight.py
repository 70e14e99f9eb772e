"""Checks before anything starts: bad input is refused within about a second, without torch."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from repro import envs
from repro.config import devices, sb3
from repro.config.run import RunConfig
from repro.config.schema import Config
from repro.console import say
from repro.envs import actions as task_actions
from repro.envs.vector import VectorEnv
from repro.errors import ConfigError, CorruptError
from repro.runs import store
from repro.training import loggers


def preflight(configs: Sequence[RunConfig]) -> None:
    """Refuse runs that cannot work on this machine. Nothing is left behind.

    Each distinct task, logger and directory is tried once.

    Raises:
        ConfigError: one sentence about the first check that fails.
        CorruptError: a sweep.json is damaged.
    """
    for device in {config.device for config in configs}:
        check_device(device)
    for runs_dir in {config.runs_dir for config in configs}:
        check_runs_dir(runs_dir)
    for logger in {config.logger.name: config for config in configs}.values():
        loggers.check_available(logger)
    _tasks([config for config in configs if isinstance(config, Config)])


def _tasks(configs: Sequence[Config]) -> None:
    """Make each distinct task once."""
    for name in {config.algorithm.name for config in configs if config.algorithm.is_sb3}:
        sb3.check_installed(name)
    tasks = [config.env for config in configs]
    for env in {(env.id, env.backend, str(env.kwargs)): env for env in tasks}.values():
        made = envs.make(env.id, env.backend, 1, env.switches, env.kwargs)
        made.close()
        if env.backend == "gymnasium" and any(_exceeds_bounds(c, env.id) for c in configs):
            _report_bounds(env.id, made)


def _exceeds_bounds(config: Config, env_id: str) -> bool:
    clips = config.recipe.clip_actions or config.algorithm.is_sb3
    return config.env.id == env_id and not clips


def _report_bounds(env_id: str, made: VectorEnv) -> None:
    """Say that actions may leave the box that a task declares. The paper's tasks clip their own."""
    box = task_actions.bounds(made.single_action_space)
    if box is None or not np.isfinite(box).any():
        return
    say(
        f"{env_id} declares bounds of its actions, and this recipe lets actions exceed them: "
        "recipe.clip_actions=true clips them."
    )


def check_device(device: str) -> None:
    """Raise a ConfigError for a GPU where the installed torch has no CUDA.

    `repro.training.devices.resolve_device`, which loads torch, checks that there is a GPU.
    """
    version, _, build = importlib.metadata.version("torch").partition("+")
    if devices.on_gpu(device) and build == "cpu":
        raise ConfigError(
            f"device={device}, but the torch that is installed is built for the CPU only: say "
            "device=cpu, or install the one of PyPI, which on Linux has CUDA "
            f"(pip install --force-reinstall --index-url https://pypi.org/simple torch=={version})."
        )


def check_runs_dir(name: str) -> None:
    """Check that runs can be written to a directory. It need not exist yet.

    Raises:
        ConfigError: it cannot be written to.
        CorruptError: its sweep.json is damaged.
    """
    if not name:
        raise ConfigError("runs_dir has no value: give one, such as runs_dir=runs.")
    runs_dir = Path(name)
    existing = next(path for path in (runs_dir, *runs_dir.absolute().parents) if path.exists())
    try:
        # A file is written, since a file system may refuse what the permission bits allow.
        with tempfile.TemporaryFile(dir=existing):
            pass
        store.read_sweep(runs_dir)
    except OSError as error:
        raise ConfigError(
            f"runs_dir={runs_dir} cannot be written to ({error.strerror} at {existing}): "
            "choose another."
        ) from error
    except CorruptError:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptError(
            f"runs_dir={runs_dir} holds a sweep.json that cannot be read: {error}"
        ) from error
