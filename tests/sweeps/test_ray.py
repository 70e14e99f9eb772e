"""Packs on a Ray cluster: the results of this machine alone, also when a node is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repro.runs import store
from repro.sweeps.survey import survey
from repro.training import pack
from tests.helpers.cli import ROOT, Cli, finish, start
from tests.helpers.configs import compose
from tests.helpers.sweeps import assert_equal_results
from tests.helpers.waiting import wait_for

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray = pytest.importorskip("ray")

RAY = "hydra.launcher.backend=ray"
ENVS, SEEDS = ("reacher", "inverted_pendulum"), (0, 1)
SWEEP = ("-m", "progress=false", RAY)
TASKS = (f"env={','.join(ENVS)}", "seed=0,1")
GATED = ("env=gymnasium", "env.id=tests.helpers.tasks:Gated-v0", "total_timesteps=256")
GATED += ("algorithm.horizon=128", "algorithm.minibatch_size=64")
SMALL = {"object_store_memory": 100_000_000}


def train_here(runs_dir: Path, *overrides: str) -> None:
    for env in ENVS:
        pack.run_pack(
            [
                compose(f"env={env}", f"seed={seed}", f"runs_dir={runs_dir}", *overrides)
                for seed in SEEDS
            ]
        )


def test_a_cluster_of_this_machine(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    done = cli(*SWEEP, *TASKS, "budget=smoke", "hydra.launcher.workers=2")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "4 runs: 2 packs on 2 workers"
    assert done.out.splitlines()[-1] == "4 done: runs"
    assert signal.getsignal(signal.SIGTERM) is before and not ray.is_initialized()
    train_here(Path("here"), "budget=smoke")
    assert_equal_results(Path("runs"), Path("here"))
    assert {path.split("/")[0] for path in cli.left()} == {"runs", "here"}
    assert not Path("runs/.progress").exists()


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file; until it exists, the runs of GATED wait. Before `cluster`, whose nodes inherit it."""
    monkeypatch.setenv("GATE", str(tmp_path / "gate"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "gate"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that trains nothing, and two nodes of one processor each."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, **SMALL}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, **SMALL)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster
    finally:
        cluster.shutdown()


def owners(runs_dir: Path) -> dict[str, int]:
    """Run id -> the process that trains it."""
    if not (runs_dir / "sweep.json").exists():
        return {}
    return {run.run_id: run.owner.pid for run in survey(runs_dir) if run.owner}


@pytest.mark.faults
def test_a_node_that_is_lost_loses_nothing(tmp_path: Path, gate: Path, cluster: Any) -> None:
    """The task waits in its first iteration, so that no node has finished when one is lost."""
    runs_dir = tmp_path / "runs"
    process = start(tmp_path, *SWEEP, *GATED, "seed=0,1,2,3")
    wait_for(lambda: len(owners(runs_dir)) == 4, process)
    wait_for(lambda: len(list(runs_dir.glob("*/run.json"))) == 4, process)
    before = owners(runs_dir)
    assert len(set(before.values())) == 2, "both nodes train"
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    gate.touch()
    end = finish(process)
    assert end.code == 0, end.err
    assert "4 done: runs" in end.out
    for seeds in ((0, 1), (2, 3)):
        line = (*GATED, f"runs_dir={tmp_path / 'here'}")
        pack.run_pack([compose(*line, f"seed={seed}") for seed in seeds])
    assert_equal_results(runs_dir, tmp_path / "here")


@pytest.mark.faults
def test_a_driver_that_is_interrupted_leaves_nothing_running(tmp_path: Path, cluster: Any) -> None:
    runs_dir = tmp_path / "runs"
    process = start(tmp_path, *SWEEP, *TASKS, "total_timesteps=100000000")
    wait_for(lambda: len(list(runs_dir.glob("*/run.json"))) == 4, process)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    end = finish(process)
    assert time.monotonic() - asked < 12
    assert end.code == 75 and "0 done, 4 interrupted: runs" in end.out
    assert not owners(runs_dir)
    found = [store.read_run(directory)["status"] for directory in store.run_directories(runs_dir)]
    assert found == [store.PREEMPTED] * 4


def test_an_address_without_a_cluster_is_one_sentence(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(**_: object) -> None:
        raise ConnectionError("nobody\nthere")

    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    monkeypatch.setattr(ray, "init", nobody)
    done = cli(*SWEEP, *TASKS, "budget=smoke")
    assert done.code == 2
    assert done.err == "RAY_ADDRESS=192.0.2.1:6379: no Ray cluster answers there (nobody there).\n"
