"""Tables of the Atari runs against the paper's own counts, hand-made games, and other oracles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.published.atari import figure6_ends, human_and_random, rom_name, table6
from analysis.reports.atari.figure import papers_of
from analysis.reports.atari.numbers import human_normalized, order_agreement, wins
from analysis.settings import DEFAULT_REFERENCE
from repro.runs import store
from tests.helpers.synthetic_runs import identity, write_run


def test_a_recount_of_the_papers_table_6() -> None:
    """Known from a count by hand; Table 2 itself differs by Pong, which rounding ties."""
    paper = table6(DEFAULT_REFERENCE)
    assert wins(paper, ("A2C", "ACER", "PPO")) == {"A2C": 1, "ACER": 27, "PPO": 19, "tie": 2}
    tied = [game for game, v in paper.iterrows() if sorted(v)[-1] == sorted(v)[-2]]
    assert sorted(tied) == ["pong", "venture"]


def test_the_references_are_of_the_same_49_games() -> None:
    paper, ends = table6(DEFAULT_REFERENCE), figure6_ends(DEFAULT_REFERENCE)
    scale = human_and_random(DEFAULT_REFERENCE)
    assert len(paper) == 49 and set(paper.index) == ends.keys() == set(scale.index)
    assert (scale["human"] > scale["random"]).all()
    assert rom_name("UpNDown") == "up_n_down" and rom_name("Jamesbond") == "jamesbond"
    # Figure 6's ends are Table 6's scores, but for smoothing: the paper's facts say within 2 % in
    # the median.
    off = [
        abs(np.mean(ends[game][name]) / paper.loc[game, name] - 1)
        for game in paper.index
        for name in paper
        if abs(paper.loc[game, name]) > 1
    ]
    assert np.median(off) < 0.03


def test_wins_leave_out_games_that_lack_somebody() -> None:
    nan = float("nan")
    scores = pd.DataFrame({"x": [1.0, 3.0, 0.0], "y": [2.0, nan, 0.0]}, index=list("abc"))
    assert wins(scores, ("x", "y")) == {"x": 0, "y": 1, "tie": 1}
    assert wins(scores[["y"]], ("x", "y")) == {"x": 0, "y": 0, "tie": 0}
    assert wins(pd.DataFrame({"x": [nan], "y": [2.0]}), ("x", "y")) == {"x": 0, "y": 0, "tie": 0}


def test_agreement_in_order_and_rank() -> None:
    paper = pd.DataFrame({"x": [1.0, 5.0, 1.0], "y": [2.0, 2.0, 1.0]}, index=list("abc"))
    ours = pd.DataFrame({"x": [0.0] * 4, "y": [9.0] * 4}, index=list("abcd"))
    assert order_agreement(ours, paper, ("x", "y")) == (1, 2)


def test_a_random_policy_scores_0_and_a_human_1() -> None:
    scale = pd.DataFrame({"random": [1.7, 5.0], "human": [30.5, 6.0]}, index=["a", "b"])
    scores, games = pd.Series([1.7, 30.5, 7.0, 1.0]), pd.Series(["a", "a", "b", "c"])
    np.testing.assert_allclose(human_normalized(scores, games, scale), [0, 1, 2, np.nan])


SCORES = {  # game -> algorithm -> last scores of its seeds
    "breakout": {"ppo": [300.0, 260.0, 280.0], "a2c": [310.0, 320.0, 330.0]},
    "qbert": {"ppo": [9000.0, 8000.0, 10000.0], "a2c": [5000.0, 5200.0, 4800.0]},
    "freeway": {"ppo": [32.0, 31.0, 33.0], "a2c": [0.0, 0.0, 0.0]},
}


def atari_run(runs_dir: Path, game: str, algorithm: str, seed: int, score: float) -> dict[str, Any]:
    """100 games that end at `score`, after as many of 0."""
    kind, value = ("clip", 0.1) if algorithm.endswith("ppo") else ("none", None)
    recipe, padding = ("sb3", "zero") if algorithm.startswith("sb3_") else ("paper", "reset")
    changes = {"algorithm": algorithm, "recipe": recipe, "total_timesteps": 1000, "num_envs": 8}
    atari = {"env.name": "atari", "env.atari": {"frame_skip": 4, "stack_padding": padding}}
    info = identity(game, kind, value, seed, **changes, **atari)
    name = f"{game}_{algorithm}_s{seed}_{info['config_hash'][:8]}"
    info |= {"run_id": name, "objective_label": algorithm}
    returns = [0.0] * 100 + [score] * 100
    write_run(runs_dir, info, returns, config_changes=atari)
    return info


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one run of nine games only its entry is there; tests only read them."""
    directory, infos = tmp_path_factory.mktemp("runs"), []
    for game, algorithms in SCORES.items():
        for algorithm, scores in algorithms.items():
            for seed, score in enumerate(scores):
                infos.append(atari_run(directory, game, algorithm, seed, score))
    (gone,) = directory.glob("freeway_a2c_s2_*")
    for path in gone.iterdir():
        path.unlink()
    gone.rmdir()
    store.write_sweep(directory, infos)
    return directory


@pytest.mark.usefixtures("painted")
def test_the_command_writes_table_6_and_2(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["atari", "--runs", str(runs), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    table = pd.read_csv(out / "atari.csv").set_index(["game", "algorithm"])
    for game, algorithms in SCORES.items():
        for algorithm, scores in algorithms.items():
            line = table.loc[(game, algorithm.upper())]
            assert line["mean"] == pytest.approx(np.mean(scores))
            assert line["n_expected"] == 3
            assert line["ci_low"] <= line["mean"] <= line["ci_high"]
    assert table.loc[("freeway", "A2C"), "n_runs"] == 2
    assert table.loc[("qbert", "PPO"), "paper_PPO"] == 14293.3
    assert "2 of 3" in text and re.search("freeway_a2c_s2_.{8}: never started", text)
    assert "These runs, last 100 episodes: A2C 1, PPO 2, ties 0, of 3 games." in text
    assert "These runs, all of training: A2C 1, PPO 2, ties 0, of 3 games." in text
    assert "A2C 1, ACER 27, PPO 19, ties 2" in text and "won by ACER before rounding" in text
    # Breakout, where A2C leads in the paper too, Qbert and Freeway, where PPO does.
    assert "in the paper's order in 3 of 3 games" in text
    assert (out / "atari.png").read_bytes().startswith(b"\x89PNG")
    again = tmp_path / "again"
    main(["atari", "--runs", str(runs), "--out", str(again)])
    for name in ("atari.md", "atari.csv", "atari_curves.csv", "atari.png"):
        assert (again / name).read_bytes() == (out / name).read_bytes(), name


def test_the_third_column(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ACER wins Breakout, loses Freeway to PPO, and has not played Qbert."""
    more = tmp_path / "more"
    infos = [
        atari_run(more, game, "acer", seed, score + seed)
        for game, score in (("breakout", 800.0), ("freeway", 1.0))
        for seed in range(2)
    ]
    store.write_sweep(more, infos)
    assert main(["atari", "--runs", str(runs), str(more), "--out", str(tmp_path / "out")]) == 0
    text = " ".join(capsys.readouterr().out.split())
    table = pd.read_csv(tmp_path / "out" / "atari.csv").set_index(["game", "algorithm"])
    assert table.loc[("breakout", "ACER"), "mean"] == 800.5
    assert table.loc[("breakout", "ACER"), "paper_ACER"] == 456.4
    assert "| Game | A2C | runs | ACER | runs | PPO | runs |" in text
    assert "These runs, last 100 episodes: A2C 0, ACER 1, PPO 1, ties 0, of 2 games." in text
    assert "These runs, all of training: A2C 0, ACER 1, PPO 1, ties 0, of 2 games." in text
    assert "PPO against ACER: in the paper's order in 2 of 2 games" in text
    assert "ACER: IQM" in text and "ACER: Spearman" in text


def test_one_algorithm_alone_is_compared_with_none(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["atari", "--runs", str(runs), "--out", str(tmp_path), "--where", "algorithm=ppo"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "PPO: Spearman's rank correlation with Table 6 over 3 games: 1.0" in text
    assert "A2C: Spearman" not in text and "PPO against A2C" not in text
    assert main([*command, "--where", "env_id=qbert"]) == 0
    assert "Spearman" not in capsys.readouterr().out


def test_sb3s_stand_beside_ours(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under a recipe of their own, which has stacks begin in another way."""
    theirs = tmp_path / "theirs"
    infos = [
        atari_run(theirs, game, f"sb3_{algorithm}", 0, scores[0] - 1)
        for game, algorithms in SCORES.items()
        for algorithm, scores in algorithms.items()
    ]
    store.write_sweep(theirs, infos)
    out = tmp_path / "out"
    assert main(["atari", "--runs", str(runs), str(theirs), "--out", str(out)]) == 0
    text = " ".join(capsys.readouterr().out.split())  # columns are padded
    table = pd.read_csv(out / "atari.csv").set_index(["game", "algorithm"])
    assert table.loc[("qbert", "PPO of SB3"), "mean"] == 8999
    assert "| Game | A2C | runs | A2C of SB3 | runs | PPO | runs | PPO of SB3 | runs |" in text
    assert "These runs, last 100 episodes: A2C 1, PPO 2, ties 0, of 3 games." in text
    assert "SB3's runs, last 100 episodes: A2C of SB3 1, PPO of SB3 2, ties 0, of 3 games." in text
    # Breakout, where its first seed is the best of ours, goes to theirs by 299 to 280.
    assert "PPO and SB3's, last 100 episodes: PPO 2, PPO of SB3 1, ties 0, of 3 games." in text
    assert "PPO of SB3 against A2C of SB3: in the paper's order in 3 of 3 games" in text
    assert "PPO of SB3: IQM" in text and "Recipe paper, SB3's recipe sb3, 1,000 steps" in text
    alone = tmp_path / "alone"
    assert main(["atari", "--runs", str(theirs), "--out", str(alone)]) == 0
    text = capsys.readouterr().out
    assert "These runs" not in text and "PPO against A2C" not in text


def test_sb3s_of_other_games_settings_are_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "theirs"
    changes = {"algorithm": "sb3_ppo", "recipe": "sb3", "total_timesteps": 1000}
    atari = {"env.name": "atari", "env.atari": {"frame_skip": 2, "stack_padding": "zero"}}
    info = identity("pong", "clip", 0.1, 0, **changes, **atari)
    write_run(theirs, info, [1.0], config_changes=atari)
    store.write_sweep(theirs, [info])
    assert main(["atari", "--runs", str(runs), str(theirs), "--out", str(tmp_path / "out")]) == 2
    assert "env.atari.frame_skip differs" in capsys.readouterr().err


def test_runs_that_cannot_share_a_table_are_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {"algorithm": "ppo", "recipe": "sb3", "total_timesteps": 1000}
    info = identity("pong", "clip", 0.1, 0, **changes, **{"env.name": "atari"})
    write_run(tmp_path / "more", info, [1.0], config_changes={"env.name": "atari"})
    both = [str(runs), str(tmp_path / "more")]
    assert main(["atari", "--runs", *both, "--out", str(tmp_path / "out")]) == 2
    assert "recipe differs" in capsys.readouterr().err


def test_runs_of_other_tasks_are_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = tmp_path / "more"
    write_run(more, identity("Hopper-v4", "clip", 0.1, 0, total_timesteps=1000), [1.0])
    assert main(["atari", "--runs", str(runs), str(more), "--out", str(tmp_path / "out")]) == 2
    assert "is no run of an Atari game" in capsys.readouterr().err


def test_one_algorithm_wins_nothing(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--runs", str(runs), "--where", "algorithm=ppo", "--out", str(tmp_path / "out")]
    assert main(["atari", *options]) == 0
    text = capsys.readouterr().out
    assert "These runs" not in text and "The paper's Table 2" in text
    assert "1,000 steps, 4,000 frames of the game" in text


def test_the_papers_ends_are_marked_once() -> None:
    both = {"ppo": "PPO", "sb3_ppo": "PPO of SB3", "sb3_a2c": "A2C of SB3"}
    assert papers_of(both) == {"ppo": "PPO", "sb3_a2c": "A2C"}
    assert papers_of({"sb3_ppo": "PPO of SB3"}) == {"sb3_ppo": "PPO"}


def test_games_after_a_step_can_be_left_out(runs: Path, tmp_path: Path) -> None:
    """At three quarters half of the last 100 games are those of 0."""
    for step, share in ((500, 0.0), (750, 0.5), (1000, 1.0)):
        out = tmp_path / str(step)
        options = ["--runs", str(runs), "--out", str(out), "--until", str(step)]
        assert main(["atari", *options]) == 0
        line = pd.read_csv(out / "atari.csv").set_index(["game", "algorithm"]).loc["qbert", "PPO"]
        assert line["mean"] == pytest.approx(9000 * share)
        assert f"{step:,} steps" in (out / "atari.md").read_text()


def test_a_damaged_reference_is_named(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = tmp_path / "reference"
    reference.mkdir()
    (reference / "paper_table6.json").write_text(json.dumps([1]))
    arguments = ["--reference", str(reference), "--out", str(tmp_path / "out")]
    assert main(["atari", "--runs", str(runs), *arguments]) == 2
    assert "paper_table6.json cannot be read" in capsys.readouterr().err
