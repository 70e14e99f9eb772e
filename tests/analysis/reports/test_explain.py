"""The explanatory figures are drawn from committed tables, and the committed pages are theirs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.reports.explain import figures, pages
from analysis.reports.explain.numbers import read, units
from tests.helpers.explain import RESULTS

PAGES = Path(__file__).parents[3] / "docs" / "explain"


def test_the_command_draws_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--tables", str(RESULTS), "--out", str(tmp_path)]) == 0
    expected = {f"{name}.{kind}" for name in figures.FIGURES for kind in ("png", "svg", "html")}
    assert {path.name for path in tmp_path.iterdir()} == expected
    assert f"Figures from {RESULTS}" in capsys.readouterr().out
    for name in pages.PAGES:
        made, there = (folder / f"{name}.html" for folder in (tmp_path, PAGES))
        assert made.read_bytes() == there.read_bytes(), f"make {name}.html again"


def test_tokens_are_those_of_the_committed_runs(tmp_path: Path) -> None:
    assert main(["tokens", "--runs", str(RESULTS.parent / "language"), "--out", str(tmp_path)]) == 0
    for path in tmp_path.glob("*.csv"):
        own, committed = pd.read_csv(path), pd.read_csv(RESULTS / path.name)
        pd.testing.assert_frame_equal(own, committed, rtol=1e-9, obj=path.name)
    assert (tmp_path / "tokens.json").read_bytes() == (RESULTS / "tokens.json").read_bytes()


def test_a_changed_number_changes_the_figure(tmp_path: Path) -> None:
    tables = shutil.copytree(RESULTS, tmp_path / "tables")
    table = read(tables, "gae")
    table.assign(value=table["value"] + 1).to_csv(tables / "gae.csv", index=False)
    before, after = (figures.gae(folder) for folder in (RESULTS, tables))
    line, other = (figure.axes[0].lines[0].get_ydata() for figure in (before, after))
    assert (pd.Series(other) - pd.Series(line)).round(9).eq(1).all()
    assert pages.page("gae", RESULTS) != pages.page("gae", tables)


def test_samples_are_told_apart_by_their_gradient() -> None:
    table = pd.DataFrame({"ratio": [1.0, 1.5, 1.5], "gradient": [1.0, 0.0, -1.0]})
    assert figures.status(table).tolist() == [figures.FREE, figures.FLAT, figures.BACK]


def test_a_missing_table_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--tables", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "python -m repro.explain variance" in capsys.readouterr().err
    assert units(RESULTS, "gae")["lambda"]


@pytest.mark.parametrize("name", pages.PAGES)
def test_pages_load_nothing_and_are_small(name: str) -> None:
    text = (PAGES / f"{name}.html").read_text()
    assert "default-src 'none'" in text and '<html lang="en">' in text
    outside = text.replace("http://www.w3.org/2000/svg", "")
    assert "http" not in outside.replace("http-equiv", "") and "src=" not in outside
    assert len(text) < 200_000
