"""Files that are not those that a run wrote, and files that grow when they are read."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import repro
from repro import again, evaluate, status, watch
from repro.errors import ConfigError, CorruptError
from repro.evaluation import evaluations
from repro.runs import checkpoint, files, locks, store
from repro.runs.finished import open_run
from repro.runs.schema import EPISODES, EVALUATIONS
from tests.helpers.cli import Cli
from tests.helpers.finished_runs import finish

Tamper = Callable[[Path], object]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that was evaluated."""
    runs_dir = tmp_path_factory.mktemp("original")
    run = finish(runs_dir, "env=reacher policy.hidden_sizes=[8]")
    evaluations.evaluate(run, 4)
    evaluations.evaluate(run, 2)
    store.write_sweep(runs_dir, [run.config.identity()])
    return run.directory


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(original.parent, tmp_path / "runs")
    return tmp_path / "runs" / original.name


def halve(path: Path, schema: Any) -> None:
    """Keep half of a table's rows, as a valid file."""
    table = files.read_table(path)
    half = {name: table[name][::2].to_numpy() for name in table}
    files.write_table(path, half, schema)


def halve_episodes(run: Path) -> None:
    halve(run / "episodes.parquet", EPISODES)


def as_older_version(run: Path) -> None:
    info = store.read_run(run)
    del info["tables_sha256"]
    store.write_json(run / "run.json", info | {"schema": 1})


def without_sums(run: Path) -> None:
    info = store.read_run(run)
    del info["tables_sha256"]
    store.write_json(run / "run.json", info)


def more_parameters(run: Path) -> None:
    arrays = store.read_parameters(run)
    np.savez(run / "parameters.npz", allow_pickle=False, **arrays | {"more": np.zeros(1)})


def test_what_a_run_wrote_is_accepted(run: Path) -> None:
    assert store.verify(run)["status"] == store.DONE
    as_older_version(run)
    assert store.verify(run)["status"] == store.DONE


@pytest.mark.parametrize(
    ("name", "tamper"),
    [
        ("episodes.parquet", halve_episodes),
        ("progress.parquet", lambda run: halve(run / "progress.parquet", store.PROGRESS)),
        ("parameters.npz", more_parameters),
        ("episodes.parquet", lambda run: (run / "episodes.parquet").unlink()),
        ("episodes.parquet", lambda run: (as_older_version(run), halve_episodes(run))),
        ("run.json", without_sums),
    ],
)
def test_another_file_is_refused_and_named(run: Path, name: str, tamper: Tamper) -> None:
    tamper(run)
    with pytest.raises(CorruptError, match=name):
        store.verify(run)


def test_every_reader_refuses_half_of_the_rows(
    run: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    halve_episodes(run)
    line = json.loads((run.parent / "sweep.json").read_text())["runs"][0]
    train = ["env=reacher", "budget=smoke", "policy.hidden_sizes=[8]", f"runs_dir={run.parent}"]
    assert line["run_id"] == run.name
    for command, arguments in (
        (evaluate.run, [str(run)]),
        (watch.run, [str(run)]),
        (again.run, [str(run)]),
        (status.run, [str(run.parent)]),
        (repro.__main__.run, train),
    ):
        capsys.readouterr()
        assert command(arguments) == 3
        printed = capsys.readouterr()
        said = printed.out if command is status.run else printed.err
        assert f"{run / 'episodes.parquet'} is not the file that its run wrote" in said
        assert "Traceback" not in said and printed.err.count("\n") <= 1
    with pytest.raises(CorruptError, match=r"episodes\.parquet is not the file"):
        repro.load(run)
    loaded = repro.Run(run)
    assert loaded.status == "DAMAGED"
    for read in (lambda: loaded.episodes, loaded.policy):
        with pytest.raises(CorruptError, match=r"episodes\.parquet is not the file"):
            read()
    table = repro.runs(run.parent)
    assert list(table.status) == ["DAMAGED"] and table.final_return.isna().all()


def test_evaluations_that_were_not_written_by_an_evaluation(run: Path) -> None:
    path = run / "evaluations.parquet"
    assert len(store.read_evaluations(run)) == 6
    halve(path, EVALUATIONS)
    with pytest.raises(CorruptError, match="move it away, and evaluate again"):
        store.read_evaluations(run)
    path.unlink()
    assert evaluations.evaluate(open_run(run), 1).number == 1


def test_an_evaluation_may_be_killed_at_any_write(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.read_evaluations(run)
    rows = {name: before[name].tolist() for name in before if name != "evaluation"}
    for written in range(3):
        left = iter(range(written))

        def write(path: Path, fill: Any, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            files.write_atomically(path, fill)

        with monkeypatch.context() as patch:
            patch.setattr(store, "write_atomically", write)
            patch.setattr(store, "write_json", lambda p, v, w=write: w(p, _json(v)))
            with pytest.raises(KeyboardInterrupt):
                store.append_evaluation(run, rows)
        assert len(store.read_evaluations(run)) in (6, 12)
    store.append_evaluation(run, rows)
    assert set(store.read_evaluations(run)["evaluation"]) >= {1, 2, 3, 4}


def _json(values: Any) -> Callable[[Any], object]:
    return lambda file: file.write(json.dumps(values).encode())


EXPLODING = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", "[" * 200_000),
        ("run.json", '{"status": ' * 200_000),
        ("run.json", '{"status": ' + "[" * 500 + "]" * 500 + "}"),
        ("run.json", '{"status": ' + "9" * 5000 + "}"),
        ("run.json", '{"status": ["DONE"], "run_id": 3}'),
        ("config.yaml", EXPLODING),
        ("config.yaml", "[" * 200_000),
        ("config.yaml", "{a: " * 300 + "1" + "}" * 300),
        ("config.yaml", "- " * 5000),
        ("config.yaml", "a: 2020-01-01\n"),
        ("config.yaml", "? [1]\n: 2\n"),
        ("config.yaml", "a: 1\n" * 300_000),
        ("sweep.json", "[" * 200_000),
        ("sweep.json", '{"runs": [' + "[" * 100 + "]" * 100 + "]}"),
    ],
)
def test_deep_exploding_and_odd_files(
    run: Path, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    (run.parent if name == "sweep.json" else run).joinpath(name).write_text(content)
    commands = [evaluate.run, again.run] if name == "config.yaml" else [evaluate.run]
    commands = [status.run] if name == "sweep.json" else commands
    begin = time.process_time()
    for command in commands:
        capsys.readouterr()
        code = command([str(run.parent if name == "sweep.json" else run)])
        error = capsys.readouterr().err
        assert code == 3 and name in error and error.count("\n") == 1 and len(error) < 1000
    assert time.process_time() - begin < 10


def test_a_text_in_a_lock_that_cannot_be_one(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(locks, "POLL_SECONDS", 0)
    for text in ("[" * 3000, "x" * 10_000, "{}"):
        (tmp_path / "lock").write_text(text)
        assert locks._read_owner(tmp_path / "lock").host == "an unknown host"


def test_a_configuration_that_is_not_the_runs(run: Path) -> None:
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("seed: 0", "seed: 1"))
    with pytest.raises(ConfigError, match="restore the original"):
        store.verify(run)
    path.unlink()
    with pytest.raises(CorruptError, match=r"config\.yaml is missing"):
        store.verify(run)


def test_a_signed_checkpoint_is_as_finite_as_a_saved_one(tmp_path: Path, monkeypatch: Any) -> None:
    state = {"parameters": {"0": np.ones(3, np.float32)}, "streams": {"n": [1]}}
    tables = {"progress": {"kl": np.array([np.nan])}}
    saved = checkpoint.Checkpoint(1, {}, state, tables)
    checkpoint.save(tmp_path, saved)
    assert np.isnan(checkpoint.load(tmp_path, 1).tables["progress"]["kl"]).all()
    for value in (np.nan, np.inf):
        state["parameters"]["0"][1] = value
        with monkeypatch.context() as patch:  # sign what saving refuses
            patch.setattr(checkpoint.archive, "check_finite", lambda arrays: None)
            checkpoint.save(tmp_path, saved)
        with pytest.raises(CorruptError, match="parameters/0 is not finite"):
            checkpoint.load(tmp_path, 1)
