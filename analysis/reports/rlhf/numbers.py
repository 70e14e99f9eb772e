"""Runs of language models in numbers: cells with intervals, curves, fits, best of n, samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.errors import AnalysisError
from analysis.reports.rlhf.cells import (
    MEASURES,
    RIVAL,
    Run,
    by_cell,
    cell_of,
    group_of,
    table,
    tolerance_of,
    usual_pairs,
)
from analysis.runs.load import read_rows, runs_in
from analysis.runs.run import Run as Stored
from analysis.settings import Settings
from analysis.statistics.bootstrap import FloatArray
from repro.runs import store

REWARD_MEASURES = ("held_out_accuracy", "ceiling", "gold_correlation")
WINDOWS = 20  # of a run, over which its iterations are averaged
BON = "best of n"
POLICIES = ("ppo", "sft")  # stages


@dataclass(frozen=True)
class Numbers:
    """What the report shows.

    Attributes:
        stored: all runs, of any stage.
        runs: finished runs of policies.
        cells: one line a cell: its end, its best, and the turn.
        pairs: on which reward models are trained where a cell's name says nothing else.
        tolerance: a fall of gold that is no turn, `tolerance_of`.
        curves: mean over seeds by cell and window.
        best_of_n: one line an n.
        fits: one line a cell: alpha, beta and R^2 of the gold reward's growth.
        positions: KL per token position at the end, by cell.
        reward_models: one line a reward model.
    """

    stored: list[Stored]
    runs: list[Run]
    cells: pd.DataFrame
    pairs: int
    tolerance: float
    curves: pd.DataFrame
    best_of_n: pd.DataFrame
    fits: pd.DataFrame
    positions: pd.DataFrame
    reward_models: pd.DataFrame


def build(directories: Sequence[Path], settings: Settings) -> Numbers:
    """All tables.

    Raises:
        AnalysisError: no finished run of a policy, or a damaged file.
    """
    stored = _read(directories)
    done = [each for each in stored if each.status == store.DONE]
    policies = [each for each in done if each.info.get("stage") in POLICIES]
    pairs = usual_pairs([each.info for each in policies])
    runs = [_run(each, pairs) for each in policies]
    if not runs:
        listed = ", ".join(map(str, directories))
        raise AnalysisError(
            f"{listed} holds no finished policy of a language model: train some with python -m "
            "repro.language -m +experiment=rlhf."
        )
    kind = ("best_of_n", pairs)
    chosen = [each for each in done if (each.info.get("stage"), each.info["pairs"]) == kind]
    best = _best_of_n(chosen)
    tolerance = tolerance_of(by_cell(runs).values())
    return Numbers(
        stored=stored,
        runs=runs,
        cells=table(runs, _expected(stored, pairs), _rivals(done), tolerance, settings),
        pairs=pairs,
        tolerance=tolerance,
        curves=_curves(runs),
        best_of_n=best,
        fits=_fits(runs, best),
        positions=_positions(runs),
        reward_models=_reward_models([each for each in done if each.info.get("stage") == "reward"]),
    )


def _read(directories: Sequence[Path]) -> list[Stored]:
    """Of a run that is in several directories, such as a base model, the first that is done."""
    found: dict[str, Stored] = {}
    for run in (run for place in directories for run in runs_in(place, ("run_id",))):
        known = found.get(run.run_id, run)
        newer = known.directory is None or known.status != store.DONE == run.status
        listed = run.listed or known.listed
        found[run.run_id] = replace(run if newer else known, listed=listed)
    return list(found.values())


def measured(progress: pd.DataFrame) -> pd.DataFrame:
    """The iterations whose responses were measured, and what the report reads of them."""
    return progress.dropna(subset=["gold"])[["iteration", *MEASURES]]


def _run(stored: Stored, pairs: int) -> Run:
    progress = measured(read_rows(stored, "progress"))
    count = len(progress)
    part = np.arange(count) * min(WINDOWS, count) // count
    curve = progress.groupby(part).mean().reset_index(drop=True)
    cell, group = cell_of(stored.info, pairs), group_of(stored.info, pairs)
    return Run(cell, stored.info, partial(read_rows, stored), curve, group)


def _expected(stored: Sequence[Stored], pairs: int) -> dict[str, int]:
    listed = [each.info for each in stored if each.listed]
    cells = [cell_of(info, pairs) for info in listed if info.get("stage") in POLICIES]
    return {cell: cells.count(cell) for cell in cells}


def _curves(runs: Sequence[Run]) -> pd.DataFrame:
    frames = []
    for cell, members in by_cell(runs).items():
        joined = pd.concat([run.curve for run in members]).groupby(level=0).mean()
        frames.append(joined.assign(cell=cell))
    return pd.concat(frames, ignore_index=True)


def _best_of_n(done: Sequence[Stored]) -> pd.DataFrame:
    if not done:
        return pd.DataFrame(columns=["n", "kl", "gold", "proxy", "runs"])
    tables = [read_rows(each, "best_of_n") for each in done]
    joined = pd.concat([table.groupby("n")[list(MEASURES)].mean() for table in tables])
    return joined.groupby(level=0).mean().reset_index().assign(runs=len(tables))


def _rivals(done: Sequence[Stored]) -> dict[tuple[int, int], float]:
    """(pairs, seed) of a reward model -> gold of best of `RIVAL` by it."""
    found = {}
    for each in (each for each in done if each.info.get("stage") == "best_of_n"):
        rows = read_rows(each, "best_of_n")
        gold = float(rows.loc[rows["n"] == RIVAL, "gold"].mean())
        if not math.isnan(gold):
            found[int(each.info["pairs"]), int(each.info["seed"])] = gold
    return found


def _fits(runs: Sequence[Run], best: pd.DataFrame) -> pd.DataFrame:
    """Gao et al. (2022), equations 1: d (alpha - beta log d) of RL, d (alpha - beta d) of BoN."""
    lines = []
    base = best.loc[best["n"] == 1, "gold"]
    for cell, members in by_cell(runs).items():
        points = pd.concat([run.curve for run in members])
        first = [measured(run.table("progress"))["gold"].iloc[0] for run in members]
        start = float(np.mean(base if len(base) else first))
        lines.append({"cell": cell} | _fit(points, start, logarithm=True))
    if len(best):
        lines.append({"cell": BON} | _fit(best, float(base.iloc[0]), logarithm=False))
    return pd.DataFrame(lines)


def _fit(points: pd.DataFrame, start: float, logarithm: bool) -> dict[str, float]:
    kept = points[points["kl"] > 1e-3]
    d = np.sqrt(kept["kl"].to_numpy())
    gain: FloatArray = kept["gold"].to_numpy() - start
    terms = np.stack([d, -d * (np.log(d) if logarithm else d)], axis=1)
    if len(d) < 3:
        return {"alpha": math.nan, "beta": math.nan, "r2": math.nan}
    (alpha, beta), *_ = np.linalg.lstsq(terms, gain, rcond=None)
    residual = gain - terms @ np.array([alpha, beta])
    r2 = 1 - residual.var() / gain.var()
    return {"alpha": float(alpha), "beta": float(beta), "r2": float(r2)}


def _positions(runs: Sequence[Run]) -> pd.DataFrame:
    frames = []
    for run in runs:
        last = last_positions(run)[["position", "kl", "entropy", "tokens"]]
        frames.append(last.assign(cell=run.cell))
    joined = pd.concat(frames)
    frame: pd.DataFrame = joined.groupby(["cell", "position"], as_index=False).mean()
    return frame


def last_positions(run: Run) -> pd.DataFrame:
    """The rows of `positions` of a run's last iteration."""
    table = run.table("positions")
    last: pd.DataFrame = table[table["iteration"] == table["iteration"].max()]
    return last


def _reward_models(done: Sequence[Stored]) -> pd.DataFrame:
    lines = []
    for each in sorted(done, key=lambda each: (each.info["pairs"], each.info["seed"])):
        last = read_rows(each, "progress").iloc[-1]
        line = {"pairs": each.info["pairs"], "seed": each.info["seed"]}
        lines.append(line | {name: float(last[name]) for name in REWARD_MEASURES})
    return pd.DataFrame(lines, columns=["pairs", "seed", *REWARD_MEASURES])


def moments(run: Run) -> dict[str, int]:
    """Title -> iteration with kept responses: the first, the nearest to the best, the last."""
    kept = sorted(int(each) for each in run.table("samples")["iteration"].unique())
    best = run.curve["iteration"].iloc[int(run.curve["gold"].argmax())]
    nearest = min(kept, key=lambda moment: abs(moment - best))
    return {"before": kept[0], "at the best": nearest, "at the end": kept[-1]}


def samples(run: Run, count: int) -> list[tuple[str, list[tuple[str, float, float, float]]]]:
    """Prompts of a run with a response each before, at the best, and at the end.

    Returns:
        (title, [(text, gold, proxy, KL)]) for each of the three moments; prompts differ.
    """
    table, words, found = run.table("samples"), run.info["vocabulary"], []
    space = " " if run.info.get("spaced", True) else ""
    for title, moment in moments(run).items():
        rows = table[(table["iteration"] == moment) & (table["episode"] < count)]
        lines = []
        for _, episode in rows.groupby("episode"):
            prompt = episode[episode["position"] < 0]["token"]
            response = episode[episode["position"] >= 0]["token"]
            text = " / ".join(space.join(words[t] for t in part) for part in (prompt, response))
            first = episode.iloc[0]
            lines.append(
                (text, float(first["gold"]), float(first["proxy"]), float(episode["kl"].sum()))
            )
        found.append((f"{title} (iteration {moment})", lines))
    return found
