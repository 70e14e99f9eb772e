"""A Hydra launcher that trains a sweep's jobs in packs, as if each had been started alone.

Every job is composed and checked before the first one starts. What a launcher and a sweeper are to
Hydra: `hydra_plugins/population_launcher.py`, chosen in `conf/config.yaml`.
"""

from __future__ import annotations

import copy
import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from repro.config import overrides as cli_errors
from repro.config.atari import check_game
from repro.config.names import check_choice
from repro.config.validation import from_omegaconf
from repro.errors import (
    EXIT_BAD_INPUT,
    EXIT_CORRUPT,
    EXIT_CRASHED,
    EXIT_NUMERICAL,
    EXIT_PREEMPTED,
    ConfigError,
)

if TYPE_CHECKING:  # it loads torch: not before the configuration has passed
    from repro.sweeps.sweep import End

# The keys of `workers.BACKENDS`, known before torch is loaded, and the extra that each needs.
BACKENDS = {"loky": None, "serial": None, "ray": "ray", "submitit": "submitit"}
# A sweep with several kinds of ends leaves the code of the first of these: to give the command
# again comes before all else.
PRECEDENCE = (EXIT_PREEMPTED, EXIT_CORRUPT, EXIT_BAD_INPUT, EXIT_CRASHED, EXIT_NUMERICAL)


class RunsFailedError(Exception):
    """Some runs of a sweep are not done."""

    def __init__(self, message: str, exit_code: int) -> None:
        """Say how many, and what the process should end with."""
        super().__init__(message)
        self.exit_code = exit_code


class Job:
    """One job of a multirun: its overrides, and the configuration they compose."""

    def __init__(self, overrides: Sequence[str], node: DictConfig) -> None:
        """Check the configuration.

        Raises:
            ConfigError: naming the overrides.
        """
        self.overrides, self.node = list(overrides), node
        self.config = from_omegaconf(node)
        cli_errors.check_use(overrides, self.config)
        self.key = (os.path.abspath(self.config.runs_dir), self.config.run_id)


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
        self.workers, self.max_pack, self.backend = workers, max_pack, backend
        self.retries, self.submitit = retries, submitit or {}
        self._jobs: dict[tuple[str, ...], Job] = {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Part of Hydra's interface. Packs train many jobs at once: `task_function` has no part."""
        self._master = config
        self._composer = Composer(hydra_context.config_loader, config)

    def prepare(self, job_overrides: Sequence[Sequence[str]]) -> list[Job]:
        """Compose and check jobs, then write down which runs are expected.

        Raises:
            ConfigError: for the first that is wrong. Nothing has been written or started then.
        """
        self._check_settings()
        HydraConfig.instance().set_config(self._master)
        keys = [tuple(overrides) for overrides in job_overrides]
        fresh = [key for key in dict.fromkeys(keys) if key not in self._jobs]
        for key in _novel_first(fresh):
            self._jobs[key] = self._compose(key)
        jobs = [self._jobs[key] for key in keys]
        _refuse_duplicates(jobs)
        if fresh:
            from repro.sweeps import sweep  # only now: it loads torch

            sweep.expect([job.config for job in jobs])
        return jobs

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Train the jobs; a run that fails is a failed job and leaves the others alone.

        Raises:
            ConfigError: before anything starts.
        """
        jobs = self.prepare(job_overrides)
        from repro.sweeps import sweep
        from repro.sweeps.backends import Settings

        settings = Settings(
            self.backend, self.workers, self.max_pack, self.retries, dict(self.submitit)
        )
        ends = sweep.train([job.config for job in jobs], settings)
        return [_job_return(job, end) for job, end in zip(jobs, ends, strict=True)]

    def _compose(self, overrides: Sequence[str]) -> Job:
        try:
            return Job(overrides, self._composer.compose(overrides))
        except (ConfigError, *cli_errors.COMPOSITION_ERRORS) as error:
            text = str(cli_errors.sentence(error))
            raise ConfigError(f"In the job {' '.join(overrides)}: {text}") from error

    def _check_settings(self) -> None:
        _check_count("hydra.launcher.workers", self.workers)
        _check_count("hydra.launcher.max_pack", self.max_pack)
        check_choice("hydra.launcher.backend", self.backend, BACKENDS)
        _check_count("hydra.launcher.retries", self.retries, least=0)
        extra = BACKENDS[self.backend]
        if extra is not None and importlib.util.find_spec(extra) is None:
            raise ConfigError(
                f"hydra.launcher.backend={self.backend} needs a package that is not installed: "
                f"pip install -e '.[{extra}]'."
            )


class PopulationSweeper(Sweeper):
    """Hydra's basic grid, checked as a whole before it starts; leaves no `multirun.yaml` behind.

    Hydra's own composes every job once only to see that it can, which takes half a minute for
    the 231 runs of Table 1; the launcher composes them anyway.
    """

    def __init__(
        self, max_batch_size: int | None = None, params: Mapping[str, str] | None = None
    ) -> None:
        """Take the settings of `conf/hydra/sweeper/population.yaml`."""
        self.max_batch_size, self.params = max_batch_size, dict(params or {})

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Part of Hydra's interface."""
        self._loader = hydra_context.config_loader
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run all batches, also after one in which runs failed.

        Raises:
            ConfigError: before anything starts.
            RunsFailedError: at the end.
        """
        _check_count("hydra.sweeper.max_batch_size", self.max_batch_size)
        batches = self._batches(arguments)
        if isinstance(self._launcher, PopulationLauncher):
            self._launcher.prepare([job for batch in batches for job in batch])
        returns: list[Sequence[JobReturn]] = []
        for batch in batches:
            returns.append(self._launcher.launch(batch, initial_job_idx=sum(map(len, returns))))
        raise_failures([job for batch in returns for job in batch])
        return returns

    def _batches(self, arguments: list[str]) -> list[list[list[str]]]:
        # Not earlier: Hydra's search for plugins runs this module anew.
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        params = [f"{key}={value}" for key, value in self.params.items()]
        parser = OverridesParser.create(config_loader=self._loader)
        overrides = parser.parse_overrides([*params, *arguments])
        return BasicSweeper.split_arguments(overrides, self.max_batch_size)


class Composer:
    """Composes a multirun's jobs, and composes each combination of groups only once.

    A composition takes about a tenth of a second, setting a value nearly nothing.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        """Take what Hydra hands to a launcher."""
        self._loader, self._master = loader, master
        self._bases: dict[tuple[str, ...], DictConfig] = {}
        self._first: DictConfig | None = None

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one job, without its `hydra` node."""
        parsed = cli_errors.parse(overrides)
        values = [override for override in parsed if _sets_value(override)]
        rest = [override for override in parsed if not _sets_value(override)]
        if not all(_chooses_group(override) for override in rest):
            values, rest = [], parsed  # their order might matter: leave all of it to Hydra
        node = copy.deepcopy(self._base(tuple(str(override.input_line) for override in rest)))
        for override in values:
            OmegaConf.update(node, override.key_or_group, override.value(), merge=True)
        self._first = self._first or node
        OmegaConf.copy_cache(from_config=self._first, to_config=node)  # one ${now:} for all
        check_game(node)
        OmegaConf.resolve(node)
        return node

    def _base(self, overrides: tuple[str, ...]) -> DictConfig:
        if overrides not in self._bases:
            node = self._loader.load_sweep_config(self._master, list(overrides))
            with open_dict(node):
                del node["hydra"]
            self._bases[overrides] = node
        return self._bases[overrides]


def raise_failures(returns: Sequence[JobReturn]) -> None:
    """Raise RunsFailedError for the jobs that are not done, if any."""
    failures = [job._return_value for job in returns if job.status == JobStatus.FAILED]
    if not failures:
        return
    codes = [failure.exit_code for failure in failures]
    open_ = codes.count(EXIT_PREEMPTED)
    total = len(returns)
    said = [f"{len(codes) - open_} of {total} runs failed."] if len(codes) > open_ else []
    if open_:
        said.append(f"{open_} of {total} runs are unfinished: the same command again continues.")
    raise RunsFailedError(" ".join(said), min(codes, key=PRECEDENCE.index))


def _novel_first(jobs: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Jobs that bring an override not seen before go first: what is wrong shows soon."""
    seen: set[str] = set()
    novel: list[tuple[str, ...]] = []
    for job in jobs:
        if not seen.issuperset(job):
            novel.append(job)
            seen.update(job)
    return list(dict.fromkeys([*novel, *jobs]))


def _sets_value(override: Override) -> bool:
    plain = not (override.is_add() or override.is_force_add() or override.is_delete())
    key = override.key_or_group
    known = key in cli_errors.known_keys() and key not in cli_errors.groups()
    return plain and known and override.package is None


def _chooses_group(override: Override) -> bool:
    return override.key_or_group in cli_errors.groups() and isinstance(override.value(), str)


def _check_count(key: str, value: object, least: int = 1) -> None:
    if value is None and least:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        null = ", or null" if least else ""
        raise ConfigError(f"{key}={value!s} must be a whole number of {least} or more{null}.")


def _refuse_duplicates(jobs: Sequence[Job]) -> None:
    seen: dict[tuple[str, str], Job] = {}
    for job in jobs:
        if job.key in seen:
            first, second = (" ".join(each.overrides) for each in (seen[job.key], job))
            raise ConfigError(
                f"The jobs {first} and {second} are the same run {job.config.run_id}: sweep over "
                "what changes a result, or give each its own runs_dir."
            )
        seen[job.key] = job


def _job_return(job: Job, end: End) -> JobReturn:
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
