"""What `results/language/README.md` and `docs/language.md` say, from the committed tables."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.reports.rlhf import numbers
from analysis.reports.rlhf.numbers import Numbers
from analysis.settings import Settings
from repro.config.schema import CONF_DIR

ROOT = CONF_DIR.parent
FOLDER = ROOT / "results" / "language"
README = (FOLDER / "README.md").read_text()
PAGE = (ROOT / "docs" / "language.md").read_text()
BASE = "ppo clip, beta 0.05"


@pytest.fixture(scope="module")
def found() -> Numbers:
    return numbers.build([FOLDER], Settings())


def cell(found: Numbers, name: str) -> dict[str, Any]:
    (line,) = found.cells[found.cells["cell"] == name].to_dict("records")
    return {str(key): value for key, value in line.items()}


def rows(text: str, header: str) -> list[list[str]]:
    """The cells of the Markdown table whose first line begins with `header`."""
    lines = text[text.index(header) :].split("\n\n")[0].split("\n")[2:]
    return [[part.strip() for part in line.strip("|").split("|")] for line in lines]


def test_each_cell_is_complete(found: Numbers) -> None:
    assert (found.cells["n_runs"] == found.cells["n_expected"]).all()
    few = found.cells["group"] == "pairs"
    assert (found.cells.loc[~few, "n_runs"] == 5).all() and (found.cells["n_runs"] >= 3).all()


@pytest.mark.parametrize("path", ["README", "page"])
def test_tables_of_policies_are_those_of_the_report(found: Numbers, path: str) -> None:
    text = {"README": README, "page": PAGE}[path]
    table = rows(text, "| policy | gold | proxy | KL | best gold | turned | more gold |")
    assert len(table) >= 6
    for name, *values in table:
        line = cell(found, name)
        expected = [f"{line[key]:.2f}" for key in ("gold", "proxy", "kl", "best_gold")]
        between = [line[key] for key in ("difference", "difference_low", "difference_high")]
        expected.append(f"{line['turned']} of {line['n_runs']}")
        expected.append("" if name == BASE else "{:.2f} [{:.2f}, {:.2f}]".format(*between))
        assert values == expected, name


@pytest.mark.parametrize("path", ["README", "page"])
def test_with_ten_thousand_pairs_a_penalty_beats_best_of_16_on_every_seed(
    found: Numbers, path: str
) -> None:
    text = {"README": README, "page": PAGE}[path]
    table = rows(text, "| policy | gold | proxy | KL | best gold | turned | above best of 16 |")
    assert len(table) == 4
    for name, *values in table:
        line = cell(found, name)
        expected = [f"{line[key]:.2f}" for key in ("gold", "proxy", "kl", "best_gold")]
        expected += [f"{line['turned']} of {line['n_runs']}", f"{line['above_best_of']} of 5"]
        assert values == expected, name
    free, held = (cell(found, f"ppo clip, beta {beta}, 10000 pairs") for beta in (0, 0.05))
    assert free["turned"] == 5 and held["above_best_of"] == held["n_best_of"] == 5


def test_the_tolerance_is_the_stated_one(found: Numbers) -> None:
    assert f"{found.tolerance:.2f}" in README


def test_without_clipping_gold_ends_lower_and_the_kl_higher(found: Numbers) -> None:
    none, clip = cell(found, "ppo none, beta 0.05"), cell(found, BASE)
    assert none["difference_high"] < 0 and none["kl_low"] > clip["kl_high"]
    penalty = cell(found, "ppo kl_fixed, beta 0.05")
    assert penalty["difference_low"] < 0 < penalty["difference_high"]


def test_one_pass_over_the_data_finds_more_gold_and_turns(found: Numbers) -> None:
    clip = cell(found, BASE)
    for name in ("reinforce none, beta 0.05", "rloo none, beta 0.05"):
        line = cell(found, name)
        assert line["best_gold_low"] > clip["best_gold_high"] and line["turned"] >= 3
        assert line["difference_low"] < 0 < line["difference_high"]
    grpo = cell(found, "grpo clip, beta 0.05 in the loss")
    assert grpo["best_gold_low"] > clip["best_gold_high"]
    assert grpo["best_gold"] == found.cells["best_gold"].max()


def test_the_same_beta_is_a_weaker_penalty_in_the_loss(found: Numbers) -> None:
    for algorithm in ("ppo", "grpo"):
        line = cell(found, f"{algorithm} clip, beta 0.05 in the loss")
        assert line["kl_low"] > cell(found, BASE)["kl_high"]
        assert line["difference_high"] < 0 and line["turned"] == line["n_runs"]


def test_sft_is_near_best_of_16(found: Numbers) -> None:
    line = cell(found, "SFT on the best of 16, 12,800 responses")
    (best,) = found.best_of_n[found.best_of_n["n"] == 16].to_dict("records")
    assert line["gold_low"] < best["gold"] < line["gold_high"] and line["kl_high"] < best["kl"]
    assert line["turned"] == 0
    assert f"{line['gold']:.2f} at a KL of {line['kl']:.2f}" in README
    assert f"({best['gold']:.2f} at {best['kl']:.2f})" in README


def test_turns_of_the_penalty_are_those_of_the_text(found: Numbers) -> None:
    turned = {"0": 5, "0.02": 2, "0.05": 0, "0.1": 1, "0.2": 0}
    assert {beta: cell(found, f"ppo clip, beta {beta}")["turned"] for beta in turned} == turned


def test_sizes_of_the_reward_models_data_are_those_of_the_report(found: Numbers) -> None:
    models = found.reward_models.groupby("pairs")[["held_out_accuracy", "gold_correlation"]].mean()
    table = rows(README, "| pairs | held-out accuracy |")
    assert [int(row[0]) for row in table] == models.index.tolist()
    for pairs, *values in table:
        usual = int(pairs) == found.pairs
        line = cell(found, BASE if usual else f"{BASE}, {pairs} pairs")
        expected = [f"{x:.2f}" for x in models.loc[int(pairs)]]
        expected += [f"{line[key]:.2f}" for key in ("gold", "proxy", "kl")]
        between = [line[key] for key in ("difference", "difference_low", "difference_high")]
        expected.append(f"{line['turned']} of {line['n_runs']}")
        expected.append("" if usual else "{:.2f} [{:.2f}, {:.2f}]".format(*between))
        assert values == expected, pairs
    few = cell(found, f"{BASE}, 200 pairs")
    assert few["difference_high"] < 0 and few["kl_high"] < cell(found, BASE)["kl_low"]
    many = cell(found, f"{BASE}, 10000 pairs")
    assert many["difference_low"] > 0
    assert many["gold_low"] > found.best_of_n["gold"].max()
