"""Files that are not those that a run wrote, or that grow when read: one sentence, exit code 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.__main__ import main
from repro.runs import store
from tests.helpers.synthetic_runs import identity, write_reference, write_run

DEEP = "[" * 200_000
ALIASES = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    info = identity()
    store.write_sweep(tmp_path / "runs", [info])
    return write_run(tmp_path / "runs", info, [1.0, 2.0, 3.0, 4.0])


def _halve(directory: Path, name: str) -> None:
    path, schema = directory / f"{name}.parquet", getattr(store, name.upper())
    table = store.read_table(path)[::2]
    store.write_table(path, {key: table[key].to_numpy()[:-1] for key in schema}, schema)


def _change_config(run: Path) -> None:
    text = (run / "config.yaml").read_text()
    assert "clip_actions: false" in text
    (run / "config.yaml").write_text(text.replace("clip_actions: false", "clip_actions: true"))


def _deep_value(run: Path) -> None:
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(text[: text.rindex("}")] + f', "x": {DEEP}{"]" * len(DEEP)}}}')


TAMPERED: dict[str, Callable[[Path], object]] = {
    "episodes.parquet": lambda run: _halve(run, "episodes"),
    "progress.parquet": lambda run: _halve(run, "progress"),
    "is not what": _change_config,
    "run.json": _deep_value,
    "config.yaml": lambda run: (run / "config.yaml").write_text(ALIASES),
    "sweep.json": lambda run: (run.parent / "sweep.json").write_text(DEEP),
}


@pytest.mark.parametrize("command", ["table1", "curves", "updates", "collect", "origin"])
@pytest.mark.parametrize("part", list(TAMPERED))
def test_every_reader_refuses_what_the_run_did_not_write(
    run: Path, part: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = write_reference(run.parents[1] / "reference")
    where = ["--runs", str(run.parent), "--out", str(run.parents[1] / "out")]
    more = ["--reference", str(reference)] if command in ("table1", "curves") else []
    TAMPERED[part](run)
    assert main([command, *where, *more]) == 2
    sentence = capsys.readouterr().err
    assert part in sentence and sentence.count("\n") == 1 and len(sentence) < 700, sentence
    assert not (run.parents[1] / "out").exists()


def test_a_deep_condition_and_a_deep_benchmark(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--runs", str(run.parent), "--out", str(tmp_path / "out")]
    assert main(["curves", *where, "--where", f"seed={DEEP[:90_000]}"]) == 2
    (tmp_path / "bench.json").write_text(json.dumps({"rows": 0})[:-1] + DEEP)
    assert main(["speed", "--bench", str(tmp_path / "bench.json"), "--out", str(tmp_path)]) == 2
    assert "bench.json" in capsys.readouterr().err
