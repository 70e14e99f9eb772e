"""CONTRIBUTING's own examples, followed to the letter in a copy of the sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("repro", "conf", "hydra_plugins", "analysis"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copytree(ROOT / "results" / "reference", tmp_path / "results" / "reference")
    return tmp_path


def block(language: str, containing: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", CONTRIBUTING, flags=re.DOTALL)
    (found,) = [text for text in blocks if containing in text]
    return found


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_a_new_objective_is_one_function_and_one_yaml(copy: Path) -> None:
    with (copy / "repro" / "learning" / "objectives.py").open("a") as source:
        source.write("\n\n" + block("python", "def spo("))
    (copy / "conf" / "objective" / "spo.yaml").write_text(block("yaml", "kind: spo"))
    sweep = ("env=reacher", "objective=spo,clip", "seed=0,1", "budget=smoke", "runs_dir=sweep")
    done = run(copy, "repro", "-m", *sweep, "hydra.launcher.workers=1")
    assert done.returncode == 0, done.stderr
    wrong = run(copy, "repro", "env=reacher", "objective=spo", "objective.epsilonn=0.1")
    assert wrong.returncode == 2 and "objective.epsilon" in wrong.stderr
    table = run(copy, "analysis", "table1", "--runs", "sweep", "--out", "tables")
    assert table.returncode == 0, table.stderr
    assert "\nspo,0.2,2,2," in (copy / "tables" / "table1.csv").read_text()


def test_a_new_task_is_one_yaml(copy: Path) -> None:
    (copy / "conf" / "env" / "pendulum.yaml").write_text(block("yaml", "Pendulum-v1"))
    done = run(copy, "repro", "env=pendulum", "budget=smoke", "runs_dir=runs")
    assert done.returncode == 0, done.stderr
    (directory,) = (copy / "runs").iterdir()
    assert directory.name.startswith("Pendulum-v1_ppo_clip_0.2_s0_")
