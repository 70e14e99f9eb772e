"""What `results/language/README.md` and `docs/language.md` say, from the committed tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.reports.rlhf import cells, numbers
from analysis.reports.rlhf.numbers import Numbers
from analysis.settings import Settings
from repro.config.schema import CONF_DIR
from repro.runs import store

ROOT = CONF_DIR.parent
FOLDER = ROOT / "results" / "language"
README = (FOLDER / "README.md").read_text()
PROSE = README.replace("\n", " ")
PAGE = (ROOT / "docs" / "language.md").read_text()
STORY = (ROOT / "docs" / "story" / "language-models.md").read_text()
TEXTS = {"README": README, "page": PAGE}
BASE = "ppo clip, beta 0.05"
PENALTIES = [f"ppo clip, beta {beta}" for beta in (0.02, 0.05, 0.1, 0.2)]
ADAPTIVE = "ppo clip, adaptive, target 6"
MANY = ", 10000 pairs"


@pytest.fixture(scope="module")
def found() -> Numbers:
    return numbers.build([FOLDER], Settings())


def cell(found: Numbers, name: str) -> dict[str, Any]:
    (line,) = found.cells[found.cells["cell"] == name].to_dict("records")
    return {str(key): value for key, value in line.items()}


def rows(text: str, header: str) -> list[list[str]]:
    """The cells of the Markdown tables whose first lines begin with `header`."""
    lines = [
        line for part in text.split(header)[1:] for line in part.split("\n\n")[0].split("\n")[2:]
    ]
    assert lines, header
    return [[part.strip() for part in line.strip("|").split("|")] for line in lines]


def ends(found: Numbers, name: str, measure: str = "gold") -> list[float]:
    """Of each seed of a cell, in their order."""
    return [cells._end(run, measure) for run in cells.by_cell(found.runs)[name]]


def listed(values: list[float]) -> str:
    """As the README lists five seeds."""
    *first, last = (f"{value:.2f}" for value in values)
    return f"{', '.join(first)} and {last}"


def interval(line: dict[str, Any], name: str) -> str:
    return f"{line[name]:.2f} [{line[f'{name}_low']:.2f}, {line[f'{name}_high']:.2f}]"


def test_each_cell_is_complete_and_all_runs_are_of_one_revision(found: Numbers) -> None:
    assert (found.cells["n_runs"] == found.cells["n_expected"]).all()
    assert (found.cells["n_runs"] == 5).all()
    (revision,) = {each.info["git_revision"] for each in found.stored}
    assert f"All {len(found.stored)} runs are of one revision, {revision[:7]}." in README
    assert not any(each.info["git_dirty"] for each in found.stored)


@pytest.mark.parametrize("path", ["README", "page"])
def test_tables_of_policies_are_those_of_the_report(found: Numbers, path: str) -> None:
    table = rows(TEXTS[path], "| policy | gold | proxy | KL | best gold | turned | more gold |")
    assert len(table) == 8
    for name, *values in table:
        line = cell(found, name)
        expected = [f"{line[key]:.2f}" for key in ("gold", "proxy", "kl", "best_gold")]
        expected.append(f"{line['turned']} of {line['n_runs']}")
        expected.append("" if name == BASE else interval(line, "difference"))
        assert values == expected, name


@pytest.mark.parametrize("path", ["README", "page"])
def test_with_ten_thousand_pairs_a_penalty_beats_best_of_16_on_every_seed(
    found: Numbers, path: str
) -> None:
    head = "| policy | gold | proxy | KL | best gold | turned | above best of 16 |"
    table = rows(TEXTS[path], head)
    assert len(table) == {"README": 12, "page": 6}[path]
    for name, *values in table:
        line = cell(found, name)
        expected = [f"{line[key]:.2f}" for key in ("gold", "proxy", "kl", "best_gold")]
        expected += [f"{line['turned']} of {line['n_runs']}", f"{line['above_best_of']} of 5"]
        assert values == expected, name
    assert cell(found, "ppo clip, beta 0" + MANY)["turned"] == 5
    for name in (BASE, "ppo clip, beta 0.1", ADAPTIVE):
        held = cell(found, name + MANY)
        assert held["above_best_of"] == held["n_best_of"] == 5
    best = [value for (pairs, _), value in sorted(rivals(found).items()) if pairs == 10_000]
    assert f"{listed(ends(found, BASE + MANY))} against {listed(best)}" in PROSE
    assert all(np.mean(ends(found, name + MANY)) > np.mean(best) for name in (*PENALTIES, ADAPTIVE))


def rivals(found: Numbers) -> dict[tuple[int, int], float]:
    return numbers._rivals([each for each in found.stored if each.status == store.DONE])


def test_without_a_penalty_each_seed_collapses_from_the_stated_best(found: Numbers) -> None:
    table = rows(README, "| seed | best gold |")
    runs = cells.by_cell(found.runs)["ppo clip, beta 0"]
    for (seed, *values), run in zip(table, runs, strict=True):
        best = run.curve.iloc[int(run.curve["gold"].argmax())]
        assert int(seed) == run.info["seed"] and best.name == 1  # the second window
        expected = [f"{best['gold']:.2f}", f"{best['proxy']:.2f}", f"{best['kl']:.1f}"]
        expected += [f"{cells._end(run, name):.2f}" for name in ("gold", "proxy")]
        assert values == expected and 11.5 < best["kl"] < 19
    assert "at a KL of 12 to 19 nats" in README


def test_from_2000_pairs_penalties_are_even_with_best_of_16(found: Numbers) -> None:
    best = found.best_of_n.set_index("n")["gold"]
    lines = [cell(found, name) for name in (*PENALTIES, ADAPTIVE)]
    assert all(best[16] < line["gold"] < best[256] for line in lines)
    assert {line["above_best_of"] for line in lines} == {2, 3}
    assert max(line["gold_low"] for line in lines) < min(line["gold_high"] for line in lines)
    widest = max(lines, key=lambda line: float(line["gold_high"] - line["gold_low"]))
    assert widest["cell"] == "ppo clip, beta 0.02"
    assert f"[{widest['gold_low']:.2f}, {widest['gold_high']:.2f}], is the widest" in README
    own = [value for (pairs, _), value in sorted(rivals(found).items()) if pairs == found.pairs]
    text = f"{listed(ends(found, BASE))} against best-of-16's {listed(own)}"
    assert text in PROSE
    assert f"Best of 16 has a gold of {best[16]:.2f}, best of 256 {best[256]:.2f}." in README
    table = dict((name, values) for name, *values in rows(PAGE, "| policy | gold | proxy | KL |\n"))
    for n in (16, 256):
        chosen = found.best_of_n.set_index("n").loc[n, ["gold", "proxy", "kl"]]
        assert table[f"best of {n}"] == [f"{value:.2f}" for value in chosen]
    names = {f"PPO, β = {beta:g}": f"ppo clip, beta {beta:g}" for beta in (0, 0.02, 0.05, 0.1, 0.2)}
    for title, name in (names | {"PPO, adaptive β, target 6, horizon 1,000": ADAPTIVE}).items():
        line = cell(found, name)
        assert table[title] == [f"{line[key]:.2f}" for key in ("gold", "proxy", "kl")]


def test_the_adaptive_controller_holds_its_target(found: Numbers) -> None:
    usual, many = cell(found, ADAPTIVE), cell(found, ADAPTIVE + MANY)
    assert all(5 < value < 7 for name in ("", MANY) for value in ends(found, ADAPTIVE + name, "kl"))
    reached = ends(found, ADAPTIVE, "kl")
    assert f"{interval(usual, 'kl')}, between {min(reached):.2f} and {max(reached):.2f}" in PROSE
    assert f"it is {interval(many, 'kl')}." in PROSE
    assert f"Gold, {interval(usual, 'gold')} and {interval(many, 'gold')}, is near" in PROSE
    fixed = [cell(found, name + pairs)["kl"] for name in PENALTIES for pairs in ("", MANY)]
    assert f"between {min(fixed):.0f} and {max(fixed):.0f}. Gold" in PROSE


def test_fits_describe_no_penalty_and_best_of_n(found: Numbers) -> None:
    r2 = found.fits.set_index("cell")["r2"].round(2)
    assert r2["ppo clip, beta 0"] == 0.87 and r2["best of n"] == 1
    assert r2[[*PENALTIES, ADAPTIVE]].between(0.1, 0.3).all()
    assert (r2["ppo clip, beta 0" + MANY], r2["ppo clip, beta 0.02" + MANY]) == (0.85, 0.15)
    assert r2[[name + MANY for name in (*PENALTIES[1:], ADAPTIVE)]].between(0.6, 0.7).all()


def test_the_story_says_what_was_measured(found: Numbers) -> None:
    free, held = cell(found, "ppo clip, beta 0"), cell(found, BASE)
    assert f"drifts {free['kl']:.0f} nats" in STORY and free["turned"] == free["n_runs"] == 5
    text = STORY.replace("\n", " ")
    assert f"rises to {free['proxy']:.2f} while the true reward falls to {free['gold']:.2f}" in text
    assert f"ends at {held['gold']:.2f}, and the KL at {held['kl']:.1f}" in text
    weak, strong = cell(found, BASE + MANY), cell(found, "ppo clip, beta 0.2" + MANY)
    assert f"ends at {strong['gold']:.2f} with $\\beta = 0.2$ and at {weak['gold']:.2f}" in text
    assert strong["gold_high"] < weak["gold_low"]


def test_the_tolerance_is_the_stated_one(found: Numbers) -> None:
    assert f"{found.tolerance:.2f}" in README


def test_without_clipping_gold_ends_lower_and_the_kl_higher(found: Numbers) -> None:
    none = "ppo none, beta 0.05"
    for measure, sign in (("gold", -1), ("proxy", -1), ("kl", 1)):
        pairs = zip(ends(found, none, measure), ends(found, BASE, measure), strict=True)
        assert all(sign * (other - own) > 0 for other, own in pairs), measure
    line, held = cell(found, none), cell(found, BASE)
    assert line["difference_high"] < 0
    assert f"to a KL of {line['kl']:.0f} instead of {held['kl']:.0f}" in PROSE
    fall = [-line[f"difference{part}"] for part in ("", "_high", "_low")]
    assert "at the end is {:.2f} [{:.2f}, {:.2f}] lower. On each".format(*fall) in PROSE
    assert f"the proxy is {line['proxy']:.2f} instead of {held['proxy']:.2f}" in PROSE
    penalty = cell(found, "ppo kl_fixed, beta 0.05")
    assert penalty["difference_low"] < 0 < penalty["difference_high"]
    assert f"the difference is {interval(penalty, 'difference')}." in PROSE


def test_one_pass_over_the_data_finds_more_gold_and_turns(found: Numbers) -> None:
    clip = cell(found, BASE)
    for name in ("reinforce none, beta 0.05", "rloo none, beta 0.05"):
        line = cell(found, name)
        assert line["best_gold_low"] > clip["best_gold_high"] and line["turned"] >= 3
        assert line["difference_low"] < 0 < line["difference_high"]
    once = [cell(found, f"{name} none, beta 0.05") for name in ("reinforce", "rloo")]
    best = " and ".join(f"{line['best_gold']:.2f}" for line in once)
    assert f"pass a gold of {best}, at a KL like" in PROSE
    assert "on {} and {} of 5 seeds".format(*(line["turned"] for line in once)) in PROSE
    grpo = cell(found, "grpo clip, beta 0.05 in the loss")
    assert f"the highest gold of all, {grpo['best_gold']:.2f}." in PROSE
    assert grpo["best_gold_low"] > clip["best_gold_high"]
    assert grpo["best_gold"] == found.cells["best_gold"].max()


def test_the_same_beta_is_a_weaker_penalty_in_the_loss(found: Numbers) -> None:
    for algorithm in ("ppo", "grpo"):
        line = cell(found, f"{algorithm} clip, beta 0.05 in the loss")
        assert line["kl_low"] > cell(found, BASE)["kl_high"]
        assert line["difference_high"] < 0 and line["turned"] == line["n_runs"]
        words = ("a KL of ", "a gold of ") if algorithm == "ppo" else ("", "")
        assert f"at {words[0]}{line['kl']:.0f} and {words[1]}{line['gold']:.2f}" in PROSE


def test_sft_is_near_best_of_16(found: Numbers) -> None:
    line = cell(found, "SFT on the best of 16, 12,800 responses")
    (best,) = found.best_of_n[found.best_of_n["n"] == 16].to_dict("records")
    assert line["gold_low"] < best["gold"] < line["gold_high"] and line["kl_high"] < best["kl"]
    assert line["turned"] == 0
    assert f"{line['gold']:.2f} at a KL of {line['kl']:.2f}" in README
    assert f"({best['gold']:.2f} at {best['kl']:.2f})" in README
    assert f"PPO's on five seeds: {interval(line, 'difference')}." in PROSE


def test_turns_of_the_penalty_are_those_of_the_text(found: Numbers) -> None:
    turned = {"0": 5, "0.02": 1, "0.05": 0, "0.1": 0, "0.2": 0}
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
        expected.append(f"{line['turned']} of {line['n_runs']}")
        expected.append("" if usual else interval(line, "difference"))
        assert values == expected, pairs
    few = cell(found, f"{BASE}, 200 pairs")
    assert few["difference_high"] < 0 and few["kl_high"] < cell(found, BASE)["kl_low"]
    many = cell(found, f"{BASE}, 10000 pairs")
    assert many["difference_low"] > 0
    assert many["gold_low"] > found.best_of_n["gold"].max()
    clear = {name: cell(found, name + MANY) for name in (*PENALTIES[2:], ADAPTIVE)}
    assert all(line["difference_low"] > 0 for line in clear.values())
    unclear = [cell(found, f"ppo clip, beta {beta}" + MANY) for beta in (0.02, 0)]
    assert all(line["difference_low"] < 0 < line["difference_high"] for line in unclear)
    assert all(interval(line, "difference") in PROSE for line in (*clear.values(), *unclear))


def test_the_larger_tier_is_that_of_its_report() -> None:
    folder = FOLDER.parent / "language_documentation"
    found, text = numbers.build([folder], Settings()), (folder / "README.md").read_text()
    for name, *values in rows(text, "| policy | gold |"):
        line = cell(found, name)
        expected = [f"{line[key]:.2f}" for key in ("gold", "proxy", "kl", "best_gold")]
        assert values == [*expected, f"{line['above_best_of']} of 1"], name
    best = found.best_of_n.set_index("n")["gold"]
    said = f"a gold of {best[1]:.2f}, best of 16 {best[16]:.2f}, best of 256 {best[256]:.2f}."
    assert said in text
    (model,) = found.reward_models.to_dict("records")
    assert f"accuracy {model['held_out_accuracy']:.2f} on held-out pairs" in text
    assert f"correlation with gold {model['gold_correlation']:.2f} |" in text
