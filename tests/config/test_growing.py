"""CONTRIBUTING's own examples, followed to the letter in a copy of the sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repro.runs import store

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
NEW = ("clip_two", "spo")


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
        source.write("".join(f"\n\n{block('python', f'def {name}(')}" for name in NEW))
    for name in NEW:
        path = copy / "conf" / "objective" / f"{name}.yaml"
        path.write_text(block("yaml", f"kind: {name}"))
    objectives = "objective=spo,clip,clip_two(epsilon_high=0.28,0.4)"
    sweep = ("env=reacher", objectives, "seed=0,1", "budget=smoke", "runs_dir=sweep")
    schedule = ("recipe.epsilon_schedule=linear", "hydra.launcher.workers=1")
    done = run(copy, "repro", "-m", *sweep, *schedule)
    assert done.returncode == 0, done.stderr
    runs = {path.name.rpartition("_s")[0]: path for path in store.run_directories(copy / "sweep")}
    two, spo = runs["Reacher-v4_ppo_clip_two_0.2_0.4"], runs["Reacher-v4_ppo_spo_0.2"]
    assert store.read_run(two)["engine"] == "native" and "spo_0.2" in spo.name
    table = store.read_table(two / "progress.parquet")
    steps = len(table)
    expected = [0.2 * (1 - i / steps) for i in range(steps)]
    assert table["epsilon"].tolist() == pytest.approx(expected) and steps > 1
    assert table["clip_fraction"].notna().all()
    assert store.read_table(spo / "progress.parquet")["clip_fraction"].isna().all()
    wrong = run(copy, "repro", "env=reacher", "objective=clip_two", "objective.epsilon_low=1")
    assert wrong.returncode == 2 and "above 0 and below 1" in wrong.stderr
    tables = run(copy, "analysis", "table1", "--runs", "sweep", "--out", "tables")
    assert tables.returncode == 0, tables.stderr
    written = (copy / "tables" / "table1.csv").read_text()
    assert "\nspo,0.2,2,2," in written and written.count("\nclip_two,0.2,2,2,") == 2
    shown = (copy / "tables" / "table1.md").read_text()
    assert "clip_two_0.2_0.28" in shown and "clip_two_0.2_0.4" in shown, "told apart by their label"


def test_a_new_task_is_one_yaml(copy: Path) -> None:
    (copy / "conf" / "env" / "pendulum.yaml").write_text(block("yaml", "Pendulum-v1"))
    done = run(copy, "repro", "env=pendulum", "budget=smoke", "runs_dir=runs")
    assert done.returncode == 0, done.stderr
    (directory,) = (copy / "runs").iterdir()
    assert directory.name.startswith("Pendulum-v1_ppo_clip_0.2_s0_")
