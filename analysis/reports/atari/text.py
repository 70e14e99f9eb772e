"""Section 6.4 as Markdown: Table 6, games won, agreement with the paper, and a human's scale."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.drawing import notes, tables
from analysis.drawing.text import amount, estimate, runs_of, score
from analysis.published.atari import PAPER_ALGORITHMS, PAPER_WINS, game_name
from analysis.reports.atari.numbers import SB3, TIE, Atari, order_agreement, wins
from analysis.runs.comparison import is_sb3
from analysis.runs.run import Sweep
from analysis.runs.selection import Absent, lookup
from analysis.runs.until import schedules
from analysis.settings import Settings
from analysis.statistics.ranks import agreement

METRICS = {"mean": "all of training", "return": "last 100 episodes"}  # by column of `load.frame`
WITH_SB3 = ("PPO", "A2C")  # algorithms that Stable-Baselines3 has, too
PAIRS = (("PPO", "A2C"), ("PPO", "ACER"), ("ACER", "A2C"))


def markdown(found: Atari, sweep: Sweep, settings: Settings) -> str:
    """The whole report."""
    body = (
        f"{_table6(found.scores)}\n"
        + tables.bullets("Games won (Table 2)", _wins(found))
        + tables.bullets("Beside the paper", _agreement(found))
        + tables.bullets("Human-normalized", _human(found.human))
    )
    known = [*_notes(sweep, settings), *sweep.notes]
    return tables.report("Atari", body.rstrip("\n"), known, notes.holes(found.runs))


def _table6(scores: pd.DataFrame) -> str:
    """In the form of Table 6: ours by algorithm, then the paper's three."""
    algorithms = sorted(set(scores["algorithm"]))
    rows = []
    for game, group in scores.groupby("game", sort=True):
        cells = {line["algorithm"]: line for line in group.to_dict("records")}
        row = [game_name(str(game))]
        for name in algorithms:
            line = cells.get(name)
            row += ["", ""] if line is None else [estimate(line, "mean"), runs_of(line)]
        rows.append(row + [amount(group[f"paper_{name}"].iloc[0]) for name in PAPER_ALGORITHMS])
    ours = [title for name in algorithms for title in (name, "runs")]
    header = ("Game", *ours, *(f"paper: {name}" for name in PAPER_ALGORITHMS))
    return tables.markdown(header, rows, "lr")


def _wins(found: Atari) -> list[str]:
    lines = []
    for who, lineup in _lineups(found.runs).items():
        for column, metric in METRICS.items():
            ours = wins(found.runs.pivot_table(column, "task", "row"), lineup)
            lines.append(f"{who}, {metric}: {_counts(ours)}, of {sum(ours.values())} games.")
    for metric, printed in PAPER_WINS.items():
        lines.append(f"The paper's Table 2, {metric}: {_counts(printed)}.")
    recount = wins(found.paper, PAPER_ALGORITHMS)
    return [
        *lines,
        f"Recount of the paper's Table 6 as printed (last 100 episodes): {_counts(recount)}. "
        "Table 2 has one more for ACER and one tie fewer: Pong, 20.7 for both ACER and PPO in "
        "Table 6, was won by ACER before rounding.",
    ]


def _lineups(runs: pd.DataFrame) -> dict[str, list[str]]:
    """Who is compared: ours, SB3's among themselves, and each that both have."""
    names = sorted(set(runs["row"]))
    lineups = {
        "These runs": [name for name in names if not name.endswith(SB3)],
        "SB3's runs": [name for name in names if name.endswith(SB3)],
    }
    for name in WITH_SB3:
        lineups[f"{name} and SB3's"] = [one for one in names if one in (name, name + SB3)]
    return {who: lineup for who, lineup in lineups.items() if len(lineup) > 1}


def _counts(won: Mapping[str, int]) -> str:
    return ", ".join(f"{'ties' if name == TIE else name} {count}" for name, count in won.items())


def _agreement(found: Atari) -> list[str]:
    """Of ours with the paper's order, then of Stable-Baselines3's."""
    theirs, lines = found.runs["row"].str.endswith(SB3), []
    for runs, suffix in ((found.runs[~theirs], ""), (found.runs[theirs], SB3)):
        named = runs.assign(row=runs["row"].str.removesuffix(SB3))
        ours = named.pivot_table("return", "task", "row")
        for pair in PAIRS:
            first, second = (name + suffix for name in pair)
            same, games = order_agreement(ours, found.paper, pair)
            if games:
                lines.append(
                    f"{first} against {second}: in the paper's order in {same} "
                    f"of {games} games (ties and games without both do not count)."
                )
        for name in (name for name in ("PPO", "A2C", "ACER") if name in ours):
            both = ours[[name]].join(found.paper[name].rename("paper")).dropna().to_numpy()
            if len(both) > 1:  # no order of one
                lines.append(
                    f"{name}{suffix}: Spearman's rank correlation with Table 6 over {len(both)} "
                    f"games: {score(agreement(*both.T).spearman)}."
                )
    return lines


def _human(human: pd.DataFrame) -> list[str]:
    lines = []
    for line in human.to_dict("records"):
        theirs = f"; the paper's means of the same games: {score(line['paper'])}"
        shown = estimate(line, "iqm", score) + ("" if pd.isna(line["paper"]) else theirs)
        runs = f"{line['n_runs']} runs of {line['n_games']} games"
        lines.append(f"{line['algorithm']}: IQM {shown}; {runs}.")
    return [
        *lines,
        "0 is a random policy and 1 a human tester (dqn_zoo's atari_data.py at 359945d, see "
        "results/reference/README.md); IQM is the mean of the middle half of all runs.",
    ]


def _notes(sweep: Sweep, settings: Settings) -> list[str]:
    skipped = lookup(sweep.runs[0], "env.atari.frame_skip")
    found = {is_sb3(run.algorithm): str(run.info["recipe"]) for run in sweep.runs}
    whose = ("Recipe", "SB3's recipe")
    recipes = [f"{whose[theirs]} {recipe}" for theirs, recipe in sorted(found.items())]
    frames = (4 if isinstance(skipped, Absent) else int(skipped)) * sweep.runs[0].steps
    return [
        f"Score of a run: mean unclipped score of its last {settings.episodes} whole games; mean "
        f"over seeds with a 95 % interval ({notes.law(settings)}), none for a "
        "single run. The paper gives no spread.",
        f"{', '.join(recipes)}, {notes.steps(sweep)} steps, {frames:,} frames of the game; "
        "the paper's runs have 40,000,000 frames.",
        *schedules(sweep.runs),
        *notes.provenance(sweep.runs),
    ]
