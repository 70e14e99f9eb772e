"""Cells of language models: runs that differ in the seed alone, and what they are compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.settings import Settings
from analysis.statistics.bootstrap import UNKNOWN, means, stream, summary

MEASURES = ("gold", "proxy", "kl")
# PPO with clipping and its penalty in the reward; other ways to train; other reward models.
GROUPS = ("penalty", "method", "pairs")
RIVAL = 16  # responses of which the proxy's best is compared with policies


@dataclass(frozen=True)
class Run:
    """A finished run of one policy.

    Attributes:
        cell: its name without the seed.
        info: its `run.json`.
        table: name -> its table.
        curve: means of gold, proxy and KL over `WINDOWS` parts of the run.
        group: what the report compares it with: one of `GROUPS`.
    """

    cell: str
    info: Mapping[str, Any]
    table: Callable[[str], pd.DataFrame]
    curve: pd.DataFrame
    group: str = GROUPS[0]


def cell_of(info: Mapping[str, Any], pairs: int) -> str:
    """A run's name without its seed: algorithm, objective, penalty, and what is not usual.

    Args:
        info: its `run.json`.
        pairs: of a reward model that are not named.
    """
    unusual = "" if info["recipe"] == "plain" else f", {info['recipe']}"
    unusual += "" if info["pairs"] == pairs else f", {info['pairs']} pairs"
    if info["stage"] == "sft":
        return f"SFT on the best of {info['best_of']}, {info['steps']:,} responses{unusual}"
    penalty = f"beta {info['beta']:g}"
    if info["controller"] == "adaptive":
        target = info["label"].rpartition("target")[2].partition("_")[0]
        penalty = f"adaptive, target {target}"
    # Runs from before the two keys were recorded had the penalty in the reward, by k1.
    place, estimator = info.get("kl_place", "reward"), info.get("kl_estimator", "k1")
    penalty += " in the loss" if place == "loss" else ""
    penalty += f" by {estimator}" if (place, estimator) == ("reward", "k3") else ""
    return f"{info['algorithm']} {info['objective']}, {penalty}{unusual}"


def usual_pairs(infos: Sequence[Mapping[str, Any]]) -> int:
    """On which most reward models are trained, the larger number of two."""
    counts = Counter(info["pairs"] for info in infos)
    return max(counts, key=lambda pairs: (counts[pairs], pairs), default=0)


def group_of(info: Mapping[str, Any], pairs: int) -> str:
    """Of `GROUPS`, by a run's `run.json`."""
    if info["pairs"] != pairs:
        return "pairs"
    kind = (info["algorithm"], info["objective"], info.get("kl_place", "reward"))
    return "penalty" if kind == ("ppo", "clip", "reward") else "method"


def by_cell(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs by cell, in the order of tables."""
    cells: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (_order(run), run.cell, run.info["seed"])):
        cells.setdefault(run.cell, []).append(run)
    return cells


def _order(run: Run) -> tuple[int, bool, bool, float, int]:
    info = run.info
    fixed, ppo = info["controller"] == "fixed", info["algorithm"] == "ppo"
    return GROUPS.index(run.group), not ppo, not fixed, info["beta"] or 0.0, info["pairs"]


def tolerance_of(cells: Iterable[Sequence[Run]]) -> float:
    """How far gold may fall without a turn: what another seed would change.

    That is the standard deviation over seeds of the gold at the end, its median over cells. The
    median, since runs that collapse end far apart. 0 where no cell has two seeds.
    """
    ends = [[_end(run, "gold") for run in members] for members in cells if len(members) > 1]
    return float(np.median([np.std(each, ddof=1) for each in ends])) if ends else 0.0


def turned(run: Run, tolerance: float) -> bool:
    """Whether gold ends below its own maximum by more, while the proxy has risen since."""
    peak = int(run.curve["gold"].argmax())
    fall = run.curve["gold"][peak] - _end(run, "gold")
    return bool(fall > tolerance and _end(run, "proxy") > run.curve["proxy"][peak])


def _end(run: Run, name: str) -> float:
    """Mean of a run's last two windows."""
    return float(run.curve[name].tail(2).mean())


def compared(runs: Sequence[Run], group: str) -> list[str]:
    """The cells of a group; before them PPO with clipping and a fixed penalty of the same betas."""
    members = [run for run in runs if run.group == group]
    betas = {run.info["beta"] for run in members}
    shown = {run.cell for run in members} | {
        run.cell
        for run in runs
        if run.group == GROUPS[0]
        and run.info["controller"] == "fixed"
        and run.info["beta"] in betas
    }
    return [cell for cell in by_cell(runs) if cell in shown]


def table(
    runs: Sequence[Run],
    expected: Mapping[str, int],
    rivals: Mapping[tuple[int, int], float],
    tolerance: float,
    settings: Settings,
) -> pd.DataFrame:
    """One line a cell: its end, its best, the turn, and the difference from the first compared.

    Args:
        runs: of all cells.
        expected: how many runs a cell should have.
        rivals: (pairs, seed) -> gold of best of `RIVAL` by that reward model.
        tolerance: of a turn.
        settings: of intervals.
    """
    lines = []
    for cell, members in by_cell(runs).items():
        line: dict[str, Any] = {"cell": cell, "group": members[0].group, "n_runs": len(members)}
        line["n_expected"] = max(expected.get(cell, 0), len(members))
        for name in MEASURES:
            line |= _interval(cell, name, [_end(run, name) for run in members], settings)
        peaks = [int(run.curve["gold"].argmax()) for run in members]
        best = [float(run.curve["gold"].max()) for run in members]
        line |= _interval(cell, "best_gold", best, settings)
        at = [float(run.curve["kl"][peak]) for run, peak in zip(members, peaks, strict=True)]
        line["best_kl"] = float(np.mean(at))
        line |= _difference(cell, members, runs, settings)
        line["turned"] = sum(turned(run, tolerance) for run in members)
        gaps = [
            _end(run, "gold") - rivals[run.info["pairs"], run.info["seed"]]
            for run in members
            if (run.info["pairs"], run.info["seed"]) in rivals
        ]
        line["above_best_of"] = sum(gap > 0 for gap in gaps)
        line["n_best_of"] = len(gaps)
        lines.append(line)
    return pd.DataFrame(lines)


def _difference(
    cell: str, members: Sequence[Run], runs: Sequence[Run], settings: Settings
) -> dict[str, float]:
    """Gold at the end less that of the first cell that `cell` is compared with, seed by seed.

    With another reward model: less that of the same policy with the usual one.
    """
    first, *others = compared(runs, members[0].group)
    if members[0].group == "pairs":
        first = cell.replace(f", {members[0].info['pairs']} pairs", "")
    known = {run.info["seed"]: _end(run, "gold") for run in runs if run.cell == first}
    seeds = {run.info["seed"] for run in members}
    if members[0].group == GROUPS[0] or cell not in others or not seeds <= set(known):
        return UNKNOWN.named("difference", "difference_")
    values = [_end(run, "gold") - known[run.info["seed"]] for run in members]
    return _interval(cell, "difference", values, settings)


def _interval(
    cell: str, name: str, values: Sequence[float], settings: Settings
) -> dict[str, float]:
    rng = stream(settings.seed, "rlhf", cell, name)
    return summary(means(np.array(values), settings.replicates, rng)).named(name, f"{name}_")
