"""The command line: bad input is one sentence on stderr and exit code 2."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import __main__ as command
from analysis.__main__ import COMMANDS, main
from analysis.cli import Command, Output
from tests.helpers.synthetic_runs import identity, write_reference, write_run

ROOT = Path(__file__).parents[2]


def _sentence(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and captured.err.endswith("\n")
    return captured.err


def _refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    try:
        code: object = main(arguments)
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    return _sentence(capsys)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "COMMAND"),
        (["tabel1"], "invalid choice"),
        (["table1", "--out", "o"], "--runs"),
        (["table1", "--runs", "nowhere", "--out", "o"], "no directory"),
        (["table1", "--runs", "r", "--out", "o", "--best", "worst"], "--best"),
        (["table1", "--runs", "r", "--out", "o", "--random", "drunk"], "--random"),
        (["table1", "--runs", "r", "--out", "o", "--replicates", "9"], "100 or more"),
        (["table1", "--runs", "r", "--out", "o", "--episodes", "0"], "1 or more"),
        (["table1", "--runs", "r", "--out", "o", "--seed", "-1"], "0 or more"),
    ],
)
def test_bad_arguments(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert part in _refused(arguments, capsys)


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(bytes(content))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("command", ["table1", "curves", "figure3"])
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("episodes.parquet", _truncate),
        ("episodes.parquet", _flip_a_bit),
        ("episodes.parquet", Path.unlink),
        ("run.json", _truncate),
        ("config.yaml", _truncate),
        ("config.yaml", Path.unlink),
    ],
)
def test_damaged_files_are_named(
    tmp_path: Path,
    command: str,
    name: str,
    damage: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    directory = write_run(tmp_path / "runs", identity(), [float(i) for i in range(300)])
    damage(directory / name)
    reference = str(write_reference(tmp_path / "reference"))
    arguments = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    message = _refused([command, *arguments, "--reference", reference], capsys)
    assert str(directory / name) in message
    assert not (tmp_path / "out").exists()


def test_files_go_beside_the_runs_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", identity(seed=0), [1.0])
    write_run(tmp_path / "b", identity(seed=1), [2.0])
    assert main(["updates", "--runs", str(tmp_path / "a")]) == 0
    assert {path.name for path in (tmp_path / "a" / "tables").iterdir()} == {
        *("updates.csv", "updates.md")
    }
    assert main(["updates", "--runs", str(tmp_path / "a")]) == 0, "tables are no runs"
    capsys.readouterr()
    both = [str(tmp_path / name) for name in "ab"]
    assert "add --out DIR" in _refused(["updates", "--runs", *both], capsys)
    assert "add --out DIR" in _refused(["figure1"], capsys)


def test_an_empty_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["table1", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]
    assert "run a sweep first" in _refused(arguments, capsys)


def test_a_run_json_of_another_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text('{"run_id": "x"}')
    arguments = ["table1", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]
    assert "lacks config_hash" in _refused(arguments, capsys)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"runs": [3]}', '{"runs": [{}]}'])
def test_a_damaged_sweep_json(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, identity(), [1.0])
    (tmp_path / "sweep.json").write_text(content)
    arguments = ["table1", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]
    assert str(tmp_path / "sweep.json") in _refused(arguments, capsys)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("paper_table1.csv", None, "No such file"),
        ("paper_table1.csv", "a,b\n1,2\n", "lacks the column objective"),
        ("random_policies.csv", "env_id,kind,mean\nHopper-v4,uniform,1\n", "no policy gaussian"),
    ],
)
def test_a_bad_reference(
    tmp_path: Path, name: str, content: str | None, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "runs", identity(), [1.0])
    reference = write_reference(tmp_path / "reference")
    if content is None:
        (reference / name).unlink()
    else:
        (reference / name).write_text(content)
    arguments = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    message = _refused(["table1", *arguments, "--reference", str(reference)], capsys)
    assert part in message and name in message


def test_an_output_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("")
    assert "--out" in _refused(["figure1", "--out", str(tmp_path / "out")], capsys)


def test_the_module_runs_as_a_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "analysis", "table1", "--runs", str(tmp_path / "no")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])  # PYTHONIOENCODING, LC_ALL=C
def test_an_output_that_cannot_show_a_character_gets_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: str
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=errors)
    monkeypatch.setattr(sys, "stdout", stream)
    report = Command("report", "", lambda _: Output({}, "0.5 ± 0.1"), ())
    monkeypatch.setattr(command, "COMMANDS", (report,))
    assert main(["report", "--out", str(tmp_path / "größer")]) == 0
    stream.seek(0)
    assert stream.read().startswith("0.5 ? 0.1\n")


def test_commands_have_names_of_their_own() -> None:
    names = [command.name for command in COMMANDS]
    assert len(names) == len(set(names))
    assert {"table1", "curves", "figure1", "figure2", "figure3", "agreement"} <= set(names)


def test_analysis_imports_nothing_of_repro_but_the_store() -> None:
    for path in (ROOT / "analysis").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in getattr(node, "names", [])]
            module = getattr(node, "module", None)
            if isinstance(node, ast.ImportFrom) and module and module.startswith("repro"):
                assert module == "repro.runs" or module.startswith("repro.runs."), path.name
            if isinstance(node, ast.Import):
                assert not any(name.startswith("repro") for name in names), path.name
