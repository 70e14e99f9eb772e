"""A Hydra sweeper: Hydra's basic grid, checked as a whole before its first run starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from repro.config import grammar
from repro.sweeps.launcher import PopulationLauncher, raise_failures
from repro.sweeps.settings import check_count


class PopulationSweeper(Sweeper):
    """Hydra's basic grid, without its `multirun.yaml`.

    Hydra's own sweeper composes every job once only to see that it can, which takes half a minute
    for the 231 runs of Table 1; our launcher composes them anyway.
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
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run all batches, also after one in which runs failed.

        Raises:
            ConfigError: before anything starts.
            RunsFailedError: at the end.
        """
        batches, launcher = self.batches(arguments), self.launcher
        assert launcher is not None
        if isinstance(launcher, PopulationLauncher):
            launcher.prepare([job for batch in batches for job in batch])
        returns: list[Sequence[JobReturn]] = []
        for batch in batches:
            returns.append(launcher.launch(batch, initial_job_idx=sum(map(len, returns))))
        raise_failures([job for batch in returns for job in batch])
        return returns

    def batches(self, arguments: Sequence[str]) -> list[list[list[str]]]:
        """The grid: the overrides of each job, in batches of `max_batch_size`.

        Raises:
            ConfigError: `max_batch_size` is no number of jobs, or a sweep has no values.
        """
        # Not earlier: Hydra's search for plugins loads this module again.
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        check_count("hydra.sweeper.max_batch_size", self.max_batch_size)
        params = [f"{key}={value}" for key, value in self.params.items()]
        parser = OverridesParser.create(config_loader=self._loader)
        overrides = parser.parse_overrides(grammar.spelled_out([*params, *arguments]))
        return BasicSweeper.split_arguments(overrides, self.max_batch_size)
