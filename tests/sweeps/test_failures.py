"""What becomes of a sweep's runs when some of them fail, and which exit code says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.runs import store, writer
from tests.helpers.cli import Cli
from tests.helpers.sweeps import statuses

SERIAL = "hydra.launcher.workers=1"
PARALLEL = "hydra.launcher.workers=2"


def failed_run(out: str) -> str:
    (line,) = [line for line in out.splitlines() if line.startswith("  FAILED")]
    return line.split()[1].rstrip(":")


@pytest.mark.parametrize("width", [SERIAL, PARALLEL])
def test_an_error_stays_in_its_pack(cli: Cli, width: str) -> None:
    ids = "env.id=CartPole-v1,faulty:FaultyRaises-v0,Acrobot-v1"
    done = cli("-m", "env=gymnasium", ids, "seed=0,1", "budget=smoke", width)
    assert done.code == 1 and done.err.endswith("2 of 6 runs failed.\n")
    assert len(statuses()) == 6
    for run_id, status in statuses().items():
        assert status == (store.FAILED if "Raises" in run_id else store.DONE)
    (summary,) = [i for i, line in enumerate(done.out.splitlines()) if "4 done, 2 FAILED" in line]
    for line in done.out.splitlines()[summary + 1 :]:
        log = Path(line.partition("(see ")[2].rstrip(")"))
        assert "RuntimeError: the simulator broke" in line
        assert "in fail" in log.read_text()
        assert "the simulator broke" in store.read_run(log.parent)["error"]
    assert len(done.out.splitlines()[summary + 1 :]) == 2


def test_a_process_that_dies_takes_no_other_along(cli: Cli) -> None:
    ids = "env.id=faulty:FaultyDies-v0,CartPole-v1,Acrobot-v1,MountainCar-v0"
    retries = "hydra.launcher.retries=0"
    done = cli("-m", "env=gymnasium", ids, "budget=smoke", PARALLEL, retries)
    assert done.code == 1
    assert "its process died of SIGKILL(-9);" in done.out
    assert sorted(statuses().values()) == [store.DONE] * 3 + [store.FAILED]
    assert "SIGKILL" in store.read_run(Path("runs") / failed_run(done.out))["error"]


def test_numbers_that_are_not_finite_have_their_own_exit_code(cli: Cli) -> None:
    line = ("-m", "env=reacher", "seed=0,1", "budget=smoke", SERIAL)
    done = cli(*line, "algorithm.learning_rate=3e-4,1e30")
    assert done.code == 4 and done.err == "2 of 4 runs failed.\n"
    assert sorted(statuses().values()) == [store.DONE] * 2 + [store.FAILED] * 2
    assert done.out.count("failed in iteration 1") == 2


def test_an_error_outranks_numbers(cli: Cli) -> None:
    ids = "env.id=CartPole-v1,faulty:FaultyRaises-v0"
    rates = "algorithm.learning_rate=3e-4,1e30"
    done = cli("-m", "env=gymnasium", ids, rates, "budget=smoke", SERIAL)
    assert done.code == 1 and done.err == "3 of 4 runs failed.\n"


def test_a_failed_run_is_tried_again_only_when_asked(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    import faulty

    line = (
        "-m",
        "env=gymnasium",
        "env.id=faulty:FaultyRaises-v0,CartPole-v1",
        "budget=smoke",
        SERIAL,
    )
    assert cli(*line).code == 1
    monkeypatch.setattr(faulty.Faulty, "fail", lambda self: None)
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*.parquet")}
    again = cli(*line)
    assert again.code == 1 and again.err == "1 of 2 runs failed.\n"
    assert again.out.splitlines()[0] == "2 runs, 1 of them done before, 1 failed before"
    assert "before: failed in iteration 2: environment 0 of 1" in again.out
    assert "failed with RuntimeError: the simulator broke, in step 41 (see " in again.out
    assert again.out.splitlines()[-1].endswith("tried again with retry_failed=true.")
    assert before == {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*.parquet")}
    assert cli(*line, "retry_failed=true").code == 0
    assert set(statuses().values()) == {store.DONE}


def test_numbers_that_failed_before_keep_their_exit_code(cli: Cli) -> None:
    line = ("-m", "env=reacher", "algorithm.learning_rate=1e30", "budget=smoke", SERIAL)
    assert cli(*line).code == cli(*line).code == 4


def test_a_damaged_run_is_left_alone_and_named(cli: Cli) -> None:
    line = ("-m", "env=reacher", "budget=smoke", SERIAL)
    cli(*line, "seed=0")
    (damaged,) = Path("runs").glob("*/run.json")
    damaged.write_text("{")
    done = cli(*line, "seed=0,1")
    assert done.code == 3 and done.err == "1 of 2 runs failed.\n"
    assert "1 done, 1 damaged: runs" in done.out and f"{damaged} is damaged" in done.out
    assert damaged.read_text() == "{"


def test_a_process_that_dies_once_is_replaced(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAULTY_ONCE", str(tmp_path / "died"))
    done = cli(
        "-m", "env=gymnasium", "env.id=faulty:FaultyDies-v0,CartPole-v1", "budget=smoke", PARALLEL
    )
    assert done.code == 0 and (tmp_path / "died").exists()
    assert set(statuses().values()) == {store.DONE}


def test_retries_are_counted(cli: Cli) -> None:
    line = (
        "-m",
        "env=gymnasium",
        "env.id=faulty:FaultyDies-v0,CartPole-v1",
        "budget=smoke",
        PARALLEL,
    )
    once = cli(*line, "hydra.launcher.retries=1")
    assert once.code == 1 and "SIGKILL(-9), also when tried again (1 times);" in once.out
    wrong = cli(*line, "hydra.launcher.retries=-1")
    assert wrong.code == 2 and "must be a whole number of 0 or more." in wrong.err


def test_a_full_disk_does_not_stop_the_others(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even the failure can be written down."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "write_table", full)
    done = cli("-m", "env=reacher,inverted_pendulum", "budget=smoke", SERIAL)
    assert done.code == 1 and done.out.count("No space left on device") >= 2
