"""Tables and files: whole or not there, and damage is noticed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from repro.runs import store

COLUMNS = {name: np.linspace(0, 1, 2000) for name in store.INTERPOLATION}


def write(path: Path) -> None:
    store.write_table(path, COLUMNS, store.INTERPOLATION)


def test_tables_come_back_bit_for_bit(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet")
    frame = store.read_table(tmp_path / "t.parquet")
    assert list(frame) == list(store.INTERPOLATION)
    for name, values in COLUMNS.items():
        np.testing.assert_array_equal(frame[name], values)


def test_not_a_number_is_null(tmp_path: Path) -> None:
    columns = {name: [1.0, math.nan, None] for name in store.INTERPOLATION}
    store.write_table(tmp_path / "t.parquet", columns, store.INTERPOLATION)
    assert store.read_table(tmp_path / "t.parquet").isna().sum().tolist() == [2] * 5


def test_every_flipped_bit_in_a_table_is_noticed_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write(path)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    noticed = 0
    for offset in rng.integers(0, len(good), 100):
        damaged = bytearray(good)
        damaged[offset] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            frame = store.read_table(path)
        except ValueError as error:
            assert str(path) in str(error)
            noticed += 1
        else:
            for name, values in COLUMNS.items():
                np.testing.assert_array_equal(frame[name], values)
    assert noticed > 50


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
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


def test_sweeps_of_one_directory_add_up(tmp_path: Path) -> None:
    assert store.read_sweep(tmp_path) == []
    store.write_sweep(tmp_path, [{"run_id": "a", "seed": 0}, {"run_id": "b", "seed": 1}])
    store.write_sweep(tmp_path, [{"run_id": "b", "seed": 1}, {"run_id": "c", "seed": 2}])
    assert [run["run_id"] for run in store.read_sweep(tmp_path)] == ["a", "b", "c"]


def test_floats_in_config_yaml_are_exact_and_plain_yaml(tmp_path: Path) -> None:
    import yaml

    config = {"recipe": {"adam_epsilon": 1e-5, "gain": 2**0.5}, "seed": 3, "none": None}
    store.RunWriter(tmp_path / "run", config, {"run_id": "x"})
    assert store.read_config(tmp_path / "run") == config
    text = (tmp_path / "run" / "config.yaml").read_text()
    assert yaml.safe_load(text)["recipe"]["adam_epsilon"] == 1e-5


def test_no_unsafe_loading_in_the_sources() -> None:
    root = Path(store.__file__).parent.parent
    forbidden = (
        "pickle.load",
        "cloudpickle",
        "weights_only=False",
        "allow_pickle=True",
        "yaml.load(",
    )
    for folder in ("repro", "analysis", "hydra_plugins"):
        for path in (root / folder).rglob("*.py"):
            text = path.read_text()
            assert not [word for word in forbidden if word in text], path
