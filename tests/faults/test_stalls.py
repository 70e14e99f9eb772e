"""F8, a task that hangs: `stall_timeout` ends its process, and with it nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from repro.runs import checkpoint, store
from repro.training import stalls
from tests.helpers.bits import assert_equal_bits
from tests.helpers.cli import ROOT, Cli, finish, start
from tests.helpers.configs import compose
from tests.helpers.tiny import TINY, TINY_PPO, result, undisturbed

HANGS = (
    "env=gymnasium",
    "env.id=tests.helpers.tasks:Hangs-v0",
    *TINY,
    *TINY_PPO,
    "total_timesteps=192",
)
ENOUGH = ("stall_timeout=6", "progress=false")


def test_f8_a_run_alone_that_hangs_says_where_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULT_ONCE", str(tmp_path / "hung"))
    finished = finish(start(tmp_path, *HANGS, *ENOUGH, path=(ROOT,)))
    (run,) = store.run_directories(tmp_path / "runs")
    info = store.read_run(run)
    said = "hangs in iteration 3, after 69 steps: nothing has moved for 6 s (stall_timeout)"
    assert (finished.code, finished.err) == (1, f"{run.name} {said}.\n")
    assert (info["status"], info["error"]) == (store.FAILED, f"it {said}")
    log = (run / "error.log").read_text()
    assert log.startswith(f"It {said}.\n") and "time.sleep(1000)" in log
    assert checkpoint.iterations(run)[0] == 2
    again = finish(start(tmp_path, *HANGS, *ENOUGH, path=(ROOT,)))
    assert again.code == 0 and "continues from iteration 2" in again.out
    assert_equal_bits(result(run), undisturbed(tmp_path, HANGS))


def test_f8_a_task_that_stops_the_interpreter_is_ended_all_the_same(tmp_path: Path) -> None:
    line = [part.replace("Hangs", "HangsInC") for part in HANGS]
    finished = finish(start(tmp_path, *line, "stall_timeout=1", path=(ROOT,)))
    assert finished.code == 1 and "Timeout" in finished.err and "in fault" in finished.err
    (run,) = store.run_directories(tmp_path / "runs")
    assert checkpoint.iterations(run)[0] == 2


def test_f8_in_a_sweep_the_others_are_done_and_nobody_is_left(tmp_path: Path) -> None:
    ids = "env.id=tests.helpers.tasks:Hangs-v0,tests.helpers.tasks:Walk-v0"
    line = ("-m", ids, *(part for part in HANGS if "env.id" not in part), *ENOUGH)
    retry = "hydra.launcher.retries=1"
    process = start(tmp_path, *line, "hydra.launcher.workers=1", retry, path=(ROOT,))
    family: set[psutil.Process] = set()
    while process.poll() is None:
        family |= children(process.pid)
        time.sleep(0.1)
    finished = finish(process)
    assert finished.code == 1 and "1 done, 1 FAILED: runs" in finished.out
    hung, walked = store.run_directories(tmp_path / "runs")
    assert finished.err.count(f"{hung.name} hangs in iteration 3, after 69 steps") == 2
    assert store.read_run(walked)["status"] == store.DONE
    error = store.read_run(hung)["error"]
    assert error.startswith("it hangs in iteration 3, after 69 steps: nothing has moved for 6 s")
    assert error.endswith("its process died of EXIT(1), also when tried again (1 times)")
    assert f"FAILED {hung.name}: {error} (see runs/{hung.name}/error.log)" in finished.out
    assert "time.sleep(1000)" in (hung / "error.log").read_text()
    assert len(family) >= 2
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive, "no orphans"


def children(driver: int) -> set[psutil.Process]:
    try:
        return set(psutil.Process(driver).children(recursive=True))
    except psutil.NoSuchProcess:
        return set()


class Clockwork:
    """Moves as long as it is wound."""

    def __init__(self) -> None:
        self.looks = 0

    @property
    def position(self) -> tuple[int, int]:
        self.looks += 1
        return 1, self.looks


def test_whoever_moves_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[object] = []
    monkeypatch.setattr(stalls.Watchdog, "_end", lambda *arguments: ended.append(arguments))
    config = compose("env=reacher", "stall_timeout=0.2", f"runs_dir={tmp_path}")
    with stalls.Watchdog([config], [tmp_path]) as watch:
        watch.training = clockwork = Clockwork()
        time.sleep(1)
    assert clockwork.looks >= 3 and not ended
    with stalls.Watchdog([config], [tmp_path]):
        time.sleep(1)
    assert ended, "nothing at all is no movement either"


def test_a_limit_must_be_one(cli: Cli) -> None:
    finished = cli("env=reacher", "stall_timeout=0")
    assert finished.code == 2 and finished.err == "stall_timeout=0.0 must be above 0.\n"
