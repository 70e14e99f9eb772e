"""Figures 1 and 2: what their tables say, and what Figure 2 refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.reports import figure2
from repro.runs import store
from tests.helpers.synthetic_runs import identity, write_interpolation, write_reference, write_run


@pytest.mark.usefixtures("painted")
def test_figure1_is_flat_where_clipping_holds(tmp_path: Path) -> None:
    assert main(["figure1", "--out", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "figure1.csv")
    gain, loss = (table[table["advantage"] == a].set_index("r")["l_clip"] for a in (1, -1))
    r = gain.index.to_numpy()
    np.testing.assert_allclose(gain[r >= 1.2], 1.2, rtol=1e-9)
    np.testing.assert_allclose(gain[r <= 1.2], r[r <= 1.2], rtol=1e-9)
    np.testing.assert_allclose(loss[r <= 0.8], -0.8, rtol=1e-9)
    np.testing.assert_allclose(loss[r >= 0.8], -r[r >= 0.8], rtol=1e-9)
    assert gain[1.0] == 1 and loss[1.0] == -1
    assert (tmp_path / "figure1.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("epsilon", ["0", "0.25", "nan"])
def test_figure1_refuses_an_epsilon_that_is_not_tabulated(
    tmp_path: Path, epsilon: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["figure1", "--out", str(tmp_path), "--epsilon", epsilon]) == 2
    assert "choose one of 0.1, 0.2, 0.3" in capsys.readouterr().err


def _figure2(tmp_path: Path) -> int:
    reference = write_reference(tmp_path / "reference")
    runs, out = tmp_path / "runs", tmp_path / "out"
    return main(["figure2", "--runs", str(runs), "--out", str(out), "--reference", str(reference)])


@pytest.mark.usefixtures("painted")
def test_figure2_reads_what_the_store_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = write_interpolation(write_run(tmp_path / "runs", identity(), [1.0]))
    assert _figure2(tmp_path) == 0
    table = pd.read_csv(tmp_path / "out" / "figure2.csv")
    assert table.columns.tolist() == list(store.INTERPOLATION)
    for name, values in columns.items():
        np.testing.assert_allclose(table[name], values, rtol=1e-9, atol=1e-15)
    assert (tmp_path / "out" / "figure2.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.count("PASS") == 3


def _curves(**changes: object) -> pd.DataFrame:
    x = np.linspace(-0.5, 2, 101)
    columns = {"kl": 0.0165 * x**2, "l_cpi": 0.05 * x, "l_clip": 0.05 * x - 0.05 * np.abs(x - 1)}
    return pd.DataFrame({"x": x, "l_clipped_ratio": x} | columns | changes)


@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({}, [True, True, True]),
        ({"l_cpi": np.linspace(-0.5, 2, 101) * 0.05 - 0.1}, [False, True, True]),
        ({"l_clip": -np.abs(np.linspace(-0.5, 2, 101) - 0.7) - 1}, [True, False, True]),
        ({"l_clip": -np.abs(np.linspace(-0.5, 2, 101) - 1.4) - 1}, [True, False, True]),
        ({"kl": np.linspace(-0.5, 2, 101) ** 2 * 0.004}, [True, True, False]),
        ({"kl": np.linspace(-0.5, 2, 101) ** 2 * 0.06}, [True, True, False]),
    ],
)
def test_each_shape_check_can_fail_alone(changes: dict[str, object], passed: list[bool]) -> None:
    assert list(figure2.checks(_curves(**changes)).values()) == passed


def test_the_paper_itself_passes_the_checks() -> None:
    path = Path(__file__).parents[3] / "results" / "reference" / "paper_fig2.csv"
    assert all(figure2.checks(pd.read_csv(path)).values())


def test_figure2_needs_one_finished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "runs", identity(), [1.0])
    assert _figure2(tmp_path) == 2
    assert "+experiment=figure2" in capsys.readouterr().err
    for seed in (1, 2):
        write_interpolation(write_run(tmp_path / "runs", identity(seed=seed), [1.0]))
    assert _figure2(tmp_path) == 2
    assert "--where seed=0" in capsys.readouterr().err


def test_figure2_refuses_a_run_that_did_not_finish(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = write_run(tmp_path / "runs", identity(), [1.0], status=store.RUNNING)
    write_interpolation(directory)
    assert _figure2(tmp_path) == 2
    assert "still running" in capsys.readouterr().err
