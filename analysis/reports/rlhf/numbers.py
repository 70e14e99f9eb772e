"""Runs of language models in numbers: cells with intervals, curves, fits, best of n, samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import AnalysisError
from analysis.reports.rlhf import source
from analysis.reports.rlhf.source import Stored
from analysis.settings import Settings
from analysis.statistics.bootstrap import FloatArray, means, stream, summary

MEASURES = ("gold", "proxy", "kl")
REWARD_MEASURES = ("held_out_accuracy", "ceiling", "gold_correlation")
WINDOWS = 20  # of a run, over which its iterations are averaged
BON = "best of n"
POLICIES = ("ppo", "sft")  # stages


@dataclass(frozen=True)
class Run:
    """A finished run of one policy.

    Attributes:
        cell: its name without the seed.
        info: its `run.json`.
        table: name -> its table.
        curve: means of gold, proxy and KL over `WINDOWS` parts of the run.
    """

    cell: str
    info: dict[str, Any]
    table: Callable[[str], pd.DataFrame]
    curve: pd.DataFrame


@dataclass(frozen=True)
class Numbers:
    """What the report shows.

    Attributes:
        stored: all runs, of any stage.
        runs: finished runs of policies.
        cells: one line a cell: its end, its best, and the turn.
        curves: mean over seeds by cell and window.
        best_of_n: one line an n.
        fits: one line a cell: alpha, beta and R^2 of the gold reward's growth.
        positions: KL per token position at the end, by cell.
        reward_models: one line a reward model.
    """

    stored: list[Stored]
    runs: list[Run]
    cells: pd.DataFrame
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
    try:
        stored = source.read(directories)
        done = [each for each in stored if each.done]
        runs = [_run(each) for each in done if each.info.get("stage") in POLICIES]
        if not runs:
            listed = ", ".join(map(str, directories))
            raise AnalysisError(
                f"{listed} holds no finished policy of a language model: train some with python -m "
                "repro.language -m +experiment=rlhf."
            )
        best = _best_of_n([each for each in done if each.info.get("stage") == "best_of_n"])
        return Numbers(
            stored=stored,
            runs=runs,
            cells=_cells(runs, _expected(stored), settings),
            curves=_curves(runs),
            best_of_n=best,
            fits=_fits(runs, best),
            positions=_positions(runs),
            reward_models=_reward_models(
                [each for each in done if each.info.get("stage") == "reward"]
            ),
        )
    except ValueError as error:
        raise AnalysisError(str(error)) from error


def cell_of(info: dict[str, Any]) -> str:
    """A run's name without its seed: algorithm, objective and penalty."""
    if info["stage"] == "sft":
        return "SFT on the best of n"
    penalty = f"beta {info['beta']:g}"
    if info["controller"] == "adaptive":
        penalty = f"adaptive, {info['label'].rpartition('kl')[2].replace('target', 'target ')}"
    recipe = "" if info["recipe"] == "plain" else f", {info['recipe']}"
    return f"{info['algorithm']} {info['objective']}, {penalty}{recipe}"


def measured(progress: pd.DataFrame) -> pd.DataFrame:
    """The iterations whose responses were measured, and what the report reads of them."""
    return progress.dropna(subset=["gold"])[["iteration", *MEASURES]]


def _run(stored: Stored) -> Run:
    progress = measured(stored.table("progress"))
    count = len(progress)
    part = np.arange(count) * min(WINDOWS, count) // count
    curve = progress.groupby(part).mean().reset_index(drop=True)
    return Run(cell_of(stored.info), stored.info, stored.table, curve)


def _expected(stored: Sequence[Stored]) -> dict[str, int]:
    listed = [each.info for each in stored if each.listed]
    cells = [cell_of(info) for info in listed if info.get("stage") in POLICIES]
    return {cell: cells.count(cell) for cell in cells}


def _cells(runs: Sequence[Run], expected: dict[str, int], settings: Settings) -> pd.DataFrame:
    lines = []
    for cell, members in _by_cell(runs).items():
        line: dict[str, Any] = {"cell": cell, "n_runs": len(members)}
        line["n_expected"] = max(expected.get(cell, 0), len(members))
        for name in MEASURES:
            line |= _interval(cell, name, [_end(run, name) for run in members], settings)
        peaks = [int(run.curve["gold"].argmax()) for run in members]
        best = [float(run.curve["gold"].max()) for run in members]
        line |= _interval(cell, "best_gold", best, settings)
        at = [float(run.curve["kl"][peak]) for run, peak in zip(members, peaks, strict=True)]
        line["best_kl"] = float(np.mean(at))
        line["turned"] = sum(turned(run) for run in members)
        lines.append(line)
    return pd.DataFrame(lines)


def turned(run: Run) -> bool:
    """Whether gold ends below its own maximum while the proxy has risen since."""
    curve, peak = run.curve, int(run.curve["gold"].argmax())
    last = len(curve) - 1
    falls = curve["gold"][last] < curve["gold"][peak]
    return bool(peak < last and falls and curve["proxy"][last] > curve["proxy"][peak])


def _end(run: Run, name: str) -> float:
    """Mean of a run's last two windows."""
    return float(run.curve[name].tail(2).mean())


def _interval(
    cell: str, name: str, values: Sequence[float], settings: Settings
) -> dict[str, float]:
    rng = stream(settings.seed, "rlhf", cell, name)
    found = summary(means(np.array(values), settings.replicates, rng))
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _by_cell(runs: Sequence[Run]) -> dict[str, list[Run]]:
    cells: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (_order(run), run.cell, run.info["seed"])):
        cells.setdefault(run.cell, []).append(run)
    return cells


def _order(run: Run) -> tuple[bool, bool, float]:
    plain = run.info["algorithm"] == "ppo" and run.info["objective"] == "clip"
    return not plain, run.info["controller"] != "fixed", run.info["beta"] or 0.0


def _curves(runs: Sequence[Run]) -> pd.DataFrame:
    frames = []
    for cell, members in _by_cell(runs).items():
        joined = pd.concat([run.curve for run in members]).groupby(level=0).mean()
        frames.append(joined.assign(cell=cell))
    return pd.concat(frames, ignore_index=True)


def _best_of_n(done: Sequence[Stored]) -> pd.DataFrame:
    if not done:
        return pd.DataFrame(columns=["n", "kl", "gold", "proxy", "runs"])
    tables = [each.table("best_of_n") for each in done]
    joined = pd.concat([table.groupby("n")[list(MEASURES)].mean() for table in tables])
    return joined.groupby(level=0).mean().reset_index().assign(runs=len(tables))


def _fits(runs: Sequence[Run], best: pd.DataFrame) -> pd.DataFrame:
    """Gao et al. (2022), equations 1: d (alpha - beta log d) of RL, d (alpha - beta d) of BoN."""
    lines = []
    base = best.loc[best["n"] == 1, "gold"]
    for cell, members in _by_cell(runs).items():
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
        last = each.table("progress").iloc[-1]
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
    for title, moment in moments(run).items():
        rows = table[(table["iteration"] == moment) & (table["episode"] < count)]
        lines = []
        for _, episode in rows.groupby("episode"):
            prompt = episode[episode["position"] < 0]["token"]
            response = episode[episode["position"] >= 0]["token"]
            text = " ".join(words[t] for t in prompt) + " / " + " ".join(words[t] for t in response)
            first = episode.iloc[0]
            lines.append(
                (text, float(first["gold"]), float(first["proxy"]), float(episode["kl"].sum()))
            )
        found.append((f"{title} (iteration {moment})", lines))
    return found
