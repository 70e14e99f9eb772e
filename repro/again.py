"""`python -m repro.again DIR`: continue one run from its directory, whatever command started it.

A failed run reproduces its failure, in its own directory or in a copy that leaves the original
alone: the directory holds all that this needs.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from repro.cli import CONTINUES, Parser, finish
from repro.config.run import RunConfig
from repro.config.validation import from_dict
from repro.errors import ConfigError
from repro.language import compose as language
from repro.runs import store
from repro.sweeps import sweep
from repro.training import signals

HELP = """\
Continue the run in DIR, whatever command began it: from its newest
checkpoint, or from the beginning if it has none. A run that failed is tried
again, and comes to the same failure if nothing has changed. To keep its files
as they are, copy DIR to another folder under the same name first.

examples:
  python -m repro.again runs/Hopper-v4_ppo_clip_0.2_s0_1f0c5a97
  cp -r runs/RUN copies/ && python -m repro.again copies/RUN
"""
EPILOG = """\
exit code: as that of repro
"""


def main() -> None:
    """The command."""
    signals.main(run)


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code, as `repro` does."""
    return finish(lambda: _run(arguments), CONTINUES)


def _run(arguments: Sequence[str]) -> None:
    parser = Parser(
        prog="python -m repro.again",
        description=HELP,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="a run's directory")
    sweep.train_one(configuration(parser.parse_args(arguments).directory))


def configuration(directory: Path) -> RunConfig:
    """The configuration of the run in `directory`, as if it had been started there.

    Raises:
        ConfigError: no run is there, or one of another configuration than its name says.
        CorruptError: its config.yaml is damaged.
    """
    if not (directory / "config.yaml").is_file():
        raise ConfigError(f"{directory} holds no config.yaml: give a run's directory.")
    values = store.read_config(directory)
    config: RunConfig = (
        language.from_dict(values, directory) if "stage" in values else from_dict(values)
    )
    config = dataclasses.replace(config, runs_dir=str(directory.parent), resume="exact")
    if config.directory.resolve() != directory.resolve():
        raise ConfigError(
            f"{directory} holds the run {config.run_id}: give its directory that name again."
        )
    return config


if __name__ == "__main__":
    main()
