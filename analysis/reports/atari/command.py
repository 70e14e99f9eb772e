"""`atari`: section 6.4 of the paper: Table 6, Table 2, and learning curves of its Atari games."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.cli import (
    Command,
    Output,
    add_bootstrap_arguments,
    add_reference_argument,
    add_runs_arguments,
    integer_from,
)
from analysis.drawing import text as render
from analysis.errors import AnalysisError
from analysis.published.atari import (
    PAPER_ALGORITHMS,
    PAPER_WINS,
    figure6_ends,
    human_and_random,
    table6,
)
from analysis.reports import curves
from analysis.reports.algorithms import is_sb3
from analysis.reports.atari import figure
from analysis.reports.table1.text import holes, provenance
from analysis.runs.load import Run, hole_in, hole_of, read_episodes
from analysis.runs.selection import (
    Absent,
    check_equal,
    check_one_per_seed,
    lookup,
    selected_sweep,
    under,
)
from analysis.runs.until import add_until_argument, cut, schedules
from analysis.statistics.bootstrap import UNKNOWN, FloatArray, Interval, stream
from analysis.statistics.games import (
    TIE,
    by_game,
    human_normalized,
    iqm,
    iqm_interval,
    mean_interval,
    order_agreement,
    rank_correlation,
    wins,
)
from analysis.statistics.scoring import run_return

NAMES = {"a2c": "A2C", "ppo": "PPO"}  # ours -> the paper's, in Table 6's order
OTHERS = {"sb3_a2c": "A2C of SB3", "sb3_ppo": "PPO of SB3", "a2c_tr": "A2C + trust region"}
METRICS = {"overall": "all of training", "final": "last 100 episodes"}
PAIR = ("PPO", "A2C")
SB3 = " of SB3"  # what the names of Stable-Baselines3's end in


def runs_table(runs: Sequence[Run], episodes: int) -> pd.DataFrame:
    """One line a run.

    Returns:
        Columns `run_id, game, algorithm, seed, hole, final, overall`: the mean score of the last
        `episodes` games and of all games; NaN in a `hole`, whose reason it is.
    """
    return pd.DataFrame([_line(run, episodes) for run in runs])


def _line(run: Run, episodes: int) -> dict[str, Any]:
    hole, final, overall = hole_of(run), float("nan"), float("nan")
    if not hole:
        _, scores = read_episodes(run)
        hole = hole_in(scores)
        if not hole:
            final, overall = run_return(scores, episodes), float(scores.mean())
    algorithm = str(run.info["algorithm"])
    return {
        "run_id": run.run_id,
        "game": run.task,
        "algorithm": (NAMES | OTHERS).get(algorithm, algorithm),
        "seed": int(run.info["seed"]),
        "hole": hole,
        "final": final,
        "overall": overall,
    }


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
    check_equal(runs, lambda run: run.info["algorithm"], lambda key: not under(key, own))
    of_recipe = ("recipe", "env.atari.stack_padding")
    check_equal(runs, _is_sb3, lambda key: key in of_recipe)
    lengths = ("total_timesteps", "schedule_timesteps")
    check_equal(runs, lambda run: None, lambda key: key in lengths)
    shared = ("env.atari", "policy")
    check_equal(runs, lambda run: None, lambda key: under(key, shared) and key not in of_recipe)
    check_one_per_seed(runs, lambda run: (run.task, run.info["algorithm"]))


def _is_sb3(run: Run) -> bool:
    return is_sb3(str(run.info["algorithm"]))


def table6_of(
    table: pd.DataFrame, paper: Mapping[str, Mapping[str, float]], replicates: int, seed: int
) -> pd.DataFrame:
    """One line a game and algorithm: `game, algorithm, mean, ci_low, ci_high, n_runs, n_expected`.

    The paper's scores stand beside them as `paper_A2C`, `paper_ACER`, `paper_PPO`.
    """
    lines = []
    for (game, algorithm), runs in table.groupby(["game", "algorithm"], sort=True):
        scores = runs["final"].dropna().to_numpy(np.float64)
        low, high = mean_interval(scores, replicates, stream(seed, str(game), str(algorithm)))
        told = paper.get(str(game), {})
        lines.append(
            {
                "game": game,
                "algorithm": algorithm,
                "mean": float(scores.mean()) if len(scores) else float("nan"),
                "ci_low": low,
                "ci_high": high,
                "n_runs": len(scores),
                "n_expected": len(runs),
            }
            | {f"paper_{name}": told.get(name, float("nan")) for name in PAPER_ALGORITHMS}
        )
    return pd.DataFrame(lines)


def _run(options: argparse.Namespace) -> Output:
    sweep = cut(selected_sweep(options), options.until)
    check(sweep.runs)
    paper, ends = table6(options.reference), figure6_ends(options.reference)
    table = runs_table(sweep.runs, options.episodes)
    scores = table6_of(table, paper, options.replicates, options.seed)
    lines, _ = curves.build(
        sweep.runs, curves.label_of("algorithm"), options.points, options.episodes
    )
    drawn = pd.concat(
        [curves.line_table(line, options.replicates, options.seed) for line in lines],
        ignore_index=True,
    )
    names = {label: (NAMES | OTHERS).get(label, label) for label in sorted(set(drawn["label"]))}
    parts = [
        "# Atari",
        _table6_text(scores),
        render.bullets("Games won (Table 2)", _wins_text(table, paper)),
        render.bullets("Beside the paper", _agreement_text(table, paper)),
        render.bullets("Human-normalized", _human_text(table, paper, options)),
        render.bullets("Notes", [*_notes(sweep.runs, options), *sweep.notes]),
        render.bullets("Missing runs", holes(table)),
    ]
    text = "\n\n".join(part.strip("\n") for part in parts if part)
    files = {
        "atari.md": (text + "\n").encode(),
        "atari.csv": render.csv(scores),
        "atari_curves.csv": render.csv(drawn),
        "atari.png": figure.figure(drawn, names, papers_of(names), ends, options.episodes),
    }
    return Output(files, text)


def papers_of(names: Mapping[str, str]) -> dict[str, str]:
    """Label -> the paper's of its kind; for SB3's only where ours, which it stands by, is not."""
    papers = {label: name.removesuffix(SB3) for label, name in names.items()}
    return {k: v for k, v in papers.items() if v == names[k] or v not in names.values()}


def _table6_text(scores: pd.DataFrame) -> str:
    """In the form of Table 6: ours by algorithm, then the paper's three."""
    algorithms = sorted(set(scores["algorithm"]))
    rows = []
    for game, cells in scores.groupby("game", sort=True):
        row = [str(game)]
        for algorithm in algorithms:
            found = cells[cells["algorithm"] == algorithm].to_dict("records")
            row += _cell(found[0]) if found else ["", ""]
        first = cells.iloc[0]
        row += [render.amount(float(first[f"paper_{name}"])) for name in PAPER_ALGORITHMS]
        rows.append(row)
    header = ["Game"]
    for algorithm in algorithms:
        header += [algorithm, "runs"]
    header += [f"paper: {name}" for name in PAPER_ALGORITHMS]
    return render.markdown_table(header, rows, "l" + "r" * (len(header) - 1))


def _cell(line: Mapping[Any, Any]) -> list[str]:
    text = render.amount(line["mean"])
    if not np.isnan(line["ci_low"]):
        text += f" [{render.amount(line['ci_low'])}, {render.amount(line['ci_high'])}]"
    return [text, render.of(line["n_runs"], line["n_expected"])]


def _wins_text(table: pd.DataFrame, paper: Mapping[str, Mapping[str, float]]) -> list[str]:
    lines = []
    for who, lineup in _lineups(table).items():
        for column, metric in METRICS.items():
            ours = wins(by_game(table, column), lineup)
            lines.append(f"{who}, {metric}: {_counts(ours)}, of {sum(ours.values())} games.")
    for metric, printed in PAPER_WINS.items():
        lines.append(f"The paper's Table 2, {metric}: {_counts(printed)}.")
    recount = wins(paper, PAPER_ALGORITHMS)
    lines.append(
        f"Recount of the paper's Table 6 as printed (last 100 episodes): {_counts(recount)}. "
        "Table 2 has one more for ACER and one tie fewer: Pong, 20.7 for both ACER and PPO in "
        "Table 6, was won by ACER before rounding."
    )
    return lines


def _lineups(table: pd.DataFrame) -> dict[str, list[str]]:
    """Who is compared: ours, SB3's among themselves, and each of the paper's two in both."""
    names = sorted(set(table["algorithm"]))
    lineups = {
        "These runs": [name for name in names if not name.endswith(SB3)],
        "SB3's runs": [name for name in names if name.endswith(SB3)],
    }
    for name in PAIR:
        if {name, name + SB3} <= set(names):
            lineups[f"{name} and SB3's"] = [name, name + SB3]
    return {who: lineup for who, lineup in lineups.items() if len(lineup) > 1}


def _counts(won: Mapping[str, int]) -> str:
    return ", ".join(f"{'ties' if name == TIE else name} {count}" for name, count in won.items())


def _agreement_text(table: pd.DataFrame, paper: Mapping[str, Mapping[str, float]]) -> list[str]:
    theirs = table["algorithm"].str.endswith(SB3)
    lines = [] if theirs.all() else _agreement(table[~theirs], paper, "")
    if theirs.any():
        alone = table[theirs]
        named = alone.assign(algorithm=alone["algorithm"].str.removesuffix(SB3))
        lines += _agreement(named, paper, SB3)
    return lines


def _agreement(
    table: pd.DataFrame, paper: Mapping[str, Mapping[str, float]], suffix: str
) -> list[str]:
    """Algorithms of the table have the paper's names; `suffix` says whose they are."""
    ours, lines = by_game(table, "final"), []
    agreed = order_agreement(ours, paper, PAIR)
    if agreed.games:
        lines.append(
            f"{PAIR[0]}{suffix} against {PAIR[1]}{suffix}: in the paper's order in {agreed.same} "
            f"of {agreed.games} games (ties and games without both do not count)."
        )
    for name in PAIR:
        games = [game for game, found in ours.items() if name in found and game in paper]
        if len(games) < 2:  # no order of one
            continue
        rho = rank_correlation([ours[g][name] for g in games], [paper[g][name] for g in games])
        lines.append(
            f"{name}{suffix}: Spearman's rank correlation with Table 6 over {len(games)} games: "
            f"{render.score(rho)}."
        )
    return lines


def _human_text(
    table: pd.DataFrame, paper: Mapping[str, Mapping[str, float]], options: argparse.Namespace
) -> list[str]:
    scale = human_and_random(options.reference)
    lines, games = [], [game for game in sorted(set(table["game"])) if game in scale.index]
    for algorithm in sorted(set(table["algorithm"])):
        runs = table[(table["algorithm"] == algorithm) & table["game"].isin(games)]
        strata = _normalized(runs.dropna(subset="final"), scale)
        if not strata:
            continue
        values = np.concatenate(list(strata.values()))
        rng = stream(options.seed, "iqm", algorithm)
        interval = iqm_interval(list(strata.values()), options.replicates, rng)
        text = f"{algorithm}: IQM {render.score(iqm(values))}{_between(interval)}"
        name = algorithm.removesuffix(SB3)
        told = [
            float(_scaled(np.array([paper[game][name]]), scale, game)[0])
            for game in strata
            if name in paper.get(game, {})
        ]
        if told:
            text += f"; the paper's means of the same games: {render.score(iqm(np.array(told)))}"
        lines.append(f"{text}; {len(values)} runs of {len(strata)} games.")
    lines.append(
        "0 is a random policy and 1 a human tester (dqn_zoo's atari_data.py at 359945d, see "
        "results/reference/README.md); IQM is the mean of the middle half of all runs."
    )
    return lines


def _normalized(runs: pd.DataFrame, scale: pd.DataFrame) -> dict[str, FloatArray]:
    return {
        str(game): _scaled(own["final"].to_numpy(np.float64), scale, str(game))
        for game, own in runs.groupby("game", sort=True)
    }


def _scaled(scores: FloatArray, scale: pd.DataFrame, game: str) -> FloatArray:
    random, human = (float(x) for x in scale.loc[game, ["random", "human"]].to_numpy())
    return human_normalized(scores, random, human)


def _between(interval: Interval) -> str:
    return "" if interval == UNKNOWN or np.isnan(interval.low) else f" {render.interval(*interval)}"


def _notes(runs: tuple[Run, ...], options: argparse.Namespace) -> list[str]:
    info = runs[0].info
    skipped = lookup(runs[0], "env.atari.frame_skip")
    frames = (4 if isinstance(skipped, Absent) else int(skipped)) * int(info["total_timesteps"])
    return [
        f"Score of a run: mean unclipped score of its last {options.episodes} whole games; mean "
        f"over seeds with a 95 % bootstrap interval ({options.replicates} replicates, seed "
        f"{options.seed}), none for a single run. The paper gives no spread.",
        f"{_recipes(runs)}, {int(info['total_timesteps']):,} steps, {frames:,} frames of the game; "
        "the paper's runs have 40,000,000 frames.",
        *schedules(runs),
        *provenance(runs),
    ]


def _recipes(runs: Sequence[Run]) -> str:
    found = {_is_sb3(run): str(run.info["recipe"]) for run in runs}
    whose = {False: "Recipe", True: "SB3's recipe"}
    return ", ".join(f"{whose[theirs]} {recipe}" for theirs, recipe in sorted(found.items()))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runs_arguments(parser)
    add_bootstrap_arguments(parser)
    add_reference_argument(parser)
    add_until_argument(parser)
    parser.add_argument("--points", type=integer_from(2), default=100, help="steps on the grid")


COMMAND = Command("atari", "section 6.4: Table 6, games won, curves", _add_arguments, _run)
