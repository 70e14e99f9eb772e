"""Refusals of `python -m repro.evaluate`: one sentence, an exit code, no row, nothing executed."""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from repro import evaluate, watch
from repro.errors import NumericalError
from repro.evaluation import evaluations
from repro.runs import archive, store
from repro.runs.finished import FinishedRun, open_run
from repro.runs.schema import EVALUATIONS_FILE
from tests.helpers.cli import ROOT
from tests.helpers.finished_runs import finish, refused


@pytest.fixture
def reacher(tmp_path: Path) -> FinishedRun:
    """A run whose files a test may damage."""
    return finish(tmp_path / "runs", "env=reacher policy.hidden_sizes=[8]")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "the following arguments are required: RUN_DIR"),
        ("nowhere", "nowhere is not a directory: give the directory of a finished run."),
        (".", "holds no run (no run.json)"),
        ("runs", "is not a run but holds 1, such as"),
        ("RUN --episodes 0", "argument --episodes: 0 must be a whole number of 1 or more"),
        ("RUN --episodes many", "argument --episodes: many must be a whole number of 1 or more"),
        ("RUN --seed -1", "argument --seed: -1 must be a whole number of 0 or more"),
        (f"RUN --seed {1 << 63}", "or more and below 9223372036854775808"),
        ("RUN --envs 0", "argument --envs: 0 must be"),
        ("RUN --sede 1", "unrecognized arguments: --sede"),
        ("RUN nowhere", "nowhere is not a directory"),
    ],
)
def test_wrong_arguments(
    reacher: FinishedRun,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    sentence: str,
) -> None:
    place = reacher.directory.parent.parent
    (place / "empty").mkdir()
    monkeypatch.chdir(place / "empty" if arguments == "." else place)
    code, error = refused(capsys, *arguments.replace("RUN", str(reacher.directory)).split())
    assert code == 2 and sentence in error
    assert store.read_evaluations(reacher.directory).empty


@pytest.mark.parametrize("status", [store.RUNNING, store.FAILED, store.PREEMPTED])
def test_a_run_that_is_not_done(
    reacher: FinishedRun, capsys: pytest.CaptureFixture[str], status: str
) -> None:
    store.write_json(reacher.directory / "run.json", reacher.info | {"status": status})
    code, error = refused(capsys, reacher.directory)
    assert code == 2 and f"is {status}, not DONE: finish it first, with the command" in error


def test_a_configuration_that_was_edited(
    reacher: FinishedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    path = reacher.directory / "config.yaml"
    values = yaml.safe_load(path.read_text())
    values["device"] = "auto"  # does not change the result
    path.write_text(yaml.safe_dump(values))
    assert open_run(reacher.directory).config.device == "auto"
    values["recipe"]["clip_actions"] = True
    path.write_text(yaml.safe_dump(values))
    code, error = refused(capsys, reacher.directory)
    assert code == 2 and f"is not what {reacher.run_id} was trained with" in error
    assert "restore the original" in error
    renamed = reacher.info | {"run_id": "Reacher-v4_ppo_clip_0.2_s0_00000000"}
    path.write_text(yaml.safe_dump(reacher.config.as_dict()))
    store.write_json(reacher.directory / "run.json", renamed)
    assert refused(capsys, reacher.directory)[0] == 2


def test_a_run_may_be_moved_and_renamed(reacher: FinishedRun, tmp_path: Path) -> None:
    reacher.directory.rename(tmp_path / "moved")
    assert evaluations.evaluate(open_run(tmp_path / "moved"), 1).number == 1


class Bomb:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def poisoned(name: str, before: dict[str, Any], bomb: Bomb) -> bytes:
    file = io.BytesIO()
    if name == "pickle":
        return pickle.dumps(bomb)
    if name == "object array":
        np.savez(file, **before | {"log_std": np.array([bomb], dtype=object)})
    elif name == "pickled member":
        np.savez(file, **before)
        with zipfile.ZipFile(file, "a") as appended:
            appended.writestr("more.npy", pickle.dumps(bomb))
    elif name == "model zip":  # which SB3's loader and torch's would unpickle
        with zipfile.ZipFile(file, "w") as model:
            model.writestr("policy.pth", pickle.dumps(bomb))
    elif name == "nan":
        np.savez(file, **before | {"log_std": before["log_std"] * np.nan})
    elif name == "shape":
        np.savez(file, **before | {"policy.weight": before["policy.weight"][:, :1]})
    elif name == "missing":
        np.savez(file, **{k: v for k, v in before.items() if k != "observations.mean"})
    elif name == "flipped":
        np.savez(file, **before)
        content = bytearray(file.getvalue())
        content[len(content) // 2] ^= 1
        return bytes(content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pickle", "not an archive of arrays"),
        ("object array", "'log_std.npy' holds object, not numbers"),
        ("pickled member", "not an archive of arrays"),
        ("model zip", "'policy.pth' is not an uncompressed array"),
        ("nan", "log_std is not finite"),
        ("shape", "policy.weight has shape (8, 1), not (8, 2)"),
        ("missing", "observations.mean is missing"),
        ("flipped", "Bad CRC-32"),
        ("empty", ""),
    ],
)
def test_damaged_or_poisoned_parameters(
    reacher: FinishedRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    reason: str,
) -> None:
    before = store.read_parameters(reacher.directory)
    bomb = Bomb(tmp_path / "exploded")
    path = reacher.directory / "parameters.npz"
    content = b"" if name == "empty" else poisoned(name, before, bomb)
    path.write_bytes(content)
    code, error = refused(capsys, reacher.directory)
    assert code == 3 and f"{path} is not the file that its run wrote" in error
    # Whoever can change the file can change run.json as well.
    forged = {"parameters_sha256": hashlib.sha256(content).hexdigest()}
    store.write_json(reacher.directory / "run.json", reacher.info | forged)
    code, error = refused(capsys, reacher.directory)
    assert code == 3 and f"{path} is damaged (" in error and reason in error
    assert not bomb.path.exists()
    assert store.read_evaluations(reacher.directory).empty
    pickle.loads(pickle.dumps(bomb))  # the bomb works
    assert bomb.path.exists()


@pytest.mark.parametrize("command", [evaluate, watch])
def test_valid_parameters_that_the_run_did_not_write_are_refused(
    reacher: FinishedRun,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: ModuleType,
) -> None:
    parameters = store.read_parameters(reacher.directory)
    path = reacher.directory / "parameters.npz"
    np.savez(path, allow_pickle=False, **parameters | {"log_std": parameters["log_std"] + 1})
    monkeypatch.setattr(archive, "unpack", pytest.fail)
    capsys.readouterr()
    assert command.run([str(reacher.directory)]) == 3
    error = capsys.readouterr().err
    assert f"{path} is not the file that its run wrote" in error
    assert "run that configuration again" in error and error.count("\n") == 1


@pytest.mark.parametrize("name", ["run.json", "config.yaml", "parameters.npz"])
@pytest.mark.parametrize("content", ["[]", "{", None])
def test_other_damaged_files(
    reacher: FinishedRun, capsys: pytest.CaptureFixture[str], name: str, content: str | None
) -> None:
    path = reacher.directory / name
    path.unlink()
    if content is not None:
        path.write_text(content)
    code, error = refused(capsys, reacher.directory)
    assert str(reacher.directory) in error
    assert code == (2 if (name, content) == ("run.json", None) else 3)


def test_a_damaged_table_is_neither_read_nor_replaced(
    reacher: FinishedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluations.evaluate(reacher, 3)
    path = reacher.directory / EVALUATIONS_FILE
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    code, error = refused(capsys, reacher.directory, "--episodes", "1")
    assert code == 3 and "move it away, and evaluate again." in error
    assert path.read_bytes() == content


def test_a_task_that_returns_nan_leaves_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "happened").touch()
    with monkeypatch.context() as patch:
        patch.setenv("FAULT_ONCE", str(tmp_path / "happened"))
        run = finish(
            tmp_path / "runs", "env=gymnasium env.id=tests.helpers.tasks:InfiniteReward-v0"
        )
    with pytest.raises(NumericalError, match="episode 5: the task returned"):
        evaluations.evaluate(run, 10, num_envs=1)
    assert refused(capsys, run.directory)[0] == 4
    assert store.read_evaluations(run.directory).empty


def test_the_commands_do_not_load_torch_before_they_refuse() -> None:
    script = "import sys, repro.evaluate, repro.watch; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
