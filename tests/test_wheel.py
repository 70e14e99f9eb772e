"""The wheel, installed where the repository is not to be seen."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.helpers.cli import ROOT

SOURCES = (
    *("analysis", "conf", "hydra_plugins", "policies", "repro"),
    *("results/explain", "results/reference"),
)
FILES = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")


def build(folder: Path) -> Path:
    """The wheel of a copy of the sources: building leaves folders behind."""
    copy = folder / "sources"
    ignore = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check")
    command = (sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, copy)
    subprocess.run(command, check=True, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and its dependencies, but not this checkout.

    The dependencies are those of the environment that the tests run in. A path in a .pth file is
    searched, but its own .pth files, which make the checkout importable, are not read.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    options = ("--no-deps", "--ignore-installed", "--quiet", "--disable-pip-version-check")
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", *options, wheel],
        check=True,
        cwd=folder,
    )
    return folder / "bin"


def run(directory: Path, *command: str | Path) -> str:
    """What a command prints in an empty environment; it must succeed."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    done = subprocess.run(
        command, cwd=directory, env=kept | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(folder: Path, pattern: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob(pattern)}


def test_it_holds_what_the_programs_read(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = set(archive.namelist())
        (metadata,) = [archive.read(name).decode() for name in found if name.endswith("/METADATA")]
    assert {f"repro/conf/{name}" for name in names(ROOT / "conf", "*.yaml")} <= found
    reference = ROOT / "results" / "reference"
    assert {f"analysis/reference/{name}" for name in names(reference, "*.*")} <= found
    web = Path("analysis", "reports", "explain", "web")
    assert {f"{web}/{name}" for name in names(ROOT / web, "*.*")} <= found
    assert "analysis/explain/clip_term.csv" in found
    sources = {
        name
        for kind in ("*.py", "*.pyi", "*.cpp", "*.h", "py.typed")
        for name in names(ROOT / "repro", kind)
    }
    assert {f"repro/{name}" for name in sources} <= found
    assert {"analysis/py.typed", "hydra_plugins/population_launcher.py"} <= found
    others = ("conf/", "policies/", "results/", "tests/")
    assert not [name for name in found if name.startswith(others)]
    for line in ("Author: the ppo-repro contributors", "License-Expression: MIT"):
        assert line in metadata.splitlines()


def test_a_run_and_its_table_in_an_empty_directory(installed: Path, tmp_path: Path) -> None:
    where = "import repro, analysis; print(repro.__file__, analysis.__file__)"
    for path in run(tmp_path, installed / "python", "-c", where).split():
        assert Path(path).is_relative_to(installed.parent)
    loads = "import repro; print(len(repro.policies()), repro.load_policy(repro.policies()[0]))"
    assert int(run(tmp_path, installed / "python", "-c", loads).split()[0]) > 0
    assert "budget     medium" in run(tmp_path, installed / "repro", "--help")
    swept = ("-m", "env=reacher", "objective=clip,none", "budget=smoke", "progress=false")
    serial = "hydra.launcher.workers=1"
    out = run(tmp_path, installed / "repro", *swept, serial)
    assert out.splitlines()[-1] == "2 done: runs"
    table = ("table1", "--runs", "runs", "--replicates", "100")
    out = run(tmp_path, installed / "python", "-m", "analysis", *table, "--out", "one")
    assert "clip" in out
    # The program takes its own module where the user has one of that name, too.
    (tmp_path / "analysis.py").write_text("raise SystemExit('the module of the user')")
    again = run(tmp_path, installed / "repro-analysis", *table, "--out", "two")
    assert again.replace("two/", "one/") == out
