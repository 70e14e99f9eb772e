"""The paper's numbers and the random policies', as committed in results/reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.errors import AnalysisError
from analysis.selection import task_name
from analysis.stats import FloatArray
from repro import store

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
RANDOM_POLICIES = {
    "gaussian": "unit Gaussian actions, not clipped",
    "gaussian_clipped": "unit Gaussian actions, clipped to the action space",
    "uniform": "uniform actions",
}


def paper_table1(reference: Path) -> pd.DataFrame:
    """Table 1: `row, objective, value, paper_score`, in the paper's order; `value` may be NaN."""
    table = _csv(reference, "paper_table1.csv", ("objective", "value", "score"))
    values = table["value"].astype(float)
    names = [
        kind if np.isnan(value) else f"{kind}_{value:g}"
        for kind, value in zip(table["objective"], values, strict=True)
    ]
    return pd.DataFrame(
        {
            "row": names,
            "objective": table["objective"],
            "value": values,
            "paper_score": table["score"].astype(float),
        }
    )


def random_returns(reference: Path, kind: str) -> dict[str, float]:
    """Mean return of the random policy `kind` by environment id."""
    table = _csv(reference, "random_policies.csv", ("env_id", "kind", "mean"))
    chosen = table[table["kind"] == kind]
    if chosen.empty:
        raise AnalysisError(
            f"{reference / 'random_policies.csv'} has no policy {kind}: it has "
            f"{', '.join(sorted(set(table['kind'])))}."
        )
    return dict(zip(chosen["env_id"].astype(str), chosen["mean"].astype(float), strict=True))


def paper_figure2(reference: Path) -> pd.DataFrame:
    """Figure 2 as digitized: the columns of `store.INTERPOLATION`."""
    return _csv(reference, "paper_fig2.csv", tuple(store.INTERPOLATION)).astype(float)


def paper_figure3(reference: Path, algorithm: str = "PPO(Clip)") -> dict[str, FloatArray]:
    """Figure 3 as digitized: task without version -> `[11]` returns at 0, 100k, ... 1M steps."""
    path = reference / "paper_fig3_digitised.json"
    try:
        tasks = store.read_json(path)
        return {
            task_name(task): np.asarray(values[algorithm]["curve"], dtype=np.float64)
            for task, values in tasks.items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from error


def ppo_elsewhere(reference: Path) -> pd.DataFrame:
    """PPO (clip) by others: `source, kind, version, steps, measure, task, return, spread`.

    `kind` is `same` for the paper's settings or close to them, 1M steps, training returns, else
    `other`; tasks are without their versions.
    """
    columns = ("source", "kind", "version", "steps", "measure", "task", "return", "spread")
    return _csv(reference, "ppo_mujoco.csv", columns)


def _csv(reference: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    path = reference / name
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    lacking = [column for column in columns if column not in table]
    if lacking:
        raise AnalysisError(
            f"{path} lacks the column {lacking[0]}: restore it, or change --reference."
        )
    return table[list(columns)]


def _unreadable(path: Path, error: Exception) -> AnalysisError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return AnalysisError(f"{path} cannot be read ({reason}): restore it, or change --reference.")
