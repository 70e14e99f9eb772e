"""`python -m repro.status`: what a sweep was to be, against what is there."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from repro import status
from repro.config.schema import Config
from repro.errors import ConfigError, CorruptError
from repro.runs import locks, store
from repro.runs.writer import RunWriter
from repro.sweeps import heartbeats, screen
from repro.sweeps.survey import survey
from tests.helpers.cli import ROOT, Cli
from tests.helpers.configs import compose


def sweep(runs_dir: Path, *envs: str, seeds: int = 3) -> list[Config]:
    configs = [
        compose(*env.split(), f"seed={seed}", f"runs_dir={runs_dir}")
        for env in envs
        for seed in range(seeds)
    ]
    store.write_sweep(runs_dir, [config.identity() for config in configs])
    return configs


def leave(config: Config, **info: object) -> Path:
    directory = Path(config.runs_dir) / config.run_id
    directory.mkdir()
    store.write_json(directory / "run.json", info)
    return directory


def finish(config: Config) -> Path:
    """A finished run of no episodes."""
    writer = RunWriter(config.directory, config.as_dict(), config.identity())
    writer.finish(store.DONE, {})
    return config.directory


def look(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "repro.status", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_state_is_told(tmp_path: Path) -> None:
    runs = sweep(tmp_path, "env=reacher", "env=hopper", "env=hopper objective=none")
    finish(runs[0])
    leave(runs[1], status=store.FAILED, error="it broke")
    leave(runs[2], status=store.PREEMPTED, error="interrupted")
    leave(runs[3], status=store.RUNNING, host="elsewhere")
    held = [leave(runs[4], status=store.RUNNING), leave(runs[5], status=store.FAILED)]
    damaged = leave(runs[6], status=store.DONE)
    (damaged / "run.json").write_text("{")
    with locks.owning(held):
        owner = locks.owner(held[0])
        done = look(str(tmp_path))
        found = json.loads(look(str(tmp_path), "--json").stdout)
    assert done.returncode == 3 and not done.stderr
    assert (
        done.stdout
        == f"""\
1 of 9 done, 2 running, 2 preempted, 1 failed, 1 damaged, 2 missing

          reacher    hopper
--------  ---------  --------
clip_0.2  1/3 p f    0/3 2r p
none                 0/3 d 2m
(r running, p preempted, f failed, d damaged, m missing)

running 2: {owner}
failed {runs[1].run_id}: it broke
preempted {runs[2].run_id}: interrupted
preempted {runs[3].run_id}: its process on elsewhere ended unexpectedly
damaged {runs[6].run_id}: {damaged / "run.json"} is damaged (Expecting property name enclosed in \
double quotes: line 1 column 2 (char 1)): remove it and run again.
"""
    )
    assert owner is not None and owner.pid == os.getpid()
    states = ["done", "failed", "preempted", "preempted", "running", "running", "damaged"]
    assert [run["state"] for run in found["runs"]] == [*states, "missing", "missing"]
    assert found["runs"][4]["owner"] == owner._asdict() and found["runs"][0]["owner"] is None
    assert (found["expected"], found["done"], found["complete"]) == (9, 1, False)


def test_a_sweep_that_is_complete(cli: Cli) -> None:
    assert (
        cli("-m", "env=reacher", "seed=0,1", "budget=smoke", "hydra.launcher.workers=1").code == 0
    )
    done = look(str(cli.directory / "runs"))
    assert done.returncode == 0
    assert done.stdout.startswith("2 of 2 done\n") and done.stdout.endswith("2/2\n")
    assert json.loads(look(str(cli.directory / "runs"), "--json").stdout)["complete"]


def test_tasks_of_one_name_are_told_apart(tmp_path: Path) -> None:
    gym = "env=gymnasium env.id="
    sweep(tmp_path, f"{gym}CartPole-v1", "env=hopper", "env=hopper env.version=v5", "env=reacher")
    tasks = dict.fromkeys(run.task for run in survey(tmp_path))
    assert list(tasks) == ["CartPole-v1", "Hopper-v4", "Hopper-v5", "reacher"]


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("nowhere", "nowhere is not a directory: give the runs_dir of a sweep."),
        ("empty", "empty holds neither a sweep nor a run: one is begun with python -m repro."),
        ("above", "above holds no sweep.json; below it are those of "),
        ("broken", "broken: its sweep.json cannot be read: 'runs'"),
    ],
)
def test_where_there_is_no_sweep(tmp_path: Path, where: str, sentence: str) -> None:
    sweep(tmp_path / "above" / "table1", "env=reacher")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sweep.json").write_text("{}")
    with pytest.raises((ConfigError, CorruptError)) as raised:
        survey(tmp_path / where)
    assert sentence in str(raised.value)


def test_single_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [compose(f"env={env}", f"runs_dir={tmp_path}") for env in ("reacher", "hopper")]
    for config in runs:
        finish(config)
    (tmp_path / "torn").mkdir()
    assert status.run([str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("2 of 2 done\n")
    assert status.run([str(runs[0].directory)]) == 0, "one of them"
    (tmp_path / "torn" / "run.json").write_text("{")
    assert status.run([str(tmp_path)]) == 3
    assert capsys.readouterr().out.count("damaged") >= 2


def test_watching(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One frame in a pipe: what trains, the time left, and curves that rise and fall."""
    runs = sweep(tmp_path, "env=reacher total_timesteps=20480", seeds=4)
    rising, flat = np.arange(40.0), np.full(40, 7.0)
    for config, returns in zip(runs, (rising, rising), strict=False):
        columns = {name: np.zeros(40) for name in store.EPISODES}
        columns |= {"step": np.arange(1.0, 41) * 512, "return": returns}
        writer = RunWriter(config.directory, config.as_dict(), config.identity())
        writer.add({"episodes": columns})
        writer.finish(store.DONE, {}) if config is runs[0] else writer.flush()
    with locks.owning([runs[1].directory]):
        beat = {"steps": 10_240, "total_steps": 20_480, "speed": 1024.0, "returns": 3.5}
        path = tmp_path / heartbeats.FOLDER / "x" / "0.json"
        path.parent.mkdir(parents=True)
        store.write_json(path, beat | {"run_ids": [runs[1].run_id]})
        assert status.run([str(tmp_path), "--watch"]) == status.EXIT_INCOMPLETE
    shown = capsys.readouterr().out
    assert shown.startswith("1 of 4 done, 1 running, 2 missing\n")
    # Half a run is left of the one that trains, and two wait: 2.5 x 20,480 / 1,024 seconds.
    assert "about 0:00:50 left in all" in shown
    (training,) = [line for line in shown.splitlines() if "steps/s" in line]
    for part in ("reacher", "1 run ", " 50%", "return 3.5", "1,024 steps/s", "0:00:10 left"):
        assert part in training
    (curve,) = [line for line in shown.splitlines() if "clip_0.2" in line and ".." in line]
    drawn = [screen.BLOCKS.index(character) for character in curve.split()[2]]
    assert len(drawn) == screen.BINS and drawn == sorted(drawn) and {0, 7} <= set(drawn)
    assert "2 runs" in curve
    beats = [json.loads(path.read_text())]
    for width, lacks in ((70, ["steps/s"]), (50, ["steps/s", "━"])):
        narrow = screen.lines(survey(tmp_path), beats, screen.Curves(), ascii=False, width=width)
        (training,) = [line for line in narrow if line.endswith("0:00:10 left")]
        (curve,) = [line for line in narrow if "clip_0.2" in line]
        assert max(len(training), len(curve)) <= width
        assert [part for part in ("steps/s", "━") if part not in training] == lacks
    assert screen.sparkline(np.append(flat[:3], np.nan)) == "▁▁▁ "
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    status.run([str(tmp_path), "--watch"])
    sys.stdout.seek(0)
    assert "?" not in sys.stdout.read()


def test_bad_input_leaves_2_and_one_sentence() -> None:
    done = look("/nowhere")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == "/nowhere is not a directory: give the runs_dir of a sweep.\n"


def test_it_loads_no_torch() -> None:
    script = "import sys, repro.status; print(sorted({'torch', 'mujoco'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n"
