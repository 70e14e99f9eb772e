"""Where unfinished runs resume, and whether their results will be those of uninterrupted runs."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

import repro
from repro.config.run import RunConfig
from repro.engines import cuda
from repro.errors import ConfigError, CorruptError
from repro.runs import checkpoint, provenance, store
from repro.runs.checkpoint import Checkpoint

# Packages of repro that compute a result. Changes elsewhere, as of a message, leave all its bits.
COMPUTING = ("algorithms", "engines", "envs", "learning", "networks", "rollouts")
ENVS = "envs"  # the key of the simulators' part of a state


class Start(NamedTuple):
    """Runs that train together from one iteration on.

    Attributes:
        iteration: the last one that is done; 0 at the beginning.
        members: indices of the runs among those that were planned.
        checkpoints: of each member; empty if they start from the beginning.
        changes: for each member, what has changed since its checkpoint: key -> (then, now). Only
            `resume=approximate` allows changes.
    """

    iteration: int
    members: list[int]
    checkpoints: list[Checkpoint]
    changes: list[dict[str, tuple[Any, Any]]]


def fingerprint(config: RunConfig, device: str, engine: str) -> dict[str, Any]:
    """Everything that the bits of a run's result depend on, as JSON values by name.

    Args:
        config: of the run.
        device: where it trains.
        engine: what computes, as `Training.engine`.
    """
    return {
        "config": config.hashed(),
        "device": torch.device(device).type,  # not which GPU: its model follows
        **cuda.accelerator(torch.device(device)),
        "engine": engine,
        "threads": torch.get_num_threads(),
        "versions": {package: provenance.version(package) for package in config.libraries},
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "code": code_hash(*config.rooms),
    }


@functools.cache
def code_hash(*further: str) -> str:
    """SHA-256 of the sources in COMPUTING and `further` packages of repro, first 16 digits."""
    root = Path(repro.__file__).parent
    hashed = hashlib.sha256()
    for path in sorted(
        path for room in (*COMPUTING, *further) for path in (root / room).rglob("*")
    ):
        if path.suffix in (".py", ".cpp", ".h"):
            hashed.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return hashed.hexdigest()[:16]


def plan(
    configs: Sequence[RunConfig], device: str, warn: Callable[[str], None]
) -> tuple[list[Start], dict[int, str]]:
    """Group runs of one pack by the iteration that they resume from.

    The runs of a pack are saved one after the other, so that after a kill some may have newer
    checkpoints than others. Runs that have a checkpoint of the same iteration resume together.

    Args:
        configs: of unfinished runs.
        device: where they will train. The engine is known once the learners exist: `Saver`
            compares it.
        warn: called with a sentence about each damaged checkpoint.

    Returns:
        The groups; and index -> a sentence for runs whose checkpoints are all damaged.

    Raises:
        ConfigError: something has changed that an exact continuation depends on.
    """
    intact: dict[int, dict[int, Checkpoint]] = {}
    damaged: dict[int, str] = {}
    for i, config in enumerate(configs):
        try:
            never = config.resume == "never"
            intact[i] = {} if never else checkpoint.load_whole(config.directory, warn)
        except CorruptError as error:
            damaged[i] = str(error)
    starts = []
    for iteration, members in _group({i: list(found) for i, found in intact.items()}):
        checkpoints = [intact[i][iteration] for i in members] if iteration else []
        changed = [
            checked_changes(
                configs[i],
                saved.fingerprint,
                fingerprint(configs[i], device, saved.fingerprint["engine"]),
            )
            for i, saved in zip(members, checkpoints, strict=bool(checkpoints))
        ]
        starts.append(Start(iteration, members, checkpoints, changed or [{} for _ in members]))
    for directory in [config.directory for config in configs if config.resume == "never"]:
        if (directory / "run.json").exists():
            warn(f"{directory} is set aside as {store.set_aside(directory)}")
    return starts, damaged


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (then, now), for nested values that differ; None where a key is missing."""
    before, after = _flat(then), _flat(now)
    keys = dict.fromkeys([*before, *after])
    pairs = {key: (before.get(key), after.get(key)) for key in keys}
    return {key: (a, b) for key, (a, b) in pairs.items() if a != b}


def without_envs(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state without its simulators' parts, from which new episodes begin."""
    return {
        name: without_envs(part) if isinstance(part, Mapping) else part
        for name, part in state.items()
        if name != ENVS
    }


def holds_envs(state: Mapping[str, Any]) -> bool:
    """Whether a state contains the simulators' states."""
    return any(
        name == ENVS or (isinstance(part, Mapping) and holds_envs(part))
        for name, part in state.items()
    )


def _group(saved: Mapping[int, Sequence[int]]) -> list[tuple[int, list[int]]]:
    """(iteration, runs that resume from it); iteration 0 is the beginning.

    The run whose newest checkpoint is oldest sets the iteration of the first group; all runs that
    have a checkpoint of that iteration join it. The others are grouped likewise.

    Args:
        saved: run -> iterations of its checkpoints.
    """
    remaining, groups = list(saved), []
    while remaining:
        iteration = min(max(saved[i], default=0) for i in remaining)
        members = [
            i for i in remaining if iteration in saved[i] or (not iteration and not saved[i])
        ]
        groups.append((iteration, members))
        remaining = [i for i in remaining if i not in members]
    return groups


def checked_changes(
    config: RunConfig, then: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """What has changed since a checkpoint: dotted key -> (then, now).

    Raises:
        ConfigError: something has changed, and the run must continue exactly.
    """
    changed = changes(then, now)
    if changed and config.resume == "exact":
        listed = "; ".join(f"{key} was {then} and is {now}" for key, (then, now) in changed.items())
        raise ConfigError(
            f"{config.run_id} cannot be continued exactly: {listed}. Restore what has changed, or "
            "say resume=approximate (run.json marks the run) or resume=never (it starts from the "
            "beginning)."
        )
    return changed


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        flat |= _flat(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return flat
