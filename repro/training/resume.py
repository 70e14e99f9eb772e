"""What unfinished runs go on from, and whether the result will be that of runs never stopped."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

import repro
from repro.config.schema import Config
from repro.errors import ConfigError, CorruptError
from repro.runs import checkpoint, provenance, store
from repro.runs.checkpoint import Checkpoint

# Libraries whose arithmetic a result is made of.
VERSIONS = ("torch", "numpy", "mujoco", "gymnasium")
OF_ATARI = ("ale-py", "opencv-python-headless")
# Rooms whose code computes a result. A change elsewhere, as of a message, changes no bit.
COMPUTING = ("algorithms", "engines", "envs", "learning", "networks", "rollouts")
ENVS = "envs"  # the name of the simulators' part of a state


class Start(NamedTuple):
    """Runs that train together from one iteration on.

    Attributes:
        iteration: 0 at the beginning.
        members: their indices among the runs that were planned.
        checkpoints: where each goes on from; empty where they start from the beginning.
        changes: run by run, what is not as it was: key -> (then, now); not empty only with
            `resume=approximate`.
    """

    iteration: int
    members: list[int]
    checkpoints: list[Checkpoint]
    changes: list[dict[str, tuple[Any, Any]]]


def identity(config: Config, device: str, engine: str) -> dict[str, Any]:
    """All that the bits of a run's result depend on, as JSON values by name.

    Args:
        config: of the run.
        device: where it trains.
        engine: what computes, `Training.engine`.
    """
    versions = provenance.machine()["versions"]
    packages = (*VERSIONS, *OF_ATARI) if config.env.backend == "atari" else VERSIONS
    return {
        "config": config.hashed(),
        "device": device,
        "engine": engine,
        "threads": torch.get_num_threads(),
        "versions": {package: versions[package] for package in packages},
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "code": code(),
    }


@functools.cache
def code() -> str:
    """SHA-256 of the sources that compute something."""
    root = Path(repro.__file__).parent
    hashed = hashlib.sha256()
    for path in sorted(path for room in COMPUTING for path in (root / room).rglob("*")):
        if path.suffix in (".py", ".cpp", ".h"):
            hashed.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return hashed.hexdigest()[:16]


def plan(
    configs: Sequence[Config],
    directories: Sequence[Path],
    device: str,
    complain: Callable[[str], None],
) -> tuple[list[Start], dict[int, str]]:
    """Group runs of one pack by the iteration that they go on from.

    Runs of a pack were saved one after the other, so that the newest iteration of some may be
    older than that of others; those that have a common one go on from it together.

    Args:
        configs: of unfinished runs.
        directories: of each.
        device: where they will train. The engine is known once the learners exist: `Saver`
            compares it.
        complain: told a sentence about each checkpoint that is damaged.

    Returns:
        The groups; and of runs that are in none, since none of their checkpoints is whole, index
        -> a sentence.

    Raises:
        ConfigError: something has changed that an exact continuation depends on.
    """
    whole: dict[int, dict[int, Checkpoint]] = {}
    damaged: dict[int, str] = {}
    for i, (config, directory) in enumerate(zip(configs, directories, strict=True)):
        try:
            never = config.resume == "never"
            whole[i] = {} if never else checkpoint.load_whole(directory, complain)
        except CorruptError as error:
            damaged[i] = str(error)
    starts = []
    for iteration, members in _common({i: list(found) for i, found in whole.items()}):
        checkpoints = [whole[i][iteration] for i in members] if iteration else []
        changes = [
            accepted(
                configs[i],
                saved.identity,
                identity(configs[i], device, saved.identity["engine"]),
            )
            for i, saved in zip(members, checkpoints, strict=bool(checkpoints))
        ]
        starts.append(Start(iteration, members, checkpoints, changes or [{} for _ in members]))
    for config, directory in zip(configs, directories, strict=True):
        if config.resume == "never" and (directory / "run.json").exists():
            complain(f"{directory} is set aside as {store.set_aside(directory)}")
    return starts, damaged


def changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (then, now), of nested values that differ."""
    then, today = _flat(was), _flat(now)
    keys = dict.fromkeys([*then, *today])
    pairs = {key: (then.get(key), today.get(key)) for key in keys}
    return {key: (a, b) for key, (a, b) in pairs.items() if a != b}


def without_envs(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state without its simulators: new episodes begin."""
    return {
        name: without_envs(part) if isinstance(part, Mapping) else part
        for name, part in state.items()
        if name != ENVS
    }


def holds_envs(state: Mapping[str, Any]) -> bool:
    """Whether a state tells where the simulators were."""
    return any(
        name == ENVS or (isinstance(part, Mapping) and holds_envs(part))
        for name, part in state.items()
    )


def _common(kept: Mapping[int, Sequence[int]]) -> list[tuple[int, list[int]]]:
    """(iteration, runs that go on from it), for the iterations that each run has; 0 for none.

    Whoever is furthest behind sets the iteration, and all that have it too join.
    """
    left, groups = list(kept), []
    while left:
        iteration = min(max(kept[i], default=0) for i in left)
        members = [i for i in left if iteration in kept[i] or (not iteration and not kept[i])]
        groups.append((iteration, members))
        left = [i for i in left if i not in members]
    return groups


def accepted(
    config: Config, was: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """What has changed since a checkpoint: dotted key -> (then, now).

    Raises:
        ConfigError: anything has, and the run must continue exactly.
    """
    changed = changes(was, now)
    if config.resume == "exact":
        _refuse(config, changed)
    return changed


def _refuse(config: Config, changed: Mapping[str, tuple[Any, Any]]) -> None:
    if changed:
        listed = "; ".join(f"{key} was {then} and is {now}" for key, (then, now) in changed.items())
        raise ConfigError(
            f"{config.run_id} cannot go on to the last bit: {listed}. Go back to what was, or say "
            "resume=approximate (run.json will tell) or resume=never (it begins anew)."
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        flat |= _flat(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return flat
