"""Which devices the runs of a sweep train on. Torch is told that there are GPUs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from submitit.slurm import slurm

from repro.sweeps import packs
from repro.sweeps.backends import loky, submitit
from repro.sweeps.settings import Settings
from repro.sweeps.sweep import planned
from repro.sweeps.worker import Task
from repro.training import devices, preflight
from tests.helpers.cli import Cli
from tests.helpers.configs import Compose


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)


@pytest.mark.usefixtures("three_gpus")
@pytest.mark.parametrize(
    ("device", "settings", "sizes", "processes", "planned_device"),
    [
        ("cuda:1", Settings(), [6], 1, "cuda:1"),
        ("cuda", Settings(), [2, 2, 2], 3, "cuda:0+1+2"),
        ("cuda:0+2", Settings(), [3, 3], 2, "cuda:0+2"),
        ("cuda:0,2", Settings(max_pack=2), [2, 2, 2], 2, "cuda:0+2"),
        ("cuda:1", Settings(workers=3), [2, 2, 2], 3, "cuda:1"),  # unless the user says otherwise
        ("cuda", Settings("serial"), [6], 1, "cuda:0+1+2"),
        ("cuda", Settings("submitit", workers=2), [3, 3], 2, "cuda"),  # SLURM knows which
    ],
)
def test_each_gpu_trains_one_large_pack_at_a_time(
    config: Compose,
    device: str,
    settings: Settings,
    sizes: list[int],
    processes: int,
    planned_device: str,
) -> None:
    runs = [config("env=reacher", f"device='{device}'", f"seed={seed}") for seed in range(6)]
    plan, found = planned(runs, settings)
    assert [len(pack.configs) for pack in plan] == sizes and found == processes
    assert {pack.device for pack in plan} == {planned_device}


@pytest.mark.usefixtures("three_gpus")
def test_processes_are_given_their_gpus(config: Compose) -> None:
    tasks = [
        Task(packs.Pack((config("env=reacher", f"device={device}"),)), Path("beat"))
        for device in ("cuda:0+2", "cuda:0+2", "cuda:0+2", "cpu", "cpu")
    ]
    gpus = loky._Pool("cuda:0+2", tasks, 4, Settings())
    assert [process.device for process in gpus.processes] == ["cuda:0", "cuda:2"]
    shared = loky._Pool("cuda:0+2", tasks, 4, Settings(workers=3))
    assert [process.device for process in shared.processes] == ["cuda:0", "cuda:2", "cuda:0"]
    cores = loky._Pool("cpu", tasks, 2, Settings())
    assert [process.device for process in cores.processes] == [None, None]
    given = dataclasses.replace(tasks[0], device="cuda:2").configs
    assert [each.device for each in given] == ["cuda:2"]
    assert given[0].run_id == tasks[0].configs[0].run_id, "where it trains is no part of a run"
    for pool in (gpus, shared, cores):
        pool.threads.shutdown()


def test_auto_chooses_by_the_size_of_the_networks(
    config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = config("env=half_cheetah", "device=auto")
    large = config("env=atari", "env.game=pong", "device=auto")
    other = config("env=half_cheetah", "device=auto", "gpu_from_parameters=10000")
    said: list[str] = []
    assert [each.device for each in devices.settled([small, large], said.append)] == ["cpu"] * 2
    assert said == ["device=auto: cpu, since torch finds no GPU here."] * 2
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    said.clear()
    runs = [small, dataclasses.replace(small, seed=1), large, other, config("env=hopper")]
    found = devices.settled(runs, said.append)
    assert [each.device for each in found] == ["cpu", "cpu", "cuda", "cuda", "cpu"]
    assert found[0].run_id == small.run_id
    # 17 observations, two towers of 64, 6 actions with their log std, a value
    count = 2 * (17 * 64 + 64 + 64 * 64 + 64) + 64 * 6 + 6 + 6 + 64 + 1
    assert said[0] == (
        f"device=auto: cpu, since {count:,} parameters are fewer than gpu_from_parameters=100000."
    )
    assert len(said) == 3 and "device=auto: cuda" in said[1] and "=10000 or more" in said[2]


def test_slurm_is_asked_for_a_gpu(tmp_path: Path) -> None:
    def script(gpu: bool, **options: object) -> str:
        settings = Settings("submitit", submitit={"cluster": "slurm"} | options)
        with pytest.MonkeyPatch.context() as patch:  # no sbatch here
            patch.setattr(slurm.shutil, "which", lambda name: f"/usr/bin/{name}")
            executor = submitit._executor(settings, tmp_path, gpu)
        text: str = executor._executor._make_submission_file_text("command", "1")
        return text

    assert "#SBATCH --gres=gpu:1\n" in script(True)
    assert "gres" not in script(False) and "--gpu" not in script(False)
    assert "#SBATCH --gres=gpu:a100:2\n" in script(True, slurm_gres="gpu:a100:2")
    own = script(True, slurm_gpus_per_node="h100:1")
    assert "gres" not in own and "#SBATCH --gpus-per-node=h100:1\n" in own


def test_a_gpu_that_torch_cannot_use_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for mode in ([], ["-m"]):
        for name in ("cuda", "cuda:1", "cuda:0+1"):
            finished = cli(*mode, "env=hopper", f"device={name}")
            assert finished.code == 2 and f"device={name}, but" in finished.err
            assert "device=cpu" in finished.err
            assert finished.err.count("\n") == 1 and not finished.out
    assert not cli.left()


def test_a_gpu_that_is_not_there_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "check_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for mode, name, words in (
        ([], "cuda:2", "there is no cuda:2 here, cuda:0 to cuda:1"),
        (["-m"], "cuda:1+3", "there is no cuda:3 here"),
        ([], "cuda:0+1", "this is a single run: say device=cuda:0"),
    ):
        finished = cli(*mode, "env=hopper", f"device={name}")
        assert finished.code == 2 and words in finished.err
        assert finished.err.count("\n") == 1 and not finished.out
    assert not cli.left()
