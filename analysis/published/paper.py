"""The paper's numbers and the random policies', as committed in results/reference."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.errors import AnalysisError
from analysis.published.files import read, read_csv
from analysis.statistics.bootstrap import FloatArray
from repro.runs import store

# The tasks of the paper's section 6.1, without their versions.
PAPER_TASKS = (
    "HalfCheetah",
    "Hopper",
    "InvertedDoublePendulum",
    "InvertedPendulum",
    "Reacher",
    "Swimmer",
    "Walker2d",
)
PAPER_STEPS = 1_000_000  # of every run in section 6, and Figure 3's horizontal axis


def task_name(task: str) -> str:
    """The task without its version: `HalfCheetah-v4` -> `HalfCheetah`."""
    return re.sub(r"-v\d+$", "", task)


class Curve(NamedTuple):
    """A published learning curve: `[G]` environment steps, ascending, and the return at each."""

    steps: FloatArray
    returns: FloatArray

    def at(self, step: float) -> float:
        """The return at `step`, on a line between the points; NaN outside of them.

        The last point also stands for up to 1 % more: a million steps are 999,424 to ppo2.
        """
        if not self.steps[0] <= step <= 1.01 * self.steps[-1]:
            return float("nan")
        return float(np.interp(step, self.steps, self.returns))

    def until(self, step: float) -> Curve:
        """The curve up to `step`, which becomes its last point where the curve goes on."""
        end = min(step, float(self.steps[-1]))
        before = self.steps < end
        return Curve(
            np.append(self.steps[before], end), np.append(self.returns[before], self.at(end))
        )


def paper_table1(reference: Path) -> pd.DataFrame:
    """Table 1: `row, objective, value, paper_score`, in the paper's order; `value` may be NaN."""
    table = read_csv(reference / "paper_table1.csv", "objective", "value", "score")
    table = table.astype({"value": float, "score": float})
    lines = table[["objective", "value"]].itertuples(index=False)
    names = [kind if np.isnan(value) else f"{kind}_{value:g}" for kind, value in lines]
    table.insert(0, "row", names)
    return table.rename(columns={"score": "paper_score"})


def paper_figure4(reference: Path) -> pd.DataFrame:
    """Points of Figure 4's two curves a task: `task, curve, step, return`, ascending in step."""
    return read_csv(reference / "paper_fig4.csv", "task", "curve", "step", "return")


def random_returns(reference: Path, kind: str) -> dict[str, float]:
    """Mean return of the random policy `kind` by environment id."""
    table = read_csv(reference / "random_policies.csv", "env_id", "kind", "mean")
    chosen = table[table["kind"] == kind]
    if chosen.empty:
        there, path = ", ".join(sorted(set(table["kind"]))), reference / "random_policies.csv"
        raise AnalysisError(f"{path} has no policy {kind}: it has {there}.")
    return dict(zip(chosen["env_id"].astype(str), chosen["mean"].astype(float), strict=True))


def paper_figure2(reference: Path) -> pd.DataFrame:
    """Figure 2 as digitized: the columns of `store.INTERPOLATION`."""
    return read_csv(reference / "paper_fig2.csv", *store.INTERPOLATION).astype(float)


def paper_figure3(reference: Path, algorithm: str = "PPO(Clip)") -> dict[str, Curve]:
    """Figure 3 as digitized, at 0, 100k, ... 1M steps, by task without version."""

    def curve(values: Any) -> Curve:
        returns = np.asarray(values["curve"], dtype=np.float64)
        return Curve(np.linspace(0, PAPER_STEPS, len(returns)), returns)

    return _curves(reference / "paper_fig3_digitised.json", algorithm, curve)


def baselines_curves(reference: Path, algorithm: str) -> dict[str, Curve]:
    """The benchmark of OpenAI Baselines, `ppo2` or `trpo_mpi`, by task without version."""
    path = reference / "baselines_mujoco1M_curves.json"
    return _curves(path, algorithm, lambda values: Curve(*np.asarray(values, np.float64).T))


def _curves(path: Path, algorithm: str, curve: Callable[[Any], Curve]) -> dict[str, Curve]:
    def curves(path: Path) -> dict[str, Curve]:
        tasks = store.read_json(path).items()
        return {task_name(task): curve(values[algorithm]) for task, values in tasks}

    return read(path, curves)


def ppo_elsewhere(reference: Path) -> pd.DataFrame:
    """PPO (clip) by others: `source, kind, version, steps, measure, task, return, spread`.

    `kind` is `same` for the paper's settings or close to them, 1M steps, training returns, else
    `other`; tasks are without their versions.
    """
    columns = ("source", "kind", "version", "steps", "measure", "task", "return", "spread")
    return read_csv(reference / "ppo_mujoco.csv", *columns)
