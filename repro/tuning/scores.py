"""The score of a run, at its end or at an earlier step. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from repro.config.schema import Config
from repro.runs import store
from repro.runs.schema import LAST_EPISODES

METRICS: dict[str, Callable[[store.Array], float]] = {
    "final_return": lambda returns: float(returns[-LAST_EPISODES:].mean()),
    "mean_return": lambda returns: float(returns.mean()),
}
"""What is made of the returns of a run's training episodes, in the order in which they ended:
the mean of the last 100, as in the paper's tables, or of all, which rewards learning fast."""


def score(directory: Path, metric: str, until: int | None = None) -> float:
    """The number of a run; NaN where no episode has ended.

    Args:
        directory: of the run.
        metric: a key of METRICS.
        until: episodes that ended up to this environment step count; None: all do.

    Raises:
        CorruptError: the table is damaged, or not what the run wrote.
    """
    returns = store.read_run_numbers(directory, "episodes", "return")
    if until is not None:
        returns = returns[store.read_run_numbers(directory, "episodes", "step") <= until]
    return METRICS[metric](returns) if len(returns) else math.nan


def reached(config: Config) -> int:
    """The last iteration of which a run's tables know; 0 before the first.

    Raises:
        CorruptError: the table is damaged, or not what the run wrote.
    """
    if not (config.directory / "progress.parquet").is_file():
        return 0
    return int(max(store.read_run_numbers(config.directory, "progress", "iteration"), default=0))
