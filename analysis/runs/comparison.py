"""Which runs enter a comparison of algorithms, and the refusal of those that would not be fair.

An *entry* is a line of Figure 3 and a row of its tables: an algorithm, with TRPO under a frozen
standard deviation as one of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.errors import AnalysisError
from analysis.published.paper import task_name
from analysis.runs.run import Run, Sweep
from analysis.runs.selection import ENV, check_equal, check_one_per_seed, lookup, under

DEFAULT_OBJECTIVE = "clip_0.2"  # "PPO (Clip)" of Figure 3, with the epsilon of section 6.2


def entry_key(run: Run) -> str:
    """The entry that a run belongs to: its algorithm, or `trpo_frozen`."""
    frozen = run.algorithm == "trpo" and lookup(run, "algorithm.freeze_log_std") is True
    return "trpo_frozen" if frozen else run.algorithm


def is_sb3(key: str) -> bool:
    """Whether an entry is one of Stable-Baselines3's."""
    return key.startswith("sb3_")


def with_objective(sweep: Sweep, objective: str) -> Sweep:
    """Without PPO under other objectives; algorithms without a choice of objectives stay."""
    kept = [run for run in sweep.runs if run.info["objective"] is None or run.row == objective]
    if not kept:
        there = ", ".join(sorted({run.row for run in sweep.runs}))
        raise AnalysisError(
            f"No run has the objective {objective}: give --objective one of {there}."
        )
    lost = len(sweep.runs) - len(kept)
    return sweep.narrowed(
        kept, f"Left out: {lost} runs of PPO under objectives other than {objective}."
    )


def check_entries(runs: Sequence[Run]) -> None:
    """Refuse entries whose own runs differ in more than task and seed, and unequal conditions.

    All share the budget and the version of each task; ours share the recipe, and so do SB3's.

    Raises:
        AnalysisError: naming the key that differs.
    """
    check_equal(runs, lambda run: None, lambda key: key == "total_timesteps")
    check_equal(runs, lambda run: task_name(run.task), lambda key: key == "env_id")
    check_equal(runs, lambda run: is_sb3(run.algorithm), lambda key: under(key, ("recipe",)))
    check_equal(runs, entry_key, lambda key: not under(key, ENV))
    check_equal(
        runs, lambda run: (entry_key(run), task_name(run.task)), lambda key: under(key, ENV)
    )
    check_one_per_seed(runs, lambda run: (run.task, entry_key(run)))
