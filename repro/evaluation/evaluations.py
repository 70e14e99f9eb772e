"""Evaluations of finished runs: episodes that are played and added to `evaluations.parquet`.

Evaluation runs on the CPU with the policy and the observation statistics that training ended with;
neither changes. On Atari an episode is a whole game, and its return the unclipped score. The same
seed gives the same bits, however many environments run at once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from repro import envs
from repro.envs import user_code
from repro.envs.humanoid.measures import described
from repro.envs.vector import FloatArray
from repro.errors import ConfigError, LockedError, StorageError, TaskError
from repro.evaluation.episodes import MAX_STEPS, PlayedEpisodes, play
from repro.evaluation.policies import load_policy, one_thread
from repro.runs import committed, locks, provenance, store
from repro.runs.finished import FinishedRun

PARALLEL = 20
PATIENCE = 60.0  # seconds: other processes hold a finished run's lock only for a moment
CONFIDENCE = 0.95
REPLICATES = 2000


class Evaluation(NamedTuple):
    """One evaluation of one run, as it was recorded.

    Attributes:
        number: of this evaluation of the run, from 1; 0 where nothing is recorded.
        deterministic: whether the most likely actions were taken.
        returns: [E], undiscounted.
        lengths: [E], in steps.
        measures: what the task measures besides, by name, [E] each; most tasks nothing.
    """

    number: int
    deterministic: bool
    returns: FloatArray
    lengths: NDArray[np.int64]
    measures: Mapping[str, FloatArray]


def evaluate(
    run: FinishedRun,
    episodes: int = 100,
    seed: int = 0,
    deterministic: bool = False,
    num_envs: int = PARALLEL,
    max_steps: int = MAX_STEPS,
    record: bool = True,
) -> Evaluation:
    """Play episodes 1 to E of a seed, and add them to the run's `evaluations.parquet`.

    Args:
        run: the run to evaluate.
        episodes: E, at least 1.
        seed: 0 or more.
        deterministic: the most likely actions instead of sampled ones.
        num_envs: number of environments at once. The result does not depend on it.
        max_steps: where an episode is cut off, which is said once.
        record: False to add nothing, as for the policies that this repository holds.

    Raises:
        ConfigError: the task is not available here or raises, or the directory cannot be locked.
        CorruptError: the run's files are damaged or were changed.
        NumericalError: the task returned a value that is not finite, or too large for float32.
        LockedError: another process owns the run.
        StorageError: the rows cannot be written.
    """
    policy = load_policy(run)
    deterministic = deterministic or not policy.stochastic
    task = run.config.env
    size = min(num_envs, episodes)
    vector = envs.make(task.id, task.backend, size, task.switches, task.kwargs)
    try:
        with one_thread():
            played = play(policy, vector, episodes, seed, deterministic, max_steps)
    except TaskError as error:
        raise ConfigError(f"{task.id}: {error}.") from error
    finally:
        user_code.close(vector, task.id)
    kept = record and not committed.holds(run.directory)
    number = _record(run.directory, seed, deterministic, played) if kept else 0
    return Evaluation(number, deterministic, *played)


def summary(evaluation: Evaluation, seed: int) -> str:
    """One line: mean return with its interval, range, and mean length."""
    returns = evaluation.returns
    actions = "deterministic" if evaluation.deterministic else "stochastic"
    low, high = interval(returns, seed)
    measured = described(evaluation.measures)
    place = f"evaluation {evaluation.number}" if evaluation.number else "not recorded"
    return (
        f"mean return {returns.mean():,.2f} [{low:,.2f}, {high:,.2f}], from {returns.min():,.2f} "
        f"to {returns.max():,.2f}, mean length {evaluation.lengths.mean():,.1f} ("
        f"{place}: {len(returns)} episodes, seed {seed}, {actions})"
        f"{measured and f'; {measured}'}"
    )


def interval(returns: FloatArray, seed: int) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean; the value itself where there is only one."""
    if len(returns) == 1:
        return float(returns[0]), float(returns[0])
    found = stats.bootstrap(
        (returns,),
        np.mean,
        n_resamples=REPLICATES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def _record(directory: Path, seed: int, deterministic: bool, played: PlayedEpisodes) -> int:
    """Add rows to a run's evaluations.parquet, and return the evaluation's number."""
    machine = provenance.machine()
    versions = machine["versions"] | {"git_revision": machine["git_revision"]}
    episodes = len(played.returns)
    columns = {
        "deterministic": [deterministic] * episodes,
        "seed": [seed] * episodes,
        "episode": range(1, episodes + 1),
        "return": played.returns.tolist(),
        "length": played.lengths.tolist(),
        "time_at": [provenance.now()] * episodes,
        "versions": [json.dumps(versions)] * episodes,
        "measures": [_as_json(played.measures, k) for k in range(episodes)],
    }
    with locks.owning([directory], PATIENCE) as refused:
        for sentence in refused.values():
            raise LockedError(sentence)
        try:
            return store.append_evaluation(directory, columns)
        except OSError as error:
            raise StorageError(
                f"{directory} cannot be written to ({error}): make room and evaluate again."
            ) from error


def _as_json(measures: Mapping[str, FloatArray], episode: int) -> str | None:
    """One episode's measures; what is NaN is null."""
    if not measures:
        return None
    values = {name: float(column[episode]) for name, column in measures.items()}
    return json.dumps({k: None if math.isnan(value) else value for k, value in values.items()})
