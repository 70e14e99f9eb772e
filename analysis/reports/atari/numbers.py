"""Section 6.4 in numbers: Table 6, games won, and human-normalized scores, beside the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.errors import AnalysisError
from analysis.published.atari import PAPER_ALGORITHMS, human_and_random, table6
from analysis.runs.comparison import is_sb3
from analysis.runs.load import frame
from analysis.runs.run import Run, Sweep
from analysis.runs.selection import check_equal, check_one_per_seed, under
from analysis.settings import DEFAULTS, Settings
from analysis.statistics.aggregate import interquartile
from analysis.statistics.bootstrap import stream, summary
from analysis.statistics.cells import cells, strata

TIE = "tie"
SB3 = " of SB3"  # what the names of Stable-Baselines3's end in
_OURS = {"a2c": "A2C", "acer": "ACER", "ppo": "PPO"}  # -> the paper's
_OTHERS = {"sb3_a2c": "A2C of SB3", "sb3_ppo": "PPO of SB3", "a2c_tr": "A2C + trust region"}
_PUBLISHED = [f"paper_{name}" for name in PAPER_ALGORITHMS]
COLUMNS = ("game", "algorithm", "mean", "ci_low", "ci_high", "n_runs", "n_expected", *_PUBLISHED)
HUMAN = ("algorithm", "iqm", "ci_low", "ci_high", "paper", "n_runs", "n_games")


@dataclass(frozen=True)
class Atari:
    """All numbers of the games."""

    scores: pd.DataFrame  # `COLUMNS`, one line a game and algorithm: mean of the last episodes
    # `HUMAN`, one line an algorithm: interquartile mean of the human-normalized scores, and that of
    # the paper's mean scores of the same games.
    human: pd.DataFrame
    runs: pd.DataFrame  # `load.frame` of the runs expected: `task` is the game, `row` the algorithm
    paper: pd.DataFrame  # Table 6


def build(sweep: Sweep, settings: Settings = DEFAULTS) -> Atari:
    """Every table of section 6.4.

    Raises:
        AnalysisError: for runs that are not of a game or cannot share a table.
    """
    check(sweep.runs)
    runs = frame(sweep.runs, settings.episodes, lambda run: name_of(run.algorithm))
    paper = table6(settings.reference)
    return Atari(_scores(runs, paper, settings), _human(runs, paper, settings), runs, paper)


def name_of(algorithm: str) -> str:
    """How an algorithm is named in tables."""
    return (_OURS | _OTHERS).get(algorithm, algorithm)


def check(runs: Sequence[Run]) -> None:
    """Refuse runs that differ in more than game, algorithm and seed.

    All share the budget, the network and what makes a game; ours share the recipe and how stacks
    begin, and so do Stable-Baselines3's.
    """
    for run in runs:
        if run.info["env_name"] != "atari":
            raise AnalysisError(
                f"{run.run_id} is no run of an Atari game: leave it out with --where "
                "env_name=atari, or see the other commands for its task."
            )
    own = ("env_id", "env.id", "env.game")
    check_equal(runs, lambda run: run.algorithm, lambda key: not under(key, own))
    of_recipe = ("recipe", "env.atari.stack_padding")
    check_equal(runs, lambda run: is_sb3(run.algorithm), lambda key: key in of_recipe)
    shared = ("total_timesteps", "schedule_timesteps", "env.atari", "policy")
    check_equal(runs, lambda run: None, lambda key: under(key, shared) and key not in of_recipe)
    check_one_per_seed(runs, lambda run: (run.task, run.algorithm))


def _scores(runs: pd.DataFrame, paper: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    table = cells(runs, ["task", "row"], settings)
    table = table.rename(columns={"task": "game", "row": "algorithm", "return": "mean"})
    return table.join(paper.add_prefix("paper_"), on="game")[list(COLUMNS)]


def _human(runs: pd.DataFrame, paper: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    scale = human_and_random(settings.reference)
    scored = runs.assign(score=human_normalized(runs["return"], runs["task"], scale))
    lines = []
    for algorithm in sorted(set(runs["row"])):
        games = strata(scored, algorithm, "score")
        if not games:
            continue
        printed = paper.reindex(list(games)).get(
            algorithm.removesuffix(SB3), pd.Series(dtype=float)
        )
        theirs = human_normalized(printed, printed.index.to_series(), scale).dropna()
        rng = stream(settings.seed, "iqm", algorithm)
        iqm = summary(interquartile(list(games.values()), settings.replicates, rng))
        whole = float(interquartile([theirs.to_numpy()], 0, rng)[0])
        lines.append((algorithm, *iqm, whole, sum(map(len, games.values())), len(games)))
    return pd.DataFrame(lines, columns=list(HUMAN))


def wins(scores: pd.DataFrame, algorithms: Sequence[str]) -> dict[str, int]:
    """Table 2: in how many games each algorithm has the highest score; equal ones tie.

    Games that lack one of the `algorithms` are left out. Ties are counted under `TIE`.
    """
    table = scores.reindex(columns=list(algorithms)).dropna()
    best = table.eq(table.max(axis=1), axis=0)
    alone = best[best.sum(axis=1) == 1]
    return {name: int(alone[name].sum()) for name in algorithms} | {TIE: len(best) - len(alone)}


def order_agreement(
    ours: pd.DataFrame, paper: pd.DataFrame, pair: tuple[str, str]
) -> tuple[int, int]:
    """In how many games `pair` is in the paper's order, and of how many; ties do not count."""
    own, theirs = (scores.reindex(columns=list(pair)) for scores in (ours, paper))
    orders = own.diff(axis=1)[pair[1]] * theirs.diff(axis=1)[pair[1]]  # above 0 where they agree
    return int((orders > 0).sum()), int((orders.dropna() != 0).sum())


def human_normalized(scores: pd.Series, games: pd.Series, scale: pd.DataFrame) -> pd.Series:
    """0 for a random policy, 1 for the human tester; NaN in games that `scale` lacks."""
    random, human = games.map(scale["random"]), games.map(scale["human"])
    return (scores - random) / (human - random)
