"""`figures`: what is committed in results/ is what its collected tables give, and nothing else."""

from __future__ import annotations

import io
import shutil
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import REPORTS, main
from analysis.reports import remake
from analysis.runs import collected
from analysis.settings import DEFAULT_REFERENCE
from repro.runs import store
from tests.helpers.synthetic_runs import TASKS, identity, write_reference, write_run

RESULTS = DEFAULT_REFERENCE.parent
LIMIT = 40e6  # bytes of the tables of one folder


def _folders(results: Path) -> list[str]:
    """Folders of collected tables below `results`, at any depth."""
    found = results.rglob("runs.parquet")
    return sorted(str(path.parent.relative_to(results)) for path in found)


FOLDERS = _folders(RESULTS)
POLICIES = "policies"  # run directories, as their runs wrote them


def _keeper(step: remake.Step) -> str:
    """The folder that keeps what a step makes."""
    return (step.folders or [step.into])[0]


def check_folder(results: Path, folder: str) -> None:
    """Assert that the files committed in `folder` are those that the plan makes of its tables."""
    steps = [step for step in remake.read_plan(results) if _keeper(step) == folder]
    assert steps, f"{remake.PLAN} makes nothing of {folder}"
    made = remake.remake(results, steps, REPORTS)
    paths = [path for path in (results / folder).rglob("*") if path.is_file()]
    committed = {
        str(path.relative_to(results)): path.read_bytes()
        for path in paths
        if path.name not in ("README.md", "PLAN.md", collected.SUMS)
        and path.suffix not in (".parquet", ".sh", ".webp")
        and POLICIES not in path.parts
    }
    assert sorted(committed) == sorted(made)
    for name, content in made.items():
        _check_file(name, committed[name], content)


def _check_file(name: str, committed: bytes, made: bytes) -> None:
    """Text to the last byte, numbers to nine digits, pictures by their size (fonts may differ)."""
    if name.endswith(".csv"):
        old, new = (pd.read_csv(io.BytesIO(content)) for content in (committed, made))
        pd.testing.assert_frame_equal(old, new, rtol=1e-9, obj=name)
    elif name.endswith(".png"):
        assert _size(committed) == _size(made), name
    else:
        assert committed.decode() == made.decode(), name


def _size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.usefixtures("painted")
@pytest.mark.parametrize("folder", FOLDERS)
def test_committed_tables_are_made_of_the_committed_runs(folder: str) -> None:
    check_folder(RESULTS, folder)


@pytest.mark.parametrize("folder", FOLDERS)
def test_committed_runs_are_small_whole_and_say_where_they_come_from(folder: str) -> None:
    directory = RESULTS / folder
    assert sum(path.stat().st_size for path in directory.glob("*.parquet")) < LIMIT
    runs = collected.read(directory, "runs.parquet")
    assert len(collected.read(directory, "progress.parquet")) > 0
    ended = runs[runs["status"].isin([store.DONE, store.FAILED])]
    assert ended["git_revision"].notna().all() and ended["digest"].notna().sum() > 0
    assert (directory / "README.md").is_file()


def test_the_plan_names_every_folder_there_is() -> None:
    planned = {_keeper(step) for step in remake.read_plan(RESULTS)}
    assert set(FOLDERS) <= planned
    listed = {path.parent.name for path in RESULTS.glob("*/table1.csv")} - {"quick"}
    assert listed <= set(FOLDERS), "tables without the runs they were made of"


@pytest.fixture
def made(tmp_path: Path, painted: None) -> Path:
    """A results directory of its own: two rows of one task, and what the plan makes of them."""
    results = tmp_path / "results"
    reference = write_reference(results / "reference")
    for kind, value in (("none", None), ("clip", 0.2)):
        for seed in range(2):
            info = identity(TASKS[0], kind, value, seed)
            write_run(tmp_path / "runs", info, np.arange(20.0).tolist())
    tables = ["--runs", str(tmp_path / "runs"), "--out", str(results / "table1")]
    assert main(["collect", *tables]) == 0
    given = "--reference {results}/reference"
    (results / remake.PLAN).write_text(
        f"- {{runs: table1, into: table1, command: 'table1 --best mean {given}'}}\n"
        "- {runs: table1, into: table1/some, command: 'curves --labels clip_0.2 --points 5'}\n"
        "- {runs: later, into: later, command: table1}\n"
    )
    assert _figures(results, results) == 0
    assert reference.is_dir()
    return results


def _figures(results: Path, out: Path) -> int:
    return main(["figures", "--results", str(results), "--out", str(out)])


def test_the_plan_is_carried_out(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (made / "table1" / "some" / "curves.csv").is_file()
    assert "the best setting's mean" in (made / "table1" / "table1.md").read_text()
    check_folder(made, "table1")
    capsys.readouterr()
    assert _figures(made, made) == 0
    assert "Not there yet: later." in capsys.readouterr().out


def test_a_changed_a_lost_and_an_added_file_are_noticed(made: Path) -> None:
    table = made / "table1" / "table1.csv"
    good = table.read_text()
    table.write_text(good.replace("clip,0.2,2", "clip,0.2,3"))
    with pytest.raises(AssertionError):
        check_folder(made, "table1")
    table.unlink()
    with pytest.raises(AssertionError):
        check_folder(made, "table1")
    table.write_text(good)
    shutil.copy(table, made / "table1" / "by_hand.csv")
    with pytest.raises(AssertionError):
        check_folder(made, "table1")


@pytest.mark.parametrize(
    ("plan", "part"),
    [
        (None, "figures.yaml cannot be read"),
        ("- just text\n", "give --results a directory that has a list of steps"),
        ("- {runs: table1, into: table1}\n", "give --results a directory that has a list of steps"),
        ("- {runs: table1, into: table1, command: tabel1}\n", "asks for tabel1"),
    ],
)
def test_a_bad_plan_is_one_sentence(
    made: Path, plan: str | None, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if plan is None:
        (made / remake.PLAN).unlink()
    else:
        (made / remake.PLAN).write_text(plan)
    capsys.readouterr()
    assert _figures(made, made) == 2
    error = capsys.readouterr().err
    assert part in error and error.count("\n") == 1
