"""`python -m repro.evaluate RUN_DIR`: whole episodes of finished runs, added to their tables.

The policy and the statistics of its observations are those that training ended with, and stay as
they are. On Atari an episode is a whole game, and its return the score, not clipped. Evaluation is
on the CPU, one thread; the same seed gives the same bits, however many environments run at once.
`repro.evaluation.episodes` says what an episode depends on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from repro import envs
from repro.cli import Parser, at_least, finish
from repro.console import say
from repro.envs.vector import FloatArray
from repro.errors import LockedError, StorageError
from repro.runs import locks, provenance, store
from repro.runs.finished import FinishedRun, open_run

PARALLEL = 20
PATIENCE = 60.0  # seconds: others have a finished run's lock for a moment only
CONFIDENCE = 0.95
REPLICATES = 2000
HELP = """\
Play whole episodes with the policies of finished runs, and add a row for each to
RUN_DIR/evaluations.parquet. Prints the mean return with a 95 % bootstrap interval, and its range.

Exit code: 0 done, 2 bad input, 3 damaged files, 4 a task returned what is not a number, 75 another
process has the run.
"""


class Evaluation(NamedTuple):
    """One evaluation of one run, as it was recorded.

    Attributes:
        number: among the run's, from 1.
        deterministic: whether actions were without noise.
        returns: [E].
        lengths: [E].
    """

    number: int
    deterministic: bool
    returns: FloatArray
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]]


def main() -> None:
    """The command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code."""
    return finish(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> None:
    parser = Parser(prog="python -m repro.evaluate", description=HELP)
    parser.add_argument("directories", metavar="RUN_DIR", type=Path, nargs="+")
    parser.add_argument("--episodes", type=at_least(1), default=100, help="default 100")
    parser.add_argument("--seed", type=at_least(0), default=0, help="default 0")
    parser.add_argument("--deterministic", action="store_true", help="actions without noise")
    parser.add_argument(
        "--envs",
        type=at_least(1),
        default=PARALLEL,
        help=f"so many at once (default {PARALLEL}); makes no difference to the result",
    )
    options = parser.parse_args(arguments)
    for each in [_checked(directory) for directory in options.directories]:
        done = evaluate(each, options.episodes, options.seed, options.deterministic, options.envs)
        say(f"{each.run_id}: {summary(done, options.seed)}")


def _checked(directory: Path) -> FinishedRun:
    """All that can be refused before an episode is played."""
    found = open_run(directory)
    store.read_evaluations(directory)
    return found


def evaluate(
    run: FinishedRun,
    episodes: int = 100,
    seed: int = 0,
    deterministic: bool = False,
    num_envs: int = PARALLEL,
) -> Evaluation:
    """Play episodes 1 to E of a seed, and add them to the run's `evaluations.parquet`.

    Args:
        run: whose policy.
        episodes: E, at least 1.
        seed: 0 or more.
        deterministic: the likeliest action each time.
        num_envs: how many at once. The result does not depend on it.

    Raises:
        ConfigError: a task that is not to be had here, or a directory that cannot be locked.
        CorruptError: the run's files are damaged.
        NumericalError: the task returned a value that is not finite.
        LockedError: another process has the run, and does not end.
        StorageError: the rows cannot be written.
    """
    import torch  # only now: what is refused is refused in a moment

    from repro.evaluation import episodes as trials
    from repro.evaluation import policies

    torch.set_num_threads(1)
    task = run.config.env
    vector = envs.make(task.id, task.backend, min(num_envs, episodes), task.atari)
    try:
        policy = policies.policy_of(run, vector)
        deterministic = deterministic or not policy.stochastic
        returns, lengths = trials.play(policy, vector, episodes, seed, deterministic)
    finally:
        vector.close()
    number = _record(run.directory, seed, deterministic, returns, lengths)
    return Evaluation(number, deterministic, returns, lengths)


def summary(evaluation: Evaluation, seed: int) -> str:
    """One line."""
    returns = evaluation.returns
    how = "deterministic" if evaluation.deterministic else "stochastic"
    low, high = interval(returns, seed)
    return (
        f"mean return {returns.mean():,.2f} [{low:,.2f}, {high:,.2f}], from {returns.min():,.2f} "
        f"to {returns.max():,.2f}, mean length {evaluation.lengths.mean():,.1f} (evaluation "
        f"{evaluation.number}: {len(returns)} episodes, seed {seed}, {how})"
    )


def interval(returns: FloatArray, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval (percentiles) of the mean; the mean itself where there is but one."""
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


def _record(
    directory: Path,
    seed: int,
    deterministic: bool,
    returns: FloatArray,
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> int:
    machine = provenance.machine()
    versions = machine["versions"] | {"git_revision": machine["git_revision"]}
    same_in_all: dict[str, object] = {
        "deterministic": deterministic,
        "seed": seed,
        "time_at": provenance.now(),
        "versions": json.dumps(versions),
    }
    columns: dict[str, list[Any]] = {
        name: [value] * len(returns) for name, value in same_in_all.items()
    }
    columns |= {
        "episode": list(range(1, len(returns) + 1)),
        "return": returns.tolist(),
        "length": lengths.tolist(),
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


if __name__ == "__main__":
    main()
