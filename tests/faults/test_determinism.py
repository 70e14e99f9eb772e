"""F23: the same seed gives the same digest, wherever and however the process runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from repro.runs import store
from repro.training import pack
from tests.helpers.cli import ROOT, environment
from tests.helpers.configs import compose

LINE = ("recipe=ppo2", "objective=kl_adaptive", "total_timesteps=1024", "algorithm.horizon=256")
LINE += ("algorithm.epochs=2", "progress=false")
SHORT = [part.replace("=1024", "=512") for part in LINE]
ENVS, SEEDS = ("reacher", "gymnasium env.id=tests.helpers.tasks:Walk-v0"), ("0", "1")
# All modules of the package, the last ones first, before the command itself is run.
SHUFFLED = """
import importlib, pkgutil, random, sys
import repro, repro.envs, repro.engines.native, repro.algorithms, repro.sweeps.backends
names = [found.name for found in pkgutil.walk_packages(repro.__path__, "repro.")]
names = [name for name in names if not name.endswith("__main__") and name != "repro.again"]
random.Random(int(sys.argv[1])).shuffle(names)
for name in names:
    importlib.import_module(name)
from repro import __main__ as command
sys.exit(command.run(sys.argv[2:]))
"""


def digests(runs_dir: Path) -> dict[str, str]:
    runs = [store.read_run(run) for run in store.run_directories(runs_dir)]
    return {run["run_id"]: run["digest"] for run in runs}


def sweep(where: Path, env: str, order: int, hashseed: str, workers: int) -> None:
    arguments = ["-m", f"env={env}", f"seed={','.join(SEEDS)}", f"runs_dir={where}", *LINE]
    arguments = [part for text in arguments for part in text.split(" ")]
    spread = (f"hydra.launcher.max_pack={3 - workers}", f"hydra.launcher.workers={workers}")
    done = subprocess.run(
        [sys.executable, "-c", SHUFFLED, str(order), *arguments, *spread],
        env=environment(ROOT) | {"PYTHONHASHSEED": hashseed},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_f23_the_same_seed_is_the_same_run(tmp_path: Path) -> None:
    """Two hash seeds, two orders of imports, one and two workers, alone and in a pack."""
    sweep(tmp_path / "two", ENVS[0], order=1, hashseed="0", workers=2)
    sweep(tmp_path / "one", ENVS[0], order=2, hashseed="4321", workers=1)
    sweep(tmp_path / "one", ENVS[1], order=3, hashseed="0", workers=1)
    here = [compose(*f"env={env} seed={seed}".split(), *LINE) for env in ENVS for seed in SEEDS]
    for config in here:
        config.runs_dir = str(tmp_path / "here")
        pack.run_pack([config])
    expected = digests(tmp_path / "here")
    assert len(set(expected.values())) == len(here) == 4, "other seeds are other runs"
    assert digests(tmp_path / "one") == expected
    assert digests(tmp_path / "two").items() <= expected.items()
    assert len(digests(tmp_path / "two")) == 2


def test_f23_deterministic_algorithms_change_nothing(tmp_path: Path) -> None:
    """Torch would raise on an operation that is not, and fills what is not initialized."""
    for place in ("plain", "deterministic"):
        torch.use_deterministic_algorithms(place == "deterministic")
        try:
            for engine in ("native", "torch"):
                runs_dir = tmp_path / place / engine
                line = ("env=hopper", *SHORT, f"engine={engine}", f"runs_dir={runs_dir}")
                pack.run_pack([compose(*line)])
        finally:
            torch.use_deterministic_algorithms(False)
    assert os.listdir(tmp_path) and digests(tmp_path / "plain" / "native")
    for engine in ("native", "torch"):
        expected = digests(tmp_path / "plain" / engine)
        assert digests(tmp_path / "deterministic" / engine) == expected and len(expected) == 1
