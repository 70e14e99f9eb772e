"""What a sweep would do, without doing it: `python -m repro -m ... --dry-run`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from repro.cli import loaded
from repro.config.options import parse as parse_options
from repro.config.schema import Config
from repro.console import folded, say
from repro.errors import ConfigError
from repro.sweeps import summary, sweep
from repro.sweeps.grid import compose
from repro.sweeps.settings import Settings
from repro.training import preflight

if TYPE_CHECKING:  # it loads torch
    from repro.sweeps.packs import Pack


def show(arguments: Sequence[str]) -> None:
    """Say which runs there are, how they are packed, their steps, and the time that is left.

    Nothing is written. The time is measured: a few iterations of each sort of pack are trained.

    Args:
        arguments: of the command line.

    Raises:
        ConfigError: bad input, or runs that are impossible on this machine.
    """
    options = parse_options(arguments)
    grid = compose(options.overrides, options.config_dir)
    if grid.swept and not options.multirun:
        raise ConfigError("--dry-run of several values: to run each of them, add -m.")
    settings = grid.settings if options.multirun else Settings(backend="serial")
    preflight.preflight([config for batch in grid.batches for config in batch])
    for batch in grid.batches:
        _show(batch, settings)


def _show(configs: Sequence[Config], settings: Settings) -> None:
    before = [sweep.ended_before(config) for config in configs]
    waiting = [each for each, ended in zip(configs, before, strict=True) if ended is None]
    if not waiting:
        summary.heading(before, 0, 0)
        return
    plan, processes = sweep.planned(waiting, settings)
    summary.heading(before, len(plan), processes)
    from repro.sweeps import forecast  # only now: it loads torch

    loaded()
    seconds = forecast.seconds(plan, processes)
    for pack, own in zip(plan, seconds, strict=True):
        say(folded(f"{_described(pack)}: {_steps(pack.steps)}, about {duration(own)}"))
    total = forecast.elapsed(seconds, processes)
    steps = _steps(sum(pack.steps for pack in plan))
    say(f"{steps} in about {duration(total)} if nothing else runs here. Nothing was trained.")


def _described(pack: Pack) -> str:
    configs = [each for each in pack.configs if isinstance(each, Config)]
    first = configs[0]
    labels = dict.fromkeys(each.objective_label for each in configs if each.objective_label)
    seeds = [str(seed) for seed in sorted({each.seed for each in pack.configs})]
    words = [first.env.id, first.algorithm.name, *labels]
    runs = f"{len(pack.configs)} run{'' if len(pack.configs) == 1 else 's'}"
    return f"{runs}: {' '.join(words)}, seed{'s' if len(seeds) > 1 else ''} {' '.join(seeds)}"


def _steps(number: int) -> str:
    return f"{number:,} steps"


def duration(seconds: float) -> str:
    """`50 s`, `12 min` or `3.4 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
