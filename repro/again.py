"""`python -m repro.again DIR`: one run goes on from its directory, whatever command began it.

A run that failed comes to the same place again, in its own directory or, to leave that as it is, in
a copy: everything that it takes is in there.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from repro.__main__ import guarded, train
from repro.config.schema import Config
from repro.config.validation import from_dict
from repro.errors import ConfigError
from repro.runs import store
from repro.training import signals


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m repro.again", description=__doc__)
    parser.add_argument("directory", metavar="DIR", type=Path, help="a run's directory")
    directory = parser.parse_args().directory
    signals.install_handlers()
    code = guarded(lambda: train(configuration(directory)))
    signals.ignore_further_signals()
    sys.exit(code)


def configuration(directory: Path) -> Config:
    """Of the run that lies in `directory`, and as if it had been begun there.

    Raises:
        ConfigError: no run lies there, or that of another configuration than its name says.
        CorruptError: its config.yaml is damaged.
    """
    if not (directory / "config.yaml").is_file():
        raise ConfigError(f"{directory} holds no config.yaml: give a run's directory.")
    config = from_dict(store.read_config(directory))
    config = dataclasses.replace(config, runs_dir=str(directory.parent), resume="exact")
    if config.directory.resolve() != directory.resolve():
        raise ConfigError(
            f"{directory} holds the run {config.run_id}: give its directory that name again."
        )
    return config


if __name__ == "__main__":
    main()
