"""The grid of a sweep, composed outside of Hydra's command line."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.types import HydraContext, RunMode
from hydra.version import VersionBase
from omegaconf import OmegaConf
from omegaconf.basecontainer import BaseContainer

from repro.config import grammar, overrides, quoting
from repro.config.compose import register_schema
from repro.config.hydra_errors import translated
from repro.config.schema import CONF_DIR, Config
from repro.errors import ConfigError
from repro.sweeps.launcher import PopulationLauncher
from repro.sweeps.settings import Settings
from repro.sweeps.sweeper import PopulationSweeper

_STATE = threading.RLock()


class Grid(NamedTuple):
    """The runs that overrides ask for.

    Attributes:
        batches: the configurations, as `hydra.sweeper.max_batch_size` cuts them.
        settings: how they are spread over processes.
        swept: whether any key has several values, or an experiment sweeps over some.
    """

    batches: list[list[Config]]
    settings: Settings
    swept: bool


def compose(given: Sequence[str], config_dir: str | None = None) -> Grid:
    """What `repro -m OVERRIDES` would train; Hydra's global state is left as it was.

    Args:
        given: the overrides.
        config_dir: where options are besides `conf`.

    Raises:
        ConfigError: the first mistake.
    """
    overrides.check_overrides(given, config_dir)
    given = grammar.spelled_out(given)
    if config_dir is not None:
        place = os.path.abspath(config_dir)
        given = [*given, quoting.override("hydra.searchpath", (f"file://{place}",))]
    with _own_state(), translated(given):
        register_schema()
        with initialize_config_dir(str(CONF_DIR), job_name="repro", version_base="1.3"):
            return _compose(given)


def compose_each(given: Sequence[str], jobs: Sequence[Sequence[str]]) -> Grid:
    """One run a job: the overrides that all of them share, and those of each.

    Args:
        given: overrides of all jobs, without a sweep.
        jobs: overrides of each; no two may make the same run.

    Returns:
        One batch, in the order of the jobs.

    Raises:
        ConfigError: the first mistake.
    """
    overrides.check_overrides([*given, *dict.fromkeys(each for job in jobs for each in job)])
    given = grammar.spelled_out(given)
    with _own_state(), translated(given):
        register_schema()
        with initialize_config_dir(str(CONF_DIR), job_name="repro", version_base="1.3"):
            sweeper, launcher, arguments = _plugins(given)
            shared = [job for batch in sweeper.batches(arguments) for job in batch]
            if len(shared) != 1:
                raise ConfigError(
                    f"{' '.join(given)} is a sweep of {len(shared)} runs: give one setting."
                )
            composed = launcher.compose([[*shared[0], *job] for job in jobs])
    return Grid([[job.config for job in composed]], launcher.settings, True)


def _compose(given: Sequence[str]) -> Grid:
    sweeper, launcher, arguments = _plugins(given)
    batches = sweeper.batches(arguments)
    jobs = iter(launcher.compose([job for batch in batches for job in batch]))
    return Grid(
        [[next(jobs).config for _ in batch] for batch in batches],
        launcher.settings,
        bool(sweeper.params) or any(each.is_sweep_override() for each in grammar.parse(given)),
    )


def _plugins(given: Sequence[str]) -> tuple[PopulationSweeper, PopulationLauncher, list[str]]:
    """The sweeper and the launcher of a sweep, and its overrides."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    master = hydra.compose_config(
        "config", grammar.deferred(given), RunMode.MULTIRUN, with_log_configuration=False
    )
    sweeper = Plugins.instance().instantiate_sweeper(
        hydra_context=HydraContext(hydra.config_loader, Callbacks(master)),
        task_function=lambda _: None,
        config=master,
    )
    launcher = sweeper.launcher
    if not (isinstance(sweeper, PopulationSweeper) and isinstance(launcher, PopulationLauncher)):
        raise ConfigError(
            "hydra/sweeper and hydra/launcher can be chosen on the command line only: leave them "
            "out."
        )
    arguments = OmegaConf.to_container(master.hydra.overrides.task)
    assert isinstance(arguments, list)
    return sweeper, launcher, arguments


@contextlib.contextmanager
def _own_state() -> Iterator[None]:
    """Put Hydra's and OmegaConf's global state back at the end: the caller may use them too."""
    with _STATE:
        Plugins.instance()  # first: loading plugins adds to the store that is to stay
        configs = ConfigStore.instance().repo
        before, resolvers = Singleton._instances, BaseContainer._resolvers
        ours = (ConfigStore, GlobalHydra, HydraConfig, JobRuntime, VersionBase)
        Singleton._instances = {kind: each for kind, each in before.items() if kind not in ours}
        ConfigStore.instance().repo = dict(configs)
        BaseContainer._resolvers = dict(resolvers)
        try:
            yield
        finally:
            Singleton._instances = before
            BaseContainer._resolvers = resolvers
