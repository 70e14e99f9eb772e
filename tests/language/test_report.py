"""The report `rlhf` from a tiny sweep's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.reports.rlhf.numbers import Run, _fit, turned
from repro.training import pack
from tests.helpers.language import Tiny


def test_the_report_of_a_tiny_sweep(
    tiny: Tiny, pipeline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack.run_pack([tiny(f"seed={seed}", "kl.beta=0.3") for seed in (0, 1)])
    pack.run_pack([tiny("stage=best_of_n")])
    given = ["--runs", str(pipeline), "--out", str(tmp_path), "--replicates", "100"]
    assert main(["rlhf", *given, "--collect"]) == 0
    text = capsys.readouterr().out
    assert "ppo clip, beta 0.3" in text and "2 of 2" in text and "at the end" in text
    curves = pd.read_csv(tmp_path / "rlhf_best_of_n.csv")
    assert curves["n"].tolist() == [1, 2, 4, 8] and curves["proxy"].is_monotonic_increasing
    assert (tmp_path / "rlhf.png").stat().st_size > 10_000

    again = tmp_path / "again"
    assert main(["rlhf", "--runs", str(tmp_path), "--out", str(again), "--replicates", "100"]) == 0
    for path in again.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name
    assert len(list(again.iterdir())) == 8


def test_a_turn_is_gold_that_falls_while_the_proxy_rises() -> None:
    def run(gold: list[float], proxy: list[float]) -> Run:
        frame = pd.DataFrame({"gold": gold, "proxy": proxy, "kl": [0.0, 1.0, 2.0]})
        return Run("", {}, lambda name: frame, frame)

    assert turned(run([0, 2, 1], [0, 1, 2]))
    assert not turned(run([0, 2, 1], [0, 1, 0.5]))
    assert not turned(run([0, 1, 2], [0, 1, 2]))


@pytest.mark.parametrize("logarithm", [True, False])
def test_a_fit_finds_the_coefficients_of_its_own_form(logarithm: bool) -> None:
    d = np.linspace(0.5, 3, 20)
    gold = 1 + d * (2 - 0.3 * (np.log(d) if logarithm else d))
    found = _fit(pd.DataFrame({"kl": d**2, "gold": gold}), 1.0, logarithm)
    np.testing.assert_allclose(list(found.values()), [2, 0.3, 1], rtol=1e-6)
