"""What `import repro` offers; the command line does the same with its arguments.

    import repro

    run = repro.train("env=reacher", "budget=quick", seed=0)
    run.progress.plot("step", "return_mean")
    action = run.policy()(observation, deterministic=True)

    runs = repro.train("env=hopper", "objective=clip,kl_adaptive", seed=[0, 1, 2])
    repro.runs("runs").groupby("objective_label")["final_return"].mean()

Bad input raises `ConfigError`, damaged files `CorruptError`, and runs that are not done
`RunsFailedError`, each with the sentence that the command line prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import pandas as pd

from repro.config import quoting
from repro.config.schema import Config
from repro.config.validation import from_dict
from repro.errors import ConfigError, RunsFailedError
from repro.runs import committed, store
from repro.runs.finished import open_run
from repro.sweeps import frame, grid, sweep

if TYPE_CHECKING:  # it loads torch
    from repro.evaluation.standalone import StandalonePolicy


class Run:
    """One run, by its directory. Each property reads the files anew.

    Attributes:
        directory: where it is kept.
    """

    def __init__(self, directory: str | Path) -> None:
        """Take the directory, which may not exist yet."""
        self.directory = Path(directory).absolute()

    @property
    def run_id(self) -> str:
        """Its name."""
        return self.directory.name

    @property
    def info(self) -> dict[str, Any]:
        """run.json: identity, versions, machine, status, times; empty of a run never started.

        Raises:
            CorruptError: it is damaged.
        """
        found = (self.directory / "run.json").is_file()
        return store.read_run(self.directory) if found else {}

    @property
    def status(self) -> str:
        """DONE, RUNNING, PREEMPTED, FAILED, DAMAGED or MISSING, as `repro.status` tells it."""
        return frame.status(self.directory)[0]

    @property
    def config(self) -> Config:
        """The whole configuration, such as `run.config.algorithm.learning_rate`.

        Raises:
            ConfigError: the directory holds none.
            CorruptError: it is damaged.
        """
        if not (self.directory / "config.yaml").is_file():
            raise ConfigError(f"{self.directory} holds no config.yaml: the run has not started.")
        return from_dict(store.read_config(self.directory))

    @property
    def episodes(self) -> pd.DataFrame:
        """One row a training episode: iteration, actor, step, return, length and so on.

        `repro.runs.schema.EPISODES` says what each column holds. No rows before the first flush.

        Raises:
            CorruptError: the table is damaged, or not what the run wrote.
        """
        return self._table("episodes", store.EPISODES)

    @property
    def progress(self) -> pd.DataFrame:
        """One row an iteration: step, return_mean, losses, kl, times and so on.

        `repro.runs.schema.PROGRESS` says what each column holds. No rows before the first flush.

        Raises:
            CorruptError: the table is damaged, or not what the run wrote.
        """
        return self._table("progress", store.PROGRESS)

    @property
    def evaluations(self) -> pd.DataFrame:
        """One row an episode of `python -m repro.evaluate`; no rows where there was none.

        `repro.runs.schema.EVALUATIONS` says what each column holds.

        Raises:
            CorruptError: the table is damaged.
        """
        return store.read_evaluations(self.directory)

    def policy(self, seed: int = 0) -> StandalonePolicy:
        """The policy of a finished run: `action = policy(observation, deterministic=True)`.

        Args:
            seed: of sampled actions, 0 or more.

        Raises:
            ConfigError: the run is not done, or its task or algorithm is not available here.
            CorruptError: its files are damaged or were changed.
        """
        from repro.evaluation.standalone import StandalonePolicy

        return StandalonePolicy(open_run(self.directory), seed)

    def _table(self, name: str, schema: dict[str, tuple[str, str]]) -> pd.DataFrame:
        written = (self.directory / f"{name}.parquet").is_file() or store.is_done(self.directory)
        return (
            store.read_run_table(self.directory, name)
            if written
            else pd.DataFrame(columns=list(schema))
        )

    def __repr__(self) -> str:
        return f"<Run {self.run_id}: {self.status}>"


class Runs(Sequence[Run]):
    """The runs of a sweep, in the order of its grid."""

    def __init__(self, members: Sequence[Run]) -> None:
        """Take the runs."""
        self._members = tuple(members)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a run, as `repro.runs` describes it."""
        return frame.of_directories([run.directory for run in self])

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | slice) -> Run | Runs:
        """The run at an index, or several."""
        return Runs(self._members[index]) if isinstance(index, slice) else self._members[index]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._members)

    def __iter__(self) -> Iterator[Run]:
        """One after another."""
        return iter(self._members)

    def __repr__(self) -> str:
        lines = [f"  {run!r}" for run in self]
        return "\n".join([f"<{len(self)} runs", *lines]) + ">"


def train(*overrides: str, **values: Any) -> Run | Runs:
    """Train one run or a sweep, as the command line does with the same overrides.

    What was finished before is not trained again, and what was interrupted continues. A single run
    trains in this process, a sweep in packs over the cores of this machine, or as
    `hydra.launcher.*` says.

    Args:
        overrides: as on the command line: "env=hopper", "algorithm.gamma=0.9", "seed=0,1,2",
            "+experiment=table1".
        values: the same by name: `env="hopper"`, `seed=[0, 1]`. A list, range or array is a sweep
            over its elements, a tuple one value. Keys with a dot go in as
            `**{"policy.hidden_sizes": (64, 64)}`. `progress=False` shows no progress bar.

    Returns:
        A Run; or Runs, in the order of the grid, if any key has several values.

    Raises:
        ConfigError: bad input. Nothing has been started then.
        RunsFailedError: some are not done; its `runs` has them all.
        KeyboardInterrupt: interrupted, and saved: the same call continues.
    """
    given = [*overrides, *(quoting.override(key, value) for key, value in values.items())]
    batches, settings, swept = grid.compose(given)
    configs = [config for batch in batches for config in batch]
    members = [Run(config.directory) for config in configs]
    try:
        if not swept and all(quoting.elements(value) is None for value in values.values()):
            sweep.train_one(configs[0])
            return members[0]
        sweep.expect(configs, settings)
        ends = [end for batch in batches for end in sweep.train(batch, settings)]
        sweep.raise_failures([end.exit_code for end in ends if end.exit_code], len(ends))
    except RunsFailedError as error:
        error.runs = Runs(members)
        raise
    return Runs(members)


def load(directory: str | Path) -> Run:
    """A finished run.

    Args:
        directory: of the run, which may have been moved or renamed; or a committed policy's name.

    Raises:
        ConfigError: no finished run is there.
        CorruptError: its files are damaged.
    """
    return Run(open_run(Path(directory)).directory)


def load_policy(name: str | Path, seed: int = 0) -> StandalonePolicy:
    """A policy that this repository holds, or that of a finished run.

    Args:
        name: ENV/OBJECTIVE/SEED, such as "half_cheetah/clip_0.2/3", one of `repro.policies()`; or
            the directory of a run.
        seed: of sampled actions, 0 or more.

    Raises:
        ConfigError: there is neither, or its task or algorithm is not available here.
        CorruptError: its files are damaged.
    """
    return load(name).policy(seed)


def policies() -> list[str]:
    """The names of the policies that this repository holds, ENV/OBJECTIVE/SEED each."""
    return committed.names()


def runs(directory: str | Path) -> pd.DataFrame:
    """The runs below a directory as one tidy table, those that a sweep expects and lacks included.

    Args:
        directory: a `runs_dir`, or one above several.

    Returns:
        One row a run, by `run_id`: the columns that identify it (`algorithm`, `env_id`,
        `objective_label`, `seed` and so on), `status` (DONE, PRUNED by a search, RUNNING,
        PREEMPTED, FAILED, DAMAGED or MISSING), `final_return` (mean return of the last 100
        training episodes; NaN unless DONE), `episodes` (how many of them there are), `error` (why
        it is not done), and `directory`.

    Raises:
        ConfigError: no run and no sweep is there.
    """
    return frame.below(Path(directory))
