"""`seeds`: the paper's protocol by resampling, against worlds whose answer is known."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.errors import AnalysisError
from analysis.published.paper import random_returns
from analysis.reports.seeds import numbers
from analysis.runs.load import frame, load_sweep
from analysis.settings import DEFAULT_REFERENCE, Settings
from analysis.statistics.intervals import CHOSEN, METHODS
from tests.helpers.synthetic_runs import ROWS, TASKS, identity, row_name, write_run

RESULTS = DEFAULT_REFERENCE.parent
FOLDER = RESULTS / "table1_ten_seeds"


def _runs(levels: dict[str, float], spread: float, seeds: int = 6) -> pd.DataFrame:
    """`load.frame` on two tasks: each row's level with noise."""
    rng = np.random.default_rng(0)
    lines = [
        {
            **{"run_id": f"{task}{kind}{value}{seed}", "task": task, "row": row_name(kind, value)},
            **{"objective": kind, "value": np.nan if value is None else value, "seed": seed},
            **{"hole": "", "episodes": 100},
            "return": levels.get(row_name(kind, value), 500.0) + spread * rng.normal(),
        }
        for task in TASKS[1:3]
        for kind, value in ROWS
        for seed in range(seeds)
    ]
    return pd.DataFrame(lines)


def test_without_noise_every_draw_is_the_table() -> None:
    runs = _runs({"clip_0.2": 900.0, "none": 100.0}, 0.0)
    found = numbers.build(runs, Settings(), 10)
    rows = found.rows.set_index("row")
    for column in ("draw_least", "draw_most", "replaced_low", "ci_low", "ci_high", "first_three"):
        np.testing.assert_allclose(rows[column], rows["score"], atol=1e-12)
    assert found.protocol["first"]["clip_0.2"] == 1
    assert found.claims["clip_0.1_over_0.2"]["probability"] == 0
    assert (found.coverage["coverage"] == 1).all()
    assert rows.loc["clip_0.2", "place"] == 0 and rows.loc["kl_fixed_10", "place"] == 1


def test_rows_that_are_alike_are_first_equally_often() -> None:
    found = numbers.build(_runs({}, 100.0, seeds=15), Settings(), 15)
    shares = np.array(list(found.protocol["with_replacement"]["first"].values()))
    assert len(shares) == 11 and shares.sum() == pytest.approx(1)
    assert shares.max() < 0.5  # 1 / 11 each, but for the luck of 15 seeds
    assert found.protocol["spearman"]["low"] < 0 < found.protocol["spearman"]["high"]


def test_a_failed_run_takes_its_seed_from_the_draws_and_is_counted() -> None:
    runs = _runs({"clip_0.2": 900.0}, 10.0)
    runs.loc[3, ["hole", "return"]] = ["failed", np.nan]
    found = numbers.build(runs, Settings(), 10)
    assert found.seeds == (0, 1, 2, 4, 5)
    none = found.rows.set_index("row").loc["none"]
    assert (none["n_runs"], none["n_expected"]) == (11, 12)
    with pytest.raises(AnalysisError, match="4 seeds are finished in every task and row"):
        numbers.build(runs[runs["seed"] != 5], Settings(), 10)


def test_three_of_three_are_the_scores_themselves() -> None:
    """Draws are not free to leave the runs: of 3 seeds, 3 without replacement are the table."""
    values = {"a": np.random.default_rng(1).normal(5, 1, (4, 3))}
    draws = numbers.protocol(values, {"a": 0.0}, False, np.random.default_rng(2))
    expected = values["a"].mean(axis=1) / values["a"].max()
    np.testing.assert_allclose(draws, np.broadcast_to(expected, draws.shape))


def test_a_draw_is_scaled_with_its_own_best_result() -> None:
    """One of five seeds is 100 times the others: 2 of 5 draws do not have it and score 1."""
    values = {"a": np.array([[1.0, 1.0, 1.0, 1.0, 100.0]])}
    draws = numbers.protocol(values, {"a": 0.0}, False, np.random.default_rng(2))[:, 0]
    assert (draws == 1).mean() == pytest.approx(0.4, abs=0.02)
    np.testing.assert_allclose(draws[draws != 1], 102 / 300)


def test_the_command_says_how_many_seeds_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for (kind, value), seed in itertools.product(ROWS, range(5)):
        info = identity(TASKS[1], kind, value, seed)
        write_run(tmp_path / "runs", info, rng.normal(500, 50, 100).tolist())
    out = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main(["seeds", *out, "--planned", "7"]) == 0
    assert "5 of 7 seeds are finished in every task and row" in capsys.readouterr().out
    values = json.loads((tmp_path / "out" / "seeds.json").read_text())
    assert values["factor"] == pytest.approx(np.sqrt(1 + 3 / 2))
    assert set(values["methods"]) == set(METHODS)


# The reading in results/table1_ten_seeds/README.md, with what its numbers are.
READING = (
    "{there} of {v[planned]} planned seeds are in every cell ({seeds}), {runs} runs, none failed.",
    "Three seeds are drawn as {v[drawn]} of {there} and the target is the mean of the other "
    "{v[targets]}, so intervals are widened by {v[factor]:.2f}.",
    "Percentile intervals of three runs cover {m[percentile][coverage]:.1%} instead of 95 %, "
    "and on Swimmer {m[percentile][tasks][Swimmer-v4]:.0%}.",
    "Student's t of the cell covers {m[t][coverage]:.0%} (HalfCheetah "
    "{m[t][tasks][HalfCheetah-v4]:.0%}), the studentized bootstrap "
    "{m[studentized][coverage]:.0%}, the hierarchical model {m[shrunk][coverage]:.0%} "
    "(Reacher {m[shrunk][tasks][Reacher-v4]:.0%}), and the variance pooled over the settings "
    "of a task {m[pooled][coverage]:.0%}, at the least {least:.0%} on a task.",
    "But {m[pooled][cells_below_88]} of 77 cells are covered less than 88 % of the time when "
    "variances are pooled, and no clipping or penalty on Reacher, whose seeds end between "
    "{reacher[0]:.0f} and {reacher[1]:.0f}, {m[pooled][least][coverage]:.0%} of the time.",
    "The variance pooled in part with the task's median covers {m[partial][coverage]:.0%}, at the "
    "least {part:.0%} on a task, and {m[partial][cells_below_88]} cells less than 88 %; the worst "
    "is that same one with {m[partial][least][coverage]:.0%}",
    "Its intervals of three runs are {wide[partial]:.1f} times as wide as percentile intervals "
    "(median over cells), and shorter than Student's t of the cell, {wide[t]:.1f} times.",
    "Clipping at 0.2 is the first row in {p[first][clip_0.2]:.1%} of the draws "
    "({w[first][clip_0.2]:.1%} with replacement), and 0.1 in {p[first][clip_0.1]:.1%} "
    "({w[first][clip_0.1]:.1%}).",
    "A clipping row is first in {p[clipping_first]:.1%} ({w[clipping_first]:.1%}).",
    "The printed order of the families comes out in {p[families_by_mean]:.0%} of the draws by"
    " their means and in {p[families_by_best]:.0%} by their best rows",
    "Spearman's correlation with the printed column is {p[spearman][median]:.2f} "
    "[{p[spearman][low]:.2f}, {p[spearman][high]:.2f}].",
    "The printed 0.82 of clipping at 0.2 is above {r[clip_0.2][place]:.0%} of the draws, the "
    "printed 0.76 of clipping at 0.1 above {r[clip_0.1][place]:.0%}, and -0.39 is below every"
    " draw, of which the least is {r[none][draw_least]:.2f}.",
    "The best clipping is ahead of the best KL penalty by "
    "{c[best_clip_over_best_kl][difference]:.2f} [{c[best_clip_over_best_kl][low]:.2f}, "
    "{c[best_clip_over_best_kl][high]:.2f}], with a probability of "
    "{c[best_clip_over_best_kl][probability]:.1%}.",
    "0.1 is ahead of 0.2 by {c[clip_0.1_over_0.2][difference]:.3f} "
    "[{c[clip_0.1_over_0.2][low]:.2f}, {c[clip_0.1_over_0.2][high]:.2f}], with a probability "
    "of {c[clip_0.1_over_0.2][probability]:.0%}; three seeds give {three:.0%} for 0.1 as the best "
    "row.",
    "The score is negative with a probability of {c[none_negative]:.0%}.",
    "No clipping or penalty scores {r[none][score]:.2f} with all seeds and "
    "{r[none][first_three]:.2f} with the first three.",
    "Seed 4 of Reacher ends at {reacher[0]:.0f}, where a random policy has {random:.0f}",
    "{fails} of the five fail: {failed}.",
)


def _widths() -> pd.Series[float]:
    """By method, how much wider than percentile intervals; the median over cells."""
    found = pd.read_csv(FOLDER / "seeds_coverage.csv")
    wide = found.pivot(index=["task", "row"], columns="method", values="width")
    return wide.div(wide["percentile"], axis=0).median()


def _reading() -> dict[str, Any]:
    values: dict[str, Any] = json.loads((RESULTS / "table1" / "reading.json").read_text())
    return values


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    """What `READING` is made of: the committed values, and the returns of the committed runs."""
    values = json.loads((FOLDER / "seeds.json").read_text())
    runs = frame(load_sweep(RESULTS / "table1", FOLDER).runs, 100)
    reacher = runs[(runs["task"] == "Reacher-v4") & (runs["row"] == "none")]["return"]
    failed = [e["number"] for e in values["expectations"] if e["verdict"] == "fails"]
    return {
        **{"v": values, "m": values["methods"], "p": values["protocol"], "c": values["claims"]},
        **{"w": values["protocol"]["with_replacement"], "r": values["rows"]},
        **{"there": len(values["seeds"]), "seeds": ", ".join(map(str, values["seeds"]))},
        **{"runs": int((runs["hole"] == "").sum()), "reacher": (reacher.min(), reacher.max())},
        "random": random_returns(DEFAULT_REFERENCE, "gaussian")["Reacher-v4"],
        "least": min(values["methods"]["pooled"]["tasks"].values()),
        "part": min(values["methods"]["partial"]["tasks"].values()),
        "wide": _widths().to_dict(),
        "three": _reading()["conventions"][0]["probability_best"]["clip_0.1"],
        **{"fails": len(failed), "failed": " and ".join(map(str, failed))},
    }


def test_every_number_of_the_reading_is_in_the_files(committed: dict[str, Any]) -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    text = " ".join(readme.split("## What the runs say")[1].replace("**", "").split())
    for sentence in READING:
        found = re.sub(r"(\d)%", r"\1 %", sentence.format(**committed))
        assert found in text, found
        text = text.replace(found, "")
    text = re.sub(r"\b0\.[123]\b", "", text)  # names of rows
    assert not re.findall(r"\d+\.\d+|\d+ %|\d\d", text), "a number that no test recomputes"


def test_the_rule_takes_what_every_report_uses(committed: dict[str, Any]) -> None:
    assert committed["v"]["method"] == CHOSEN and committed["v"]["passed"]


def test_the_readme_has_the_table_of_all_seeds() -> None:
    table = (FOLDER / "table1.md").read_text(encoding="utf-8").split("\n\n")[1]
    assert table in (RESULTS.parent / "README.md").read_text(encoding="utf-8")
