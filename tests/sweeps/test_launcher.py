"""Sweeps: checked before they start, packed, spread over processes, and honest about what failed.

Hydra's own `LauncherTestSuite` does not apply: its jobs call functions of the tests with free-form
configurations, where ours train packs of `Config`. What it checks of a launcher (jobs
with their overrides in order, batches, mandatory choices, errors that reach the caller) is checked
here on real jobs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobStatus

from repro.config.compose import register_schema
from repro.config.schema import CONF_DIR, Config
from repro.config.validation import from_omegaconf
from repro.console import ProgressBar
from repro.errors import RunsFailedError
from repro.runs import store
from repro.sweeps import dispatch, heartbeats, jobs, packs, sweeper, worker
from repro.sweeps.backends import Ended
from repro.sweeps.settings import BACKENDS, Settings
from repro.sweeps.worker import Task
from repro.training.outcome import SKIPPED, Outcome, PackProgress
from tests.helpers.cli import Cli, finish, start
from tests.helpers.configs import Compose
from tests.helpers.sweeps import composed, untrained
from tests.helpers.waiting import wait_for

SERIAL = "hydra.launcher.workers=1"
PARALLEL = "hydra.launcher.workers=2"
FOLDER = Path(__file__).parents[1] / "helpers"
INTERRUPTED = "Interrupted: the same command again continues.\n"


def statuses(runs_dir: Path = Path("runs")) -> dict[str, str]:
    """By run id."""
    found = [store.read_run(directory) for directory in store.run_directories(runs_dir)]
    return {info["run_id"]: info["status"] for info in found}


def results(directory: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """What a run computed, without the times."""
    progress = store.read_table(directory / "progress.parquet")
    kept = [name for name in progress if not name.startswith("time_")]
    episodes = store.read_table(directory / "episodes.parquet")
    return progress[kept], episodes, store.read_parameters(directory)


def test_a_sweep_leaves_what_its_runs_alone_would(cli: Cli) -> None:
    axes = ("env=reacher,inverted_pendulum", "objective=clip,kl_adaptive", "seed=0,1")
    done = cli("-m", *axes, "budget=smoke", PARALLEL, "runs_dir=swept")
    assert done.code == 0 and not done.err
    assert done.out.splitlines()[0] == "8 runs: 2 packs on 2 workers"
    assert done.out.splitlines()[-1] == "8 done: swept"
    assert len(store.read_sweep(Path("swept"))) == len(statuses(Path("swept"))) == 8
    # Hydra leaves nothing, and neither do the heartbeats.
    assert {path.split("/")[0] for path in cli.left()} == {"swept"}
    assert sum("/" in path and path.count("/") == 1 for path in cli.left()) == 9

    cli("env=reacher", "objective=kl_adaptive", "seed=1", "budget=smoke", "runs_dir=alone")
    (alone,) = store.run_directories(Path("alone"))
    for here, there in zip(results(alone), results(Path("swept") / alone.name), strict=True):
        if isinstance(here, pd.DataFrame):
            pd.testing.assert_frame_equal(here, there, check_exact=True)
        else:
            assert all(np.array_equal(value, there[name]) for name, value in here.items())

    before = {path: path.stat().st_mtime_ns for path in Path("swept").rglob("*.parquet")}
    again = cli("-m", *axes, "budget=smoke", PARALLEL, "runs_dir=swept")
    assert again.code == 0
    assert again.out == "8 runs, 8 of them done before\n0 done, 8 done before: swept\n"
    assert before == {path: path.stat().st_mtime_ns for path in Path("swept").rglob("*.parquet")}


def test_only_what_is_missing_is_trained(cli: Cli) -> None:
    line = ("env=reacher", "budget=smoke", SERIAL)
    cli("-m", *line, "seed=0,1")
    done = cli("-m", *line, "seed=0,1,2")
    assert done.out.splitlines()[0] == "3 runs, 2 of them done before: 1 pack on 1 worker"
    assert done.out.splitlines()[-1] == "1 done, 2 done before: runs"
    assert {run["seed"] for run in store.read_sweep(Path("runs"))} == {0, 1, 2}


def test_the_grid_is_written_before_the_first_run(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def run_packs(plan: Sequence[packs.Pack], *_: object) -> list[list[Outcome]]:
        seen.append(cli.left())
        return untrained(plan)

    monkeypatch.setattr(dispatch, "run_packs", run_packs)
    cli("-m", "env=reacher", "seed=0,1", "runs_dir=a,b", "budget=smoke")
    assert seen == [["a", "a/sweep.json", "b", "b/sweep.json"]]
    assert [run["seed"] for run in store.read_sweep(Path("a"))] == [0, 1]


@pytest.mark.parametrize("width", [SERIAL, PARALLEL])
def test_an_error_stays_in_its_pack(cli: Cli, width: str) -> None:
    ids = "env.id=CartPole-v1,faulty:FaultyRaises-v0,Acrobot-v1"
    done = cli("-m", "env=gymnasium", ids, "seed=0,1", "budget=smoke", width)
    assert done.code == 1 and done.err == "2 of 6 runs failed.\n"
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


def failed_run(out: str) -> str:
    (line,) = [line for line in out.splitlines() if line.startswith("  FAILED")]
    return line.split()[1].rstrip(":")


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


def test_batches_go_on_after_a_failure(cli: Cli) -> None:
    done = cli(
        *("-m", "env=reacher", "seed=0,1,2", "algorithm.learning_rate=1e30,3e-4", "budget=smoke"),
        *(SERIAL, "hydra.sweeper.max_batch_size=2"),
    )
    assert done.code == 4 and done.err == "3 of 6 runs failed.\n"
    assert done.out.count("2 runs: 1 pack on 1 worker") == 3
    assert len(statuses()) == len(store.read_sweep(Path("runs"))) == 6


def test_batches_are_checked_before_the_first(cli: Cli) -> None:
    done = cli("-m", "env=reacher", "seed=0,1,-1", "hydra.sweeper.max_batch_size=1")
    assert done.code == 2 and "seed=-1" in done.err and not cli.left()


def test_hydras_own_launcher_and_sweeper_work_too(cli: Cli) -> None:
    line = ("-m", "env=reacher", "seed=0,1", "budget=smoke")
    done = cli(*line, "hydra/launcher=basic")
    assert done.code == 0 and len(statuses()) == 2
    done = cli(*line, "hydra/sweeper=basic", SERIAL, "runs_dir=other")
    assert done.code == 0 and len(statuses(Path("other"))) == 2
    assert {path.split("/")[0] for path in cli.left()} == {"runs", "other"}
    done = cli(*line, "hydra/sweeper=basic", SERIAL, "algorithm.learning_rate=1e30")
    assert done.code == 4


def test_sweeps_of_an_experiment_can_be_narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = ("env=hopper", "objective=table1/none,clip", "seed=5", "algorithm.gamma=0.9,0.99")
    configs = composed(monkeypatch, "+experiment=table1", "budget=quick", *narrow)
    assert [(c.objective_label, c.algorithm.gamma) for c in configs] == [
        ("none", 0.9),
        ("none", 0.99),
        ("clip_0.2", 0.9),
        ("clip_0.2", 0.99),
    ]
    assert {(c.env.name, c.seed, c.total_timesteps) for c in configs} == {("hopper", 5, 51_200)}
    assert {c.runs_dir for c in configs} == {"runs/table1/quick"}


def test_jobs_compose_as_hydra_composes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reusing a composition for other values changes nothing."""
    axes = {
        "env": ["hopper", "gymnasium"],
        "env.id": ["CartPole-v1", "${env.name}-v${seed}"],
        "recipe": ["cleanrl", "sb3"],
        "algorithm.gamma": ["0.9", "0.99"],
        "total_timesteps": ["${algorithm.horizon}"],
        "policy.hidden_sizes": ["[8,8]"],
    }
    swept = [f"{key}={','.join(values)}" for key, values in axes.items()]
    for extra in ([], ["algorithm.epochs=5", "algorithm={epochs: 3}"]):
        configs = composed(monkeypatch, *swept, *extra)
        assert len(configs) == 16
        for index in (0, 3, 6, 9, 15):
            assert configs[index] == by_hydra([*combination(axes, index), *extra])


def test_jobs_do_not_leak_into_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = composed(monkeypatch, "env=hopper,reacher", "env.version=v4,v5")
    ids = [config.env.id for config in configs]
    assert ids == ["Hopper-v4", "Hopper-v5", "Reacher-v4", "Reacher-v5"]


def combination(axes: dict[str, list[str]], index: int) -> list[str]:
    """The overrides of the job number `index`, the last axis moving fastest."""
    chosen = []
    for key, values in reversed(axes.items()):
        index, at = divmod(index, len(values))
        chosen.append(f"{key}={values[at]}")
    return chosen[::-1]


def by_hydra(overrides: list[str]) -> Config:
    register_schema()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return from_omegaconf(hydra_compose("config", overrides=overrides))


def test_the_time_is_the_same_for_all_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    where = "runs_dir=runs/${now:%f}"
    configs = composed(monkeypatch, "env=hopper,reacher", "seed=0,1", where)
    assert len({config.runs_dir for config in configs}) == 1


def test_novel_jobs_are_checked_first(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Sequence[str]] = []
    compose = jobs.Composer.compose

    def counting(self: jobs.Composer, overrides: Sequence[str]) -> Any:
        tried.append(overrides)
        return compose(self, overrides)

    monkeypatch.setattr(jobs.Composer, "compose", counting)
    seeds = ",".join(map(str, range(30)))
    done = cli("-m", "algorithm.gamma=0.9,7", f"seed={seeds}", "env=hopper,reacher")
    assert done.code == 2 and "algorithm.gamma=7" in done.err
    assert len(tried) <= 33, "not the 60 jobs before it"


def test_hydra_gets_a_return_for_each_job(cli: Cli) -> None:
    """For sweepers that look at them."""
    captured: list[Any] = []
    sweep_all = sweeper.PopulationSweeper.sweep

    def sweep_and_keep(self: sweeper.PopulationSweeper, arguments: list[str]) -> Any:
        returns = [self.launcher.launch(batch, 0) for batch in self.batches(arguments)]
        captured.extend(returns)
        return returns

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeper.PopulationSweeper, "sweep", sweep_and_keep)
        cli("-m", "env=reacher", "algorithm.learning_rate=3e-4,1e30", "budget=smoke", SERIAL)
    assert sweep_all is sweeper.PopulationSweeper.sweep
    ((good, bad),) = captured
    assert good.status == JobStatus.COMPLETED and isinstance(good.return_value, Outcome)
    assert good.overrides == ["env=reacher", "algorithm.learning_rate=0.0003", "budget=smoke"]
    assert good.cfg.algorithm.learning_rate == 3e-4 and "hydra" not in good.cfg
    assert bad.status == JobStatus.FAILED
    with pytest.raises(RunsFailedError, match="iteration 1"):
        _ = bad.return_value
    assert not GlobalHydra.instance().is_initialized()


def test_every_backend_is_a_module() -> None:
    for name in BACKENDS:
        backend = dispatch.backend(name)
        assert callable(backend.run) and callable(backend.slots)


def test_heartbeats_reach_the_bar(config: Compose, tmp_path: Path) -> None:
    """As from another machine: by nothing but files."""
    configs = [config("env=reacher", f"runs_dir={tmp_path}", f"seed={seed}") for seed in (0, 1)]
    plan = [packs.Pack((each,)) for each in configs]
    seen: list[str] = []

    def elsewhere(tasks: Sequence[Task], processes: int, settings: Settings) -> Ended:
        for index, task in enumerate(tasks):
            beat = heartbeats.Heartbeat(task.heartbeat)
            beat(PackProgress(2048, task.pack.steps, 1, 0))
            expected = 2048 + index * task.pack.steps
            wait_for(lambda expected=expected: f"steps {expected:,}/" in bar.text())
            seen.append(bar.text())
            outcome = Outcome(task.pack.configs[0].run_id, tmp_path, store.DONE, None)
            yield index, [outcome]

    bar = ProgressBar(2, sum(pack.steps for pack in plan), enabled=False)
    with pytest.MonkeyPatch.context() as patch, bar:
        patch.setattr(dispatch, "backend", lambda name: SimpleNamespace(run=elsewhere))
        dispatch.run_packs(plan, 2, Settings("elsewhere"), bar)
    assert "runs 0/2  steps 2,048/1,998,848 (0%)" in seen[0]
    assert "runs 1/2  steps 1,001,472/1,998,848 (50%)" in seen[1]
    assert "runs 2/2  steps 1,998,848/1,998,848 (100%)" in bar.text()
    assert not list(tmp_path.iterdir()), "the heartbeats are gone"


def test_a_heartbeat_is_rare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(store, "write_json", lambda path, values: written.append(values["steps"]))
    now = 0.0
    monkeypatch.setattr(heartbeats.time, "monotonic", lambda: now)
    beat = heartbeats.Heartbeat(tmp_path / "x.json")
    for step in range(100):
        now = step * 0.1
        beat(PackProgress(step, 100, 1, 0))
    assert written == list(range(0, 100, 10))


def test_settling_keeps_what_ended_before(config: Compose, tmp_path: Path) -> None:
    configs = [config("env=reacher", f"runs_dir={tmp_path}", f"seed={seed}") for seed in range(4)]
    for each, status in zip(configs, (store.DONE, store.FAILED, store.RUNNING), strict=False):
        info = {"failed_iteration": 3} if status == store.FAILED else {}
        path = tmp_path / each.run_id
        path.mkdir()
        store.write_json(path / "run.json", {"status": status, "error": "its own"} | info)
    pack = packs.Pack(tuple(configs))
    worker.settle(pack, store.PREEMPTED, "stopped")
    assert [read_status(each) for each in configs[:3]] == ["DONE", "FAILED", "PREEMPTED"]
    assert not (tmp_path / configs[3].run_id).exists(), "it had not begun"
    outcomes = worker.settle(pack, store.FAILED, "broke", "the trace")
    assert [outcome.status for outcome in outcomes] == ["DONE", "FAILED", "FAILED", "FAILED"]
    assert [outcome.error for outcome in outcomes] == ["its own", "its own", "broke", "broke"]
    assert (tmp_path / configs[3].run_id / "error.log").read_text() == "the trace"
    assert store.read_run(tmp_path / configs[3].run_id)["env_id"] == "Reacher-v4"


def read_status(config: Config) -> str:
    return str(store.read_run(Path(config.runs_dir) / config.run_id)["status"])


LONG = (
    "-m",
    "env=gymnasium",
    "env.id=faulty:FaultyDawdles-v0,CartPole-v1",
    "seed=0,1",
    "budget=smoke",
)
LONG += ("total_timesteps=100000000",)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_ctrl_c_while_the_workers_start(tmp_path: Path) -> None:
    process = start(tmp_path, *LONG, PARALLEL, path=(FOLDER,))
    wait_for(lambda: any("popen_loky" in " ".join(child.cmdline()) for child in family(process)))
    children = family(process)
    os.killpg(process.pid, signal.SIGINT)
    finished = finish(process)
    wait_for(lambda: not any(child.is_running() for child in children))
    assert finished.code == 75 and finished.err == INTERRUPTED
    assert set(statuses(tmp_path / "runs").values()) <= {store.PREEMPTED}


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "SIGKILL"])
def test_an_end_from_outside_leaves_no_process(tmp_path: Path, how: str) -> None:
    process = start(tmp_path, *LONG, PARALLEL, path=(FOLDER,))
    wait_for(lambda: len(list(tmp_path.glob("runs/*/run.json"))) == 4)
    children = family(process)
    assert len(children) >= 2
    if how == "Ctrl-C":  # a terminal tells the whole group
        os.killpg(process.pid, signal.SIGINT)
    else:
        os.kill(process.pid, signal.Signals[how])
    finished = finish(process)
    wait_for(lambda: not any(child.is_running() for child in children))
    if how != "SIGKILL":
        assert finished.code == 75 and finished.err == INTERRUPTED
        assert set(statuses(tmp_path / "runs").values()) == {store.PREEMPTED}
        assert not (tmp_path / "runs" / ".progress").exists()


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    line = [part.replace("faulty:FaultyDawdles-v0,", "").replace("0,1", "0") for part in LONG[1:]]
    process = start(tmp_path, *line, path=(FOLDER,))
    wait_for(lambda: bool(list(tmp_path.glob("runs/*/run.json"))))
    process.send_signal(signal.SIGINT)
    finished = finish(process)
    assert finished.code == 75 and finished.err == INTERRUPTED
    assert list(statuses(tmp_path / "runs").values()) == [store.PREEMPTED]


def test_a_full_disk_does_not_stop_the_others(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even the failure can be written down."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write_table", full)
    done = cli("-m", "env=reacher,inverted_pendulum", "budget=smoke", SERIAL)
    assert done.code == 1 and done.out.count("No space left on device") >= 2


def test_the_grid_is_json_that_others_can_read(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "run_packs", lambda plan, *_: untrained(plan))
    cli("-m", "env=reacher", "objective=none,clip", "budget=smoke")
    runs = json.loads(Path("runs/sweep.json").read_text())["runs"]
    assert [run["objective"] for run in runs] == ["none", "clip"]
    assert all(run["updates"] == 4 and run["steps"] == 128 for run in runs)
    assert SKIPPED not in json.dumps(runs)
