"""Tables and files are complete or absent, and damage is detected."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro.errors import CorruptError
from repro.runs import archive, store
from repro.runs.schema import DONE, INTERPOLATION
from repro.runs.writer import RunWriter

COLUMNS = {name: np.linspace(0, 1, 2000) for name in INTERPOLATION}


def write(path: Path) -> None:
    store.write_table(path, COLUMNS, INTERPOLATION)


def test_tables_come_back_bit_for_bit(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet")
    frame = store.read_table(tmp_path / "t.parquet")
    assert list(frame) == list(INTERPOLATION)
    for name, values in COLUMNS.items():
        np.testing.assert_array_equal(frame[name], values)


def test_not_a_number_is_null(tmp_path: Path) -> None:
    columns = {name: [1.0, math.nan, None] for name in INTERPOLATION}
    store.write_table(tmp_path / "t.parquet", columns, INTERPOLATION)
    assert store.read_table(tmp_path / "t.parquet").isna().sum().tolist() == [2] * 5


def test_every_flipped_bit_in_a_table_is_detected_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write(path)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    detected = 0
    for offset in rng.integers(0, len(good), 100):
        damaged = bytearray(good)
        damaged[offset] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            frame = store.read_table(path)
        except ValueError as error:
            assert str(path) in str(error)
            detected += 1
        else:
            for name, values in COLUMNS.items():
                np.testing.assert_array_equal(frame[name], values)
    assert detected > 50


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    store.write_json(path, {"status": "old"})

    def explode(file: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.write_atomically(path, explode)
    assert store.read_json(path) == {"status": "old"}
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_damaged_json_names_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"run\.json"):
        store.read_json(path)


PARAMETERS = {"policy.weight": np.ones((2, 3), np.float32), "observations.count": np.array(4.0)}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run."""
    RunWriter(tmp_path / "run", {}, {"run_id": "x"}).finish(DONE, PARAMETERS)
    return tmp_path / "run"


def test_parameters_come_back_bit_for_bit(run: Path) -> None:
    content = (run / "parameters.npz").read_bytes()
    assert store.read_run(run)["parameters_sha256"] == hashlib.sha256(content).hexdigest()
    found = store.read_parameters(run)
    assert found.keys() == PARAMETERS.keys()
    for name, array in PARAMETERS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_parameters_that_were_changed_are_refused_before_they_are_parsed(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run / "parameters.npz"
    file = io.BytesIO()
    np.savez(file, **PARAMETERS | {"observations.count": np.array(5.0)})  # a valid archive
    path.write_bytes(file.getvalue())
    monkeypatch.setattr(archive, "unpack", pytest.fail)
    with pytest.raises(CorruptError, match="not the file that its run wrote") as caught:
        store.read_parameters(run)
    assert str(path) in str(caught.value) and "run that configuration again" in str(caught.value)
    path.unlink()
    with pytest.raises(CorruptError, match=r"parameters\.npz is missing"):
        store.read_parameters(run)


def test_parameters_without_a_checksum_are_refused(run: Path) -> None:
    info = store.read_run(run)
    del info["parameters_sha256"]
    (run / "run.json").write_text(json.dumps(info))
    with pytest.raises(CorruptError, match=r"run\.json has no parameters_sha256"):
        store.read_parameters(run)


def test_run_directories_are_found_while_others_vanish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b/deep/1", "a", "a/checkpoints/iteration_00000001.tmp-1", ".set_aside/c.1"):
        (tmp_path / name).mkdir(parents=True)
        if "checkpoints" not in name:
            (tmp_path / name / "run.json").touch()
    scandir = os.scandir

    def vanished(path: str) -> Any:
        if ".tmp-" in str(path):
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", vanished)
    assert store.run_directories(tmp_path) == [tmp_path / "a", tmp_path / "b/deep/1"]


def test_sweeps_of_one_directory_add_up(tmp_path: Path) -> None:
    assert store.read_sweep(tmp_path) == []
    store.write_sweep(tmp_path, [{"run_id": "a", "seed": 0}, {"run_id": "b", "seed": 1}], "first")
    store.write_sweep(tmp_path, [{"run_id": "b", "seed": 1}, {"run_id": "c", "seed": 2}], "second")
    store.write_sweep(tmp_path, [], "first")
    assert store.read_commands(tmp_path) == ["first", "second"]
    assert [run["run_id"] for run in store.read_sweep(tmp_path)] == ["a", "b", "c"]


def test_floats_in_config_yaml_are_exact_and_plain_yaml(tmp_path: Path) -> None:
    import yaml

    config = {"recipe": {"adam_epsilon": 1e-5, "gain": 2**0.5}, "seed": 3, "none": None}
    RunWriter(tmp_path / "run", config, {"run_id": "x"})
    assert store.read_config(tmp_path / "run") == config
    text = (tmp_path / "run" / "config.yaml").read_text()
    assert yaml.safe_load(text)["recipe"]["adam_epsilon"] == 1e-5


def test_no_unsafe_loading_in_the_sources() -> None:
    root = Path(store.__file__).parents[2]
    forbidden = (
        "pickle.load",
        "cloudpickle",
        "weights_only=False",
        "allow_pickle=True",
        "yaml.load(",
    )
    for folder in ("repro", "analysis", "hydra_plugins"):
        paths = list((root / folder).rglob("*.py"))
        assert paths
        for path in paths:
            text = path.read_text()
            assert not [word for word in forbidden if word in text], path
