"""`reading`: statements whose probabilities are known, and numbers that agree with `table1`."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from analysis.__main__ import main
from analysis.published.paper import paper_figure3, paper_table1, ppo_elsewhere
from analysis.reports.reading import claims, numbers
from analysis.reports.table1.numbers import Table1, build, score
from analysis.runs.load import load_sweep
from analysis.settings import Settings
from tests.helpers.synthetic_runs import ROWS, TASKS, identity, row_name, write_reference, write_run

REFERENCE = Path(__file__).parents[3] / "results" / "reference"
PAPER = paper_table1(REFERENCE).set_index("row")["paper_score"]
COUNT = 2000


def _runs(levels: dict[str, float], spread: float, tasks: tuple[str, ...] = TASKS) -> pd.DataFrame:
    """`load.frame` with each row's level, seeds at -spread, 0 and +spread around it."""
    lines = [
        {
            "run_id": f"{task}{kind}{value}{seed}",
            "task": task,
            "row": row_name(kind, value),
            "objective": kind,
            "value": np.nan if value is None else value,
            "seed": seed,
            "hole": "",
            "return": levels.get(f"{task}/{row_name(kind, value)}", levels[row_name(kind, value)])
            + spread * (seed - 1),
            "episodes": 100,
        }
        for task in tasks
        for kind, value in ROWS
        for seed in range(3)
    ]
    return pd.DataFrame(lines)


def _claims(levels: dict[str, float], spread: float, tasks: tuple[str, ...] = TASKS) -> Any:
    settings = Settings(replicates=COUNT)
    return claims.claims(_table(_runs(levels, spread, tasks), settings))


def _table(runs: pd.DataFrame, settings: Settings) -> Table1:
    """Table 1 on a scale where random is 0."""
    return score(runs, settings, dict.fromkeys(runs["task"], 0.0))


def test_the_papers_own_column_holds_in_every_statement() -> None:
    levels = dict(PAPER) | {f"{task}/none": 0.3 for task in TASKS[1:]}
    levels[f"{TASKS[0]}/none"] = 7 * -0.39 * 0.82 - 6 * 0.3
    found = _claims(levels, 1e-6)
    assert found["best_row"] == "clip_0.2" and found["probability_best"]["clip_0.2"] == 1
    for key in ("rank_correlation", "rank_correlation_without_none"):
        assert found[key]["rho"] == pytest.approx(1)
        # Two pairs of rows tie in the paper, and noise breaks a tie one way or the other.
        assert 0.98 < found[key]["low"] <= found[key]["high"] <= 1 + 1e-12
    assert found["clip_over_kl"]["best"]["probability"] == 1
    assert found["clip_over_kl"]["named"]["rows"] == ["clip_0.2", "kl_adaptive_0.01"]
    assert found["clip_over_kl"]["named"]["difference"] == pytest.approx(0.08 / 0.82, abs=1e-3)
    none = found["none"]
    assert none["score"] == pytest.approx(-0.39, abs=1e-3) and none["negative"] == 1
    assert none["without"][TASKS[0]]["score"] == pytest.approx(0.3 / 0.82, abs=1e-3)
    assert none["without"][TASKS[0]]["its_doing"] == 1
    assert all(none["without"][task]["its_doing"] == 0 for task in TASKS[1:])


def test_probabilities_of_a_coin_are_a_half() -> None:
    levels = dict.fromkeys(PAPER.index, 50.0)
    levels |= {"clip_0.2": 100.0, "kl_fixed_1": 100.0, "none": 0.0}
    found = _claims(levels, 5.0)
    best = found["probability_best"]
    assert best["clip_0.2"] == pytest.approx(0.5, abs=0.05)
    assert best["clip_0.2"] + best["kl_fixed_1"] == pytest.approx(1)
    assert found["clip_over_kl"]["best"]["probability"] == pytest.approx(0.5, abs=0.05)
    assert found["none"]["negative"] == pytest.approx(0.5, abs=0.03)
    assert claims.verdict(best["clip_0.2"]) == "within noise"


def test_the_exact_distribution_of_one_task_is_met() -> None:
    """The other rows do not scatter: the variance of -1, 0, 5 counts half, with 2 + 2 degrees."""
    runs = _runs(dict(PAPER * 100), 0.0, TASKS[:1])
    runs.loc[runs["row"] == "none", "return"] = [-1.0, 0.0, 5.0]
    settings = Settings(replicates=20_000)
    found = claims.claims(_table(runs, settings))["none"]
    error = np.std([-1.0, 0.0, 5.0], ddof=1) / np.sqrt(2 * 3)
    assert found["negative"] == pytest.approx(scipy.stats.t.cdf(-(4 / 3) / error, 4), abs=1e-3)
    assert found["without"] == {}


def test_intervals_are_those_of_table1() -> None:
    runs = _runs(dict(PAPER * 100), 7.0)
    settings = Settings(replicates=COUNT, seed=3)
    table = _table(runs, settings)
    found = claims.replicates_of(table)
    low, high = np.quantile(found.estimates[:, 1:], [0.025, 0.975], axis=1)
    assert low.tolist() == table.rows["ci_low"].tolist()
    assert high.tolist() == table.rows["ci_high"].tolist()
    assert found.estimates[:, 0].tolist() == table.rows["score"].tolist()


def test_rank_correlation_is_scipys_for_every_replicate() -> None:
    runs = _runs(dict(PAPER * 100), 30.0)
    settings = Settings(replicates=200)
    found = claims.replicates_of(_table(runs, settings))
    theirs = PAPER[list(found.rows)].to_numpy()
    each = [scipy.stats.spearmanr(draw, theirs).statistic for draw in found.estimates[:, 1:].T]
    answer = claims.rank_correlation(found, dict(PAPER))
    assert [answer["low"], answer["high"]] == pytest.approx(np.quantile(each, [0.025, 0.975]))


def test_tied_rows_share_a_replicate() -> None:
    levels = dict.fromkeys(PAPER.index, 1.0)
    best = _claims(levels, 0.0)["probability_best"]
    assert list(best.values()) == pytest.approx([1 / 11] * 11)


def test_single_seeds_and_absent_rows_leave_questions_open(tmp_path: Path) -> None:
    reference = _reference(tmp_path)
    for kind, value in ROWS[:3]:
        write_run(tmp_path / "runs", identity(TASKS[0], kind, value), [1.0] * 5)
    answers = _reading(tmp_path / "runs", reference, tmp_path / "out")
    main_one = answers["conventions"][0]
    assert main_one["probability_best"] == {} and main_one["none"] == {}
    assert main_one["rank_correlation"]["rho"] is None
    assert "| unknown |" in (tmp_path / "out" / "reading.md").read_text()


def _reference(directory: Path) -> Path:
    reference = write_reference(directory / "reference")
    (reference / "ppo_mujoco.csv").write_bytes((REFERENCE / "ppo_mujoco.csv").read_bytes())
    return reference


def _reading(runs: Path, reference: Path, out: Path, *more: str) -> dict[str, Any]:
    arguments = ["--runs", str(runs), "--reference", str(reference), "--out", str(out)]
    assert main(["reading", *arguments, *more]) == 0
    answers: dict[str, Any] = json.loads((out / "reading.json").read_text())
    return answers


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole")
    for task, (kind, value), seed in itertools.product(TASKS[:2], ROWS, range(3)):
        level = 100 * float(PAPER[row_name(kind, value)]) + 3 * seed
        write_run(directory, identity(task, kind, value, seed), [level] * 5)
    return directory


def test_every_number_of_the_text_has_a_file_and_every_convention_is_there(
    whole: Path, tmp_path: Path
) -> None:
    reference = _reference(tmp_path)
    answers = _reading(whole, reference, tmp_path / "out")
    keys = [(one["best"], one["random"]) for one in answers["conventions"]]
    assert keys[0] == ("run", "gaussian") and len(set(keys)) == 6
    for one in answers["conventions"]:
        convention = {name: one[name] for name in ("best", "random")}
        table = build(load_sweep(whole), Settings(reference=reference, **convention))
        assert list(one["scores"].values()) == pytest.approx(table.rows["score"].tolist())
    text = (tmp_path / "out" / "reading.md").read_text()
    row = next(line for line in answers["rows"] if line["row"] == "clip_0.2")
    cells = f"{row['score']:.2f} | [{row['ci_low']:.2f}, {row['ci_high']:.2f}] | 6 of 6 | 0.82 |"
    assert cells in " ".join(text.split())


def test_collected_tables_give_the_same_reading(whole: Path, tmp_path: Path) -> None:
    reference = _reference(tmp_path)
    assert main(["collect", "--runs", str(whole), "--out", str(tmp_path / "tables")]) == 0
    for name, runs in (("a", whole), ("b", tmp_path / "tables")):
        _reading(runs, reference, tmp_path / name)
    for file in ("reading.md", "reading.json", "ppo_by_task.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_pilot_is_shown_beside(whole: Path, tmp_path: Path) -> None:
    for clipped, seed, (kind, value) in itertools.product((False, True), range(2), ROWS[:3:2]):
        info = identity(TASKS[0], kind, value, seed, **{"recipe.clip_actions": clipped})
        changes = {"recipe.clip_actions": clipped}
        for name, shift in (("constant", 0.0), ("linear", 5.0)):
            if clipped and shift:
                continue
            both = changes | {"recipe.learning_rate_schedule": name}
            info = identity(TASKS[0], kind, value, seed, **both)
            returns = [10.0 + seed + shift + 20 * clipped] * 3
            write_run(tmp_path / "pilot", info, returns, config_changes=both)
    pilot = ["--pilot", str(tmp_path / "pilot")]
    answers = _reading(whole, _reference(tmp_path), tmp_path / "out", *pilot)
    clipped_lines = [one for one in answers["switches"] if one["variant"] == "actions clipped"]
    assert {one["quantity"] for one in clipped_lines} == {"none", "clip_0.2", "clip_0.2 - none"}
    # The best run of the pilot is 31, random is 0.
    none = next(one for one in clipped_lines if one["quantity"] == "none")
    assert none["difference"] == pytest.approx(20 / 31)
    assert "| actions clipped" in (tmp_path / "out" / "reading.md").read_text()


def test_others_numbers_agree_with_the_curves_they_come_from() -> None:
    others = ppo_elsewhere(REFERENCE)
    assert set(others["kind"]) == {"same", "other"} and others["return"].notna().all()
    paper = others[others["source"] == "Paper"].set_index("task")["return"]
    digitized = json.loads((REFERENCE / "paper_fig3_digitised.json").read_text())
    assert set(paper.index) == set(paper_figure3(REFERENCE))
    for task, value in paper.items():
        exact = digitized[f"{task}-v1"]["PPO(Clip)"]["last5"]
        assert value == pytest.approx(exact, abs=0.6 if abs(exact) > 100 else 0.06)
    baselines = others[others["source"] == "Baselines ppo2"].set_index("task")["return"]
    curves = json.loads((REFERENCE / "baselines_mujoco1M_curves.json").read_text())
    for task, value in baselines.items():
        end = np.mean([point[1] for point in curves[task]["ppo2"][-5:]])
        assert value == pytest.approx(end, rel=0.03)


def test_inside_means_that_interval_and_range_meet() -> None:
    table = pd.DataFrame(
        {
            "task": ["A", "A", "A", "A"],
            "kind": ["ours", "same", "same", "other"],
            "return": [10.0, 13.0, 15.0, 10.0],
            "ci_low": [8.0, np.nan, np.nan, np.nan],
            "ci_high": [12.0, np.nan, np.nan, np.nan],
        }
    )
    assert numbers.beside(table, "A")["inside"] is False
    table.loc[0, "ci_high"] = 13.0
    assert numbers.beside(table, "A")["inside"] is True
    assert (numbers.beside(table, "A")["lowest"], numbers.beside(table, "A")["highest"]) == (
        13.0,
        15.0,
    )


def test_the_main_convention_comes_first() -> None:
    runs = _runs(dict(PAPER * 100), 1.0, TASKS[:1])
    found = numbers.score(runs, Settings(replicates=100, best="mean", random="uniform"))
    assert next(iter(found.tables)) == ("mean", "uniform") and len(found.tables) == 6
