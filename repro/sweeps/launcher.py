"""A Hydra launcher that trains a sweep's jobs in packs, with the results of single runs.

Every job is composed and checked before the first one starts. Hydra finds the launcher and the
sweeper through `hydra_plugins/population_launcher.py`; `conf/config.yaml` chooses them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from repro.config import grammar
from repro.config.hydra_errors import translated
from repro.errors import ConfigError, RunsFailedError
from repro.sweeps import summary, sweep
from repro.sweeps.jobs import Composer, Job, novel_first, refuse_duplicates
from repro.sweeps.settings import Settings


class PopulationLauncher(Launcher):
    """Composes, checks, packs, trains, and reports."""

    def __init__(
        self,
        workers: int | None = None,
        max_pack: int | None = None,
        backend: str = "loky",
        retries: int = 2,
        submitit: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the settings of `conf/hydra/launcher/population.yaml`."""
        self.settings = Settings(backend, workers, max_pack, retries, dict(submitit or {}))
        self._jobs: dict[tuple[str, ...], Job] = {}
        self._foreign = False  # whether a sweeper launches that is not ours

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Part of Hydra's interface. A pack trains many jobs: `task_function` is not called.

        Raises:
            ConfigError: a sweep has no values, whichever sweeper it is that splits it.
        """
        hydra = OmegaConf.to_container(config.hydra, resolve=False)
        assert isinstance(hydra, dict)
        params: dict[str, str] = hydra["sweeper"].get("params") or {}
        swept = [f"{key}={value}" for key, value in params.items()]
        given = grammar.spelled_out([*swept, *hydra["overrides"]["task"]])
        grammar.refuse_empty(grammar.parse(given))
        self._master = config
        self._composer = Composer(hydra_context.config_loader, config)

    def compose(self, job_overrides: Sequence[Sequence[str]]) -> list[Job]:
        """Compose and check jobs.

        Raises:
            ConfigError: for the first that is wrong.
        """
        self.settings.check()
        HydraConfig.instance().set_config(self._master)
        keys = self._keys(job_overrides)
        for key in novel_first([key for key in dict.fromkeys(keys) if key not in self._jobs]):
            self._jobs[key] = self._compose(key)
        jobs = [self._jobs[key] for key in keys]
        refuse_duplicates(jobs)
        return jobs

    def prepare(self, job_overrides: Sequence[Sequence[str]]) -> None:
        """Compose and check jobs, then write down which runs are expected.

        Raises:
            ConfigError: for the first that is wrong. Nothing has been written or started then.
        """
        sweep.expect([job.config for job in self.compose(job_overrides)], self.settings)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Train the jobs; a run that fails is a failed job and leaves the others alone.

        Returns:
            One a job. A sweeper that is not ours, such as one that optimizes, gets as its value the
            mean return of the last 100 episodes, NaN without one; ours an `Outcome`.

        Raises:
            ConfigError: before anything starts.
        """
        if any(key not in self._jobs for key in self._keys(job_overrides)):
            self._foreign = True
            self.prepare(job_overrides)
        jobs = self.compose(job_overrides)
        ends = sweep.train([job.config for job in jobs], self.settings)
        returns = [_job_return(job, end) for job, end in zip(jobs, ends, strict=True)]
        for done in returns if self._foreign else ():
            if done.status == JobStatus.COMPLETED:
                done.return_value, _ = summary.final_return(done.return_value.directory)
        return returns

    def _keys(self, job_overrides: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
        return [tuple(grammar.decoded(given)) for given in job_overrides]

    def _compose(self, given: Sequence[str]) -> Job:
        try:
            with translated():
                return Job(given, self._composer.compose(given))
        except ConfigError as error:
            raise ConfigError(f"In the job {' '.join(given)}: {error}") from error


def raise_failures(returns: Sequence[JobReturn]) -> None:
    """Raise RunsFailedError for the jobs that are not done, if any."""
    failures = [job._return_value for job in returns if job.status == JobStatus.FAILED]
    sweep.raise_failures([failure.exit_code for failure in failures], len(returns))


def _job_return(job: Job, end: sweep.End) -> JobReturn:
    outcome, exit_code = end
    result = JobReturn(overrides=job.overrides, cfg=job.node, task_name="repro")
    result.working_dir = os.getcwd()
    if exit_code:
        message = f"{outcome.run_id}: {outcome.error}"
        result.return_value = RunsFailedError(message, exit_code)
        result.status = JobStatus.FAILED
    else:
        result.return_value = outcome
        result.status = JobStatus.COMPLETED
    return result
