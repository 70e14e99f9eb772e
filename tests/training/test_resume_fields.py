"""F27: comparing results detects a change of any single field of a checkpoint."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np

from repro.config.schema import Config
from repro.runs import archive, checkpoint
from repro.runs.appended import Appended
from repro.training.pack import run_pack
from tests.helpers.bits import equal_bits
from tests.helpers.faults import report
from tests.helpers.resuming import interrupt, uninterrupted
from tests.helpers.tiny import directory, result, tiny

# Every kind of state: both normalizers, accumulators, an adaptive beta, schedules, early ends.
RICH = "recipe=ppo2 objective=kl_adaptive recipe.end_of_run=finished_episodes"
RICH += " recipe.learning_rate_schedule=linear"


def mutated(leaf: Any) -> Any:
    """Another value of the same type."""
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f":
        return np.where(np.isnan(leaf), 1, leaf * leaf.dtype.type(1.01) + leaf.dtype.type(0.01))
    if isinstance(leaf, np.ndarray):
        return leaf + leaf.dtype.type(1)
    if isinstance(leaf, list):  # of random generators
        return [{**each, "state": {**each["state"], "state": 12345}} for each in leaf]
    return {bool: lambda: not leaf, str: lambda: f"{leaf}?"}.get(type(leaf), lambda: leaf + 1)()


def integration_part(state: np.ndarray[Any, Any], name: str) -> slice:
    """The columns of one part of the simulator's state, of Walker2d."""
    model = gymnasium.make("Walker2d-v5").unwrapped.model  # type: ignore[attr-defined]
    signature, part = mujoco.mjtState.mjSTATE_INTEGRATION, getattr(mujoco.mjtState, name)
    assert state.shape[-1] == mujoco.mj_stateSize(model, signature)
    before = [bit for bit in range(part.value.bit_length() - 1) if signature & 1 << bit]
    start = sum(mujoco.mj_stateSize(model, 1 << bit) for bit in before)
    return slice(start, start + mujoco.mj_stateSize(model, part))


def is_detected(
    config: Config, saved: checkpoint.Checkpoint, change: dict[str, Any], expected: dict[str, Any]
) -> bool:
    """Whether resuming from a checkpoint with changed leaves gives another result."""
    arrays, values = archive.flatten({"state": saved.state, "tables": saved.tables})
    leaves = arrays | values | change
    whole = {k: in_memory(leaf) for k, leaf in leaves.items() if isinstance(leaf, Appended)}
    tree = archive.unflatten(leaves | whole)
    shutil.rmtree(directory(config))
    altered = dataclasses.replace(saved, state=tree["state"], tables=tree["tables"])
    checkpoint.save(directory(config), altered)
    try:
        run_pack([config])
    except Exception:
        return True
    return not equal_bits(result(directory(config)), expected)


def in_memory(part: Appended, change: str | None = None) -> Appended:
    """The same segments without their files; those of the array named `change` are others."""
    held = {}
    for i in range(part.first, part.end):
        arrays = part.read(i)
        held[i] = {k: mutated(v) if k == change else v for k, v in arrays.items()}
    return Appended(part.first, part.end, held.__getitem__)


def assert_each_is_detected(
    tmp_path: Path, line: str, changes: Callable[[dict[str, Any]], dict[str, Any]]
) -> int:
    expected = uninterrupted(tmp_path, line)
    config = tiny(tmp_path / "pieces", line)
    interrupt([config], 4)
    saved = checkpoint.load(directory(config), 4)
    arrays, values = archive.flatten({"state": saved.state})
    held = {k: in_memory(v) if isinstance(v, Appended) else v for k, v in values.items()}
    saved = dataclasses.replace(saved, state=archive.unflatten(arrays | held)["state"])
    config = tiny(tmp_path / "pieces", f"{line} checkpoint.every_seconds=1000")
    arrays, values = archive.flatten({"state": saved.state, "tables": saved.tables})
    altered = changes(arrays | values)
    assert not is_detected(config, saved, {}, expected), "unchanged, the result is the same"
    undetected = [
        name
        for name, leaf in altered.items()
        if not is_detected(config, saved, {name.partition("@")[0]: leaf}, expected)
    ]
    assert not undetected
    return len(altered)


def test_f27_each_saved_field_matters(tmp_path: Path) -> None:
    # Long enough for new episodes after the interruption, so that counters and seeds matter.
    line = f"env=reacher {RICH} env.num_envs=2 algorithm.horizon=16 total_timesteps=320"

    def changes(leaves: dict[str, Any]) -> dict[str, Any]:
        return {
            name: mutated(leaf)
            for name, leaf in leaves.items()
            if leaf is not None and "time_" not in name
        }

    fields = assert_each_is_detected(tmp_path, line, changes)
    assert fields > 40
    report("f27_sensitivity", {"fields_changed": fields, "noticed": fields})


def test_f27_the_warm_start_matters(tmp_path: Path) -> None:
    """Positions and velocities alone are not enough."""

    def changes(leaves: dict[str, Any]) -> dict[str, Any]:
        path = "state/collector/envs/integration"
        altered = {}
        for part in ("QPOS", "QVEL", "WARMSTART"):
            state = leaves[path].copy()
            columns = integration_part(state, f"mjSTATE_{part}")
            state[:, columns] = mutated(state[:, columns])
            altered[f"{path}@{part}"] = state
        return altered

    assert assert_each_is_detected(tmp_path, "env=walker2d", changes) == 3


def test_f27_each_field_of_a_replay_matters(tmp_path: Path) -> None:
    line = "env=gymnasium env.id=CartPole-v1 algorithm=acer env.num_envs=2 algorithm.horizon=16"
    # Every segment is drawn after the interruption.
    line += " algorithm.replay_size=64 algorithm.replay_start=0 algorithm.replay_ratio=20"

    def changes(leaves: dict[str, Any]) -> dict[str, Any]:
        path = "state/replay/segments"
        part = leaves[path]
        of_segments = {f"{path}@{name}": in_memory(part, name) for name in part.read(part.first)}
        others = {
            name: mutated(leaf)
            for name, leaf in leaves.items()
            if name.startswith(("state/replay/", "state/average", "state/rmsprop")) and name != path
        }
        fewer = Appended(part.first + 1, part.end, part.read)
        return of_segments | others | {f"{path}@first": fewer}

    assert assert_each_is_detected(tmp_path, line, changes) >= 12
