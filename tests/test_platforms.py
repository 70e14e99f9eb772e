"""What other systems lack, taken away from this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from repro.runs import provenance, store
from tests.helpers.cli import ROOT, Cli, environment

# In Linux's Python and not in that of macOS.
LINUX = (
    *("sched_getaffinity", "sched_setaffinity", "getrandom", "memfd_create", "pipe2", "eventfd"),
    *("posix_fallocate", "posix_fadvise", "copy_file_range", "splice", "pidfd_open", "getresuid"),
)


def test_a_run_and_a_sweep_without_what_macos_lacks(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in LINUX:
        monkeypatch.delattr(os, name, raising=False)
    for name in ("SIGPWR", "SIGSTKFLT", "SIGRTMIN", "sigtimedwait"):
        monkeypatch.delattr(signal, name, raising=False)
    read = Path.read_text

    def no_proc(path: Path, *arguments: object, **named: object) -> str:
        if path.parts[:2] == ("/", "proc"):
            raise FileNotFoundError(path)
        return read(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", no_proc)
    provenance.machine.cache_clear()
    try:
        run = ("env=reacher", "total_timesteps=64", "algorithm.horizon=64")
        assert cli(*run).code == 0
        assert (
            cli(
                "-m", "env=reacher", "budget=smoke", "seed=1,2", "hydra.launcher.backend=serial"
            ).code
            == 0
        )
        (first, *_) = store.run_directories(Path("runs"))
        assert store.read_run(first)["cores"] == os.cpu_count()
    finally:
        provenance.machine.cache_clear()


@pytest.mark.parametrize("command", [["-m", "repro", "--help"], ["-m", "repro.evaluate", "x"]])
def test_windows_is_refused_in_a_sentence(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.platform = 'win32'\n")
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == "ppo-repro does not run on Windows: use WSL, Linux, or macOS.\n"


def test_the_workflow_runs_on_both_systems() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["test"]
    assert job["strategy"]["matrix"]["os"] == ["ubuntu-latest", "macos-latest"]
    assert job["runs-on"] == "${{ matrix.os }}" and {"run": ".ci/run"} in job["steps"]
