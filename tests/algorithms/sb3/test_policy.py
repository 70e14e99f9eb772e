"""A policy of Stable-Baselines3 read back: it acts as it did, and nothing else is ever run."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from repro.algorithms.sb3 import mapping as sb3_mapping
from repro.algorithms.sb3 import policy as sb3_archive
from repro.errors import ConfigError, CorruptError
from repro.runs import store
from repro.training import pack
from repro.training.loop import Training
from tests.helpers.configs import compose
from tests.helpers.sb3_runs import CARTPOLE, FILTER, small

TASKS = ("env=reacher", f"env=hopper {FILTER}", CARTPOLE)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (outcome,) = pack.run_pack([small("sb3_ppo", "env=reacher", f"runs_dir={tmp_path}")])
    return outcome.directory


@pytest.mark.parametrize("task", TASKS)
def test_it_acts_as_the_model_did(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[Any] = []
    make = sb3_mapping.make_model

    def keep(*arguments: Any) -> Any:
        models.append(make(*arguments))
        return models[-1]

    monkeypatch.setattr(sb3_mapping, "make_model", keep)
    (outcome,) = pack.run_pack([small("sb3_a2c", task, f"runs_dir={tmp_path}")])
    policy = sb3_archive.load(outcome.directory)
    env = sb3_mapping.make_env(policy.config.env)
    env.reset(seed=0)
    observations = np.stack([env.step(env.action_space.sample())[0] for _ in range(5)])
    normalizer = models[0].get_vec_normalize_env()
    seen = normalizer.normalize_obs(observations) if normalizer else observations
    for deterministic in (True, False):
        torch.manual_seed(3)
        expected, _ = models[0].predict(seen, deterministic=deterministic)
        torch.manual_seed(3)
        actions = policy.predict(observations, deterministic)
        np.testing.assert_array_equal(actions, expected)
        assert actions.shape == (5, *env.action_space.shape)
    if normalizer:
        assert not np.array_equal(policy.policy.predict(observations)[0], expected)


def test_the_digest_is_that_of_the_file(run: Path) -> None:
    content = (run / "parameters.npz").read_bytes()
    assert store.read_run(run)["parameters_sha256"] == hashlib.sha256(content).hexdigest()
    store.verify_parameters(run)
    sb3_archive.load(run)


def test_another_file_is_refused_before_it_is_read(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run / "parameters.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    monkeypatch.setattr(np, "load", pytest.fail)
    with pytest.raises(CorruptError, match="not the file that its run wrote"):
        sb3_archive.load(run)
    path.unlink()
    with pytest.raises(CorruptError, match="is missing"):
        sb3_archive.load(run)


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.marker,))


def as_member(marker: Path) -> bytes:
    """An archive of arrays with one of Python objects among them."""
    file = io.BytesIO()
    np.savez(file, log_std=np.array([Bomb(marker)], object))
    return file.getvalue()


def as_model_zip(marker: Path) -> bytes:
    """What SB3's own loader and torch's would unpickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("policy.pth", pickle.dumps(Bomb(marker)))
        archive.writestr("log_std.npy", pickle.dumps(Bomb(marker)))
    return file.getvalue()


@pytest.mark.parametrize("told", [False, True], ids=["digest as it was", "digest forged"])
@pytest.mark.parametrize("poison", [as_member, as_model_zip, lambda m: pickle.dumps(Bomb(m))])
def test_a_pickle_is_never_executed(run: Path, tmp_path: Path, poison: Any, told: bool) -> None:
    marker = tmp_path / "executed"
    content = poison(marker)
    (run / "parameters.npz").write_bytes(content)
    if told:
        info = json.loads((run / "run.json").read_text())
        info["parameters_sha256"] = hashlib.sha256(content).hexdigest()
        (run / "run.json").write_text(json.dumps(info))
    with pytest.raises(CorruptError, match=r"parameters\.npz"):
        sb3_archive.load(run)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Bomb(marker)))
    assert marker.exists(), "a bomb that cannot go off proves nothing"


def test_parameters_of_other_networks_are_refused(run: Path) -> None:
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("- 64\n", "- 32\n", 1))
    with pytest.raises(CorruptError, match="does not fit the networks"):
        sb3_archive.load(run)


def test_what_is_no_finished_run_of_theirs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no run\.json"):
        sb3_archive.load(tmp_path)
    ours = compose("env=reacher", "budget=smoke", f"runs_dir={tmp_path}")
    pack.run_pack([ours])
    with pytest.raises(ConfigError, match=r"is a run of ppo, not of sb3_\*"):
        sb3_archive.load(ours.directory)
    theirs = small("sb3_ppo", "env=reacher", f"runs_dir={tmp_path}")
    store.RunWriter(theirs.directory, theirs.as_dict(), {"status": store.RUNNING})
    with pytest.raises(ConfigError, match="not a finished run: it is RUNNING"):
        sb3_archive.load(theirs.directory)


def test_training_that_has_no_checkpoints_takes_none() -> None:
    training = Training([small("sb3_ppo", "env=reacher")])
    assert training.checkpoint(0) is None
    with pytest.raises(CorruptError, match="has no checkpoints"):
        training.restore(0, {})
