"""Ownership of run directories: one process at a time, free the moment it dies."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from repro.errors import ConfigError
from repro.runs import locks, store
from repro.training import pack
from tests.helpers.cli import Cli, environment, start
from tests.helpers.configs import Compose

FOLDER = Path(__file__).parents[1] / "helpers"
HOLDER = """
import sys, time
from pathlib import Path
from repro.runs import locks
with locks.owning([Path(sys.argv[1])]) as refused:
    print(refused or "owned", flush=True)
    time.sleep(60)
"""
# Eight processes that have imported everything wait for one signal, then want the same directory.
WRITERS = """
import json, os, sys
from repro.config.compose import compose
from repro.sweeps import sweep
from repro.training.pack import run_pack

configs = [compose(*sys.argv[2:], f"seed={seed}") for seed in range(8)]

def train(writer):
    (outcome,) = run_pack(configs[:1], patience=0.0)
    return [os.getpid(), outcome.status, outcome.error]

def expect(writer):
    return sweep.expect(configs[writer:writer + 1])

go, start = os.pipe()
for writer in range(8):
    if os.fork() == 0:
        os.close(start)
        os.read(go, 1)
        end = json.dumps(globals()[sys.argv[1]](writer))
        os.write(1, (end + "\\n").encode())
        os._exit(0)
os.close(start)
for writer in range(8):
    os.wait()
"""


def script(text: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", text, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), text=True)


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    free, taken = tmp_path / "free", tmp_path / "taken"
    assert locks.owner(taken) is None and not taken.exists()
    holder = script(HOLDER, str(taken))
    assert holder.stdout is not None and holder.stdout.readline() == "owned\n"
    with locks.owning([free, taken], patience=0.2) as refused:
        sentence = refused.pop(1)
        since = json.loads((free / locks.FILE).read_text())["since"]
        assert not refused and locks.owner(free) == (platform.node(), os.getpid(), since)
    owner = locks.owner(taken)
    assert owner is not None and owner.pid == holder.pid and owner.host == platform.node()
    assert sentence == f"{taken} belongs to {owner}: wait for it, or end it."
    holder.kill()
    holder.wait()
    assert locks.owner(taken) is None, "the text is still there, the lock is not"
    with locks.owning([taken], patience=0) as refused:
        assert not refused
    assert not free.exists() and not taken.exists(), "empty directories are removed"


def test_files_of_an_owner_stay(tmp_path: Path) -> None:
    with locks.owning([tmp_path / "run"]):
        (tmp_path / "run" / "table").touch()
    assert locks.owner(tmp_path / "run") is None and (tmp_path / "run" / "table").exists()


def test_reading_the_owner_delays_a_lock_but_never_refuses_it(tmp_path: Path) -> None:
    """`owner` may hold the lock for an instant."""
    for _ in range(15):
        with locks.owning([tmp_path]) as refused:
            assert not refused
        reader = os.fork()
        if reader == 0:
            for _ in range(50):
                locks.owner(tmp_path)
            os._exit(0)
        with locks.owning([tmp_path]) as refused:
            assert not refused
        os.waitpid(reader, 0)


def test_a_directory_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    owning = locks.owning([tmp_path / "file" / "run"])
    with (
        pytest.raises(ConfigError, match=r"runs_dir=.*file cannot be written to or locked"),
        owning,
    ):
        pass


def test_eight_writers_one_directory(tmp_path: Path, config: Compose) -> None:
    line = ("env=reacher", "budget=smoke")
    done = script(WRITERS, "train", *line, f"runs_dir={tmp_path / 'many'}")
    out, _ = done.communicate(timeout=100)
    ends = [json.loads(line) for line in out.splitlines()]
    statuses = Counter(status for _, status, _ in ends)
    assert len(ends) == 8 and statuses[store.DONE] == 1
    assert statuses[pack.LOCKED] + statuses[pack.SKIPPED] == 7 and statuses[pack.LOCKED]
    (winner,) = [pid for pid, status, _ in ends if status == store.DONE]
    for _, status, error in ends:
        assert status != pack.LOCKED or f"belongs to process {winner} on" in error
    alone = config(*line, f"runs_dir={tmp_path / 'alone'}")
    pack.run_pack([alone])
    many, once = tmp_path / "many" / alone.run_id, tmp_path / "alone" / alone.run_id
    for name in ("episodes", "progress"):
        here, there = (store.read_table(each / f"{name}.parquet") for each in (many, once))
        kept = [column for column in here if not column.startswith("time_")]
        assert here[kept].equals(there[kept]) and len(here)


def test_eight_sweeps_one_grid(tmp_path: Path) -> None:
    done = script(WRITERS, "expect", "env=reacher", "budget=smoke", f"runs_dir={tmp_path}")
    out, _ = done.communicate(timeout=100)
    assert out == "null\n" * 8
    assert {run["seed"] for run in store.read_sweep(tmp_path)} == set(range(8))
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.json"]


def test_the_second_command_says_who_has_the_run(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTY_NAP", "60")
    line = ("env=gymnasium", "env.id=faulty:FaultyDawdles-v0", "budget=smoke", "progress=false")
    first = start(cli.directory, *line, path=(FOLDER,))
    try:
        while not list(Path("runs").glob("*/run.json")):
            assert first.poll() is None
        (directory,) = store.run_directories(Path("runs"))
        owner = locks.owner(directory)
        assert owner is not None and owner.pid == first.pid
        second = cli(*line)
        assert second.code == 75 and not second.out
        assert second.err == f"{directory} belongs to {owner}: wait for it, or end it.\n"
        # In a sweep the others are trained meanwhile.
        both = [part.replace("v0", "v0,CartPole-v1") for part in line]
        sweep = cli("-m", *both, "hydra.launcher.workers=1")
        assert sweep.code == 75 and "1 done, 1 trained by another process: runs" in sweep.out
        assert f"LOCKED {directory.name}: {directory} belongs to {owner}" in sweep.out
        assert sweep.err == "1 of 2 runs are unfinished: the same command again continues.\n"
    finally:
        first.kill()
        first.communicate()
