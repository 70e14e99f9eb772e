"""`updates`: medians of the second half, by row and task, the same from runs and from `collect`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from repro.runs import store
from tests.helpers.synthetic_runs import identity, reseal, write_run


def _write(runs_dir: Path, kl: list[float], **named: Any) -> None:
    directory = write_run(runs_dir, identity(**named), [1.0])
    columns: dict[str, Any] = {name: np.zeros(len(kl), int) for name in store.PROGRESS}
    columns |= {"kl": np.array(kl), "std": np.full(len(kl), np.nan)}
    store.write_table(directory / "progress.parquet", columns, store.PROGRESS)
    reseal(directory)


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    runs = tmp_path / "runs"
    store.write_sweep(runs, [identity(seed=seed) for seed in range(3)])
    _write(runs, [9.0, 9.0, 9.0, 0.1, 0.2, 0.3])
    _write(runs, [9.0, 9.0, 9.0, 0.4, 0.5, np.nan], seed=1)
    _write(runs, [0.0] * 60 + [7.0] * 60, kind="none", value=None)
    return runs


def _medians(runs: Path, out: Path) -> pd.DataFrame:
    assert main(["updates", "--runs", str(runs), "--out", str(out)]) == 0
    return pd.read_csv(out / "updates.csv").set_index("row")


def test_medians(runs_dir: Path, tmp_path: Path) -> None:
    found = _medians(runs_dir, tmp_path / "out")
    assert found.loc["clip_0.2", "kl"] == pytest.approx(np.median([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert found.loc["none", "kl"] == 7 and found["std"].isna().all()
    text = (tmp_path / "out" / "updates.md").read_text()
    assert "0.30 (2 of 3)" in text and "Standard deviation" not in text


def test_collected_runs_give_the_same_bytes(runs_dir: Path, tmp_path: Path) -> None:
    _medians(runs_dir, tmp_path / "out")
    assert main(["collect", "--runs", str(runs_dir), "--out", str(tmp_path / "tables")]) == 0
    _medians(tmp_path / "tables", tmp_path / "again")
    for name in ("updates.csv", "updates.md"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
