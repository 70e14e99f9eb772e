"""The report `rlhf` from a tiny sweep's files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.reports.rlhf.cells import Run, cell_of, tolerance_of, turned
from analysis.reports.rlhf.numbers import _fit
from repro.runs import store
from repro.training import pack
from tests.helpers.language import Tiny


def test_the_report_of_a_tiny_sweep(
    tiny: Tiny, pipeline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack.run_pack([tiny(f"seed={seed}", "kl.beta=0.3") for seed in (0, 1)])
    loss = ("kl.place=loss", "kl.estimator=k3")
    pack.run_pack([tiny(f"seed={seed}", "kl.beta=0.3", *loss) for seed in (0, 1)])
    pack.run_pack([tiny("stage=best_of_n")])
    given = ["--runs", str(pipeline), "--out", str(tmp_path), "--replicates", "100"]
    assert main(["rlhf", *given, "--collect"]) == 0
    text = capsys.readouterr().out
    assert "ppo clip, beta 0.3" in text and "2 of 2" in text and "at the end" in text
    curves = pd.read_csv(tmp_path / "rlhf_best_of_n.csv")
    assert curves["n"].tolist() == [1, 2, 4, 8] and curves["proxy"].is_monotonic_increasing
    assert all((tmp_path / f"rlhf{name}.png").stat().st_size > 10_000 for name in ("", "_methods"))
    cells = pd.read_csv(tmp_path / "rlhf.csv", index_col="cell")
    plain, other = cells.loc["ppo clip, beta 0.3"], cells.loc["ppo clip, beta 0.3 in the loss"]
    assert np.isnan(plain["difference"]) and plain["n_runs"] == other["n_runs"] == 2
    assert other["difference"] == pytest.approx(other["gold"] - plain["gold"])

    again = tmp_path / "again"
    assert main(["rlhf", "--runs", str(tmp_path), "--out", str(again), "--replicates", "100"]) == 0
    for path in again.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name
    assert len(list(again.iterdir())) == 9


def run_of(gold: list[float], proxy: list[float]) -> Run:
    frame = pd.DataFrame({"gold": gold, "proxy": proxy, "kl": np.arange(float(len(gold)))})
    return Run("", {}, lambda name: frame, frame)


def test_a_turn_is_gold_that_falls_while_the_proxy_rises() -> None:
    assert turned(run_of([0, 3, 1, 1], [0, 1, 2, 2]), 1.5)
    assert not turned(run_of([0, 3, 1, 1], [0, 1, 2, 2]), 2.5)  # no further than another seed
    assert not turned(run_of([0, 3, 1, 1], [0, 1, 0.5, 0.5]), 1.5)
    assert not turned(run_of([0, 1, 2, 3], [0, 1, 2, 2]), 0)


def test_the_tolerance_of_a_turn_is_the_median_spread_of_seeds() -> None:
    ends = [(5.0, 6.0, 7.0), (4.0, 6.0, 8.0), (-50.0, 0.0, 5.0), (3.0,)]
    cells = [[run_of([9.0, end, end], [0, 0, 0]) for end in cell] for cell in ends]
    assert tolerance_of(cells) == pytest.approx(2)  # of 1, 2 and 28; one seed has no spread
    assert tolerance_of(cells[3:]) == 0


def test_cells_tell_apart_what_is_trained_differently(tiny: Tiny) -> None:
    lines = (
        *(("seed=1",), ("kl.estimator=k3",), ("kl.place=loss", "kl.estimator=k3")),
        *(("kl=adaptive",), ("kl=adaptive", "kl.estimator=k3"), ("objective=kl_fixed",)),
        *(("algorithm=rloo",), ("algorithm=grpo",), ("reward.pairs=32",), ("recipe=trl",)),
        *(("stage=sft",), ("stage=sft", "sft.n=2"), ("stage=sft", "sft.total_episodes=64")),
    )
    cells = [cell_of(tiny(*line).identity(), pairs=64) for line in lines]
    assert cells[:3] == [f"ppo clip, beta 0.05{end}" for end in ("", " by k3", " in the loss")]
    assert "grpo clip, beta 0.05 in the loss" in cells and "ppo clip, beta 0.05, 32 pairs" in cells
    assert "adaptive, target 6 by k3" in cells[4]
    assert len(set(cells)) == len(lines)
    assert cell_of(tiny("seed=0").identity(), pairs=64) == cells[0]


@pytest.mark.parametrize("logarithm", [True, False])
def test_a_fit_finds_the_coefficients_of_its_own_form(logarithm: bool) -> None:
    d = np.linspace(0.5, 3, 20)
    gold = 1 + d * (2 - 0.3 * (np.log(d) if logarithm else d))
    found = _fit(pd.DataFrame({"kl": d**2, "gold": gold}), 1.0, logarithm)
    np.testing.assert_allclose(list(found.values()), [2, 0.3, 1], rtol=1e-6)


def test_tokens_are_the_runs_own(tiny: Tiny, tmp_path: Path) -> None:
    config, alone = tiny("seed=0", "kl.beta=0.3"), tmp_path / "runs"
    pack.run_pack([config])
    shutil.copytree(config.directory, alone / config.run_id)
    assert main(["tokens", "--runs", str(alone), "--out", str(tmp_path)]) == 0
    curves, shown = (pd.read_csv(tmp_path / f"tokens_{x}.csv") for x in ("curves", "samples"))
    progress = store.read_table(config.directory / "progress.parquet")
    last = curves[(curves["beta"] == 0.3) & (curves["window"] == curves["window"].max())]
    for name, value in last.set_index("measure")["value"].items():
        assert value == pytest.approx(progress[name].iloc[-1])
    samples = store.read_table(config.directory / "samples.parquet")
    one = shown[(shown["moment"] == "at the end") & (shown["response"] == 0)]
    own = samples[(samples["iteration"] == samples["iteration"].max()) & (samples["episode"] == 0)]
    np.testing.assert_allclose(one["advantage"], own["advantage"], rtol=1e-6)
    words = config.identity()["vocabulary"]
    assert one["token"].tolist() == [words[token] for token in own["token"]]
