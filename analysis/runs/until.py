"""Runs as they were at an earlier step, where those of different lengths can be compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from analysis.errors import AnalysisError
from analysis.runs.run import Run, Sweep
from analysis.runs.selection import schedule_end


def cut(sweep: Sweep, step: int | None) -> Sweep:
    """Every run as one of `step` steps whose schedules are those of the whole run.

    Raises:
        AnalysisError: a run is shorter.
    """
    if step is None:
        return sweep
    return dataclasses.replace(sweep, runs=tuple(_cut(run, step) for run in sweep.runs))


def schedules(runs: Sequence[Run]) -> list[str]:
    """A note on runs whose schedules go on beyond their end."""
    ends = sorted({schedule_end(run) for run in runs})
    if ends == [runs[0].steps]:
        return []
    when = " or ".join(f"{end:,}" for end in ends)
    return [f"What is annealed ends at {when} steps: these are the beginnings of such runs."]


def _cut(run: Run, step: int) -> Run:
    if run.steps < step:
        raise AnalysisError(
            f"{run.run_id} has {run.steps} steps, fewer than --until {step}: give {run.steps} or "
            "less, or leave the run out with --where."
        )
    config = dict(run.config or {})
    switches = [*config.get("recipe", {}).items(), *config.get("algorithm", {}).items()]
    if any(key.endswith("_schedule") and value == "linear" for key, value in switches):
        config["schedule_timesteps"] = schedule_end(run)
    info = {**run.info, "total_timesteps": step}
    return dataclasses.replace(run, info=info, config=config or run.config, until=step)
