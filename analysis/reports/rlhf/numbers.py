"""Runs of language models in numbers: cells with intervals, curves, fits, best of n, samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import AnalysisError
from analysis.settings import Settings
from analysis.statistics.bootstrap import FloatArray, means, stream, summary
from repro.runs import store

MEASURES = ("gold", "proxy", "kl")
WINDOWS = 20  # of a run, over which its iterations are averaged
BON = "best of n"


@dataclass(frozen=True)
class Run:
    """A finished run of one policy.

    Attributes:
        cell: its name without the seed.
        info: its `run.json`.
        curve: means of gold, proxy and KL over `WINDOWS` parts of the run.
    """

    cell: str
    info: dict[str, Any]
    directory: Path
    curve: pd.DataFrame


@dataclass(frozen=True)
class Numbers:
    """What the report shows.

    Attributes:
        runs: finished runs of policies.
        cells: one line a cell: its end, its best, and the turn.
        curves: mean over seeds by cell and window.
        best_of_n: one line an n.
        fits: one line a cell: alpha, beta and R^2 of the gold reward's growth.
        positions: KL per token position at the end, by cell.
        reward_models: one line a reward model.
    """

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
        found = [
            (path, store.read_run(path))
            for place in directories
            for path in store.run_directories(place)
        ]
        done = [(path, info) for path, info in found if info.get("status") == store.DONE]
        runs = [_run(*each) for each in done if each[1].get("stage") in ("ppo", "sft")]
        if not runs:
            listed = ", ".join(map(str, directories))
            raise AnalysisError(
                f"{listed} holds no finished policy of a language model: train some with python -m "
                "repro.language -m +experiment=rlhf."
            )
        expected = _expected(directories)
        best = _best_of_n([path for path, info in done if info.get("stage") == "best_of_n"])
        return Numbers(
            runs=runs,
            cells=_cells(runs, expected, settings),
            curves=_curves(runs),
            best_of_n=best,
            fits=_fits(runs, best),
            positions=_positions(runs),
            reward_models=_reward_models(
                [each for each in done if each[1].get("stage") == "reward"]
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
    return f"{info['algorithm']} {info['objective_label']}, {penalty}{recipe}"


def _run(path: Path, info: dict[str, Any]) -> Run:
    progress = store.read_table(path / "progress.parquet").dropna(subset=["gold"])
    count = len(progress)
    part = np.arange(count) * min(WINDOWS, count) // count
    curve = progress[[*MEASURES, "iteration"]].groupby(part).mean().reset_index(drop=True)
    return Run(cell_of(info), info, path, curve)


def _expected(directories: Sequence[Path]) -> dict[str, int]:
    runs = [run for place in directories for run in store.read_sweep(place)]
    cells = [cell_of(run) for run in runs if run.get("stage") in ("ppo", "sft")]
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
    plain = run.info["algorithm"] == "ppo" and run.info["objective_label"] == "clip"
    return not plain, run.info["controller"] != "fixed", run.info["beta"] or 0.0


def _curves(runs: Sequence[Run]) -> pd.DataFrame:
    frames = []
    for cell, members in _by_cell(runs).items():
        joined = pd.concat([run.curve for run in members]).groupby(level=0).mean()
        frames.append(joined.assign(cell=cell))
    return pd.concat(frames, ignore_index=True)


def _best_of_n(directories: Sequence[Path]) -> pd.DataFrame:
    if not directories:
        return pd.DataFrame(columns=["n", "kl", "gold", "proxy", "runs"])
    tables = [store.read_table(path / "best_of_n.parquet") for path in directories]
    joined = pd.concat([table.groupby("n")[list(MEASURES)].mean() for table in tables])
    return joined.groupby(level=0).mean().reset_index().assign(runs=len(tables))


def _fits(runs: Sequence[Run], best: pd.DataFrame) -> pd.DataFrame:
    """Gao et al. (2022), equations 1: d (alpha - beta log d) of RL, d (alpha - beta d) of BoN."""
    lines = []
    for cell, members in _by_cell(runs).items():
        points = pd.concat([run.curve for run in members])
        start = float(np.mean([run.curve["gold"].iloc[0] for run in members]))
        lines.append({"cell": cell} | _fit(points, start, logarithm=True))
    if len(best):
        start = float(best.loc[best["n"] == 1, "gold"].iloc[0])
        lines.append({"cell": BON} | _fit(best, start, logarithm=False))
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
        table = store.read_table(run.directory / "positions.parquet")
        last = table[table["iteration"] == table["iteration"].max()]
        frames.append(last[["position", "kl", "entropy", "tokens"]].assign(cell=run.cell))
    joined = pd.concat(frames)
    frame: pd.DataFrame = joined.groupby(["cell", "position"], as_index=False).mean()
    return frame


def _reward_models(done: Sequence[tuple[Path, dict[str, Any]]]) -> pd.DataFrame:
    names = ["held_out_accuracy", "ceiling", "gold_correlation"]
    lines = []
    for path, info in done:
        last = store.read_table(path / "progress.parquet").iloc[-1]
        line = {"pairs": info["pairs"], "seed": info["seed"]}
        lines.append(line | {name: float(last[name]) for name in names})
    return pd.DataFrame(lines, columns=["pairs", "seed", *names])


def samples(run: Run, count: int) -> list[tuple[str, list[tuple[str, float, float, float]]]]:
    """Prompts of a run with a response each before, at the best, and at the end.

    Returns:
        (title, [(text, gold, proxy, KL)]) for each of the three moments; prompts differ.
    """
    table = store.read_table(run.directory / "samples.parquet")
    moments = sorted(table["iteration"].unique())
    best = run.curve["iteration"].iloc[int(run.curve["gold"].argmax())]
    nearest = min(moments, key=lambda moment: abs(moment - best))
    words = run.info["vocabulary"]
    chosen = {"before": moments[0], "at the best": nearest, "at the end": moments[-1]}
    found = []
    for title, moment in chosen.items():
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
