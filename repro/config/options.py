"""The options of `python -m repro`: Hydra's, as far as they have a meaning here, and our own."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Sequence

from hydra._internal.utils import get_args_parser

from repro.config.grammar import parse as parse_overrides
from repro.config.grammar import spelled_out
from repro.errors import ConfigError

CONFIG_NAME = "config"
_MODES = ("run", "multirun", "cfg", "info")  # Hydra does one of them


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Hydra's options, and `dry_run`.

    Raises:
        ConfigError: an option that is not known, or has no meaning here.
    """
    complaint = io.StringIO()
    parser = get_args_parser()
    parser.add_argument("--dry-run", action="store_true")
    try:
        with contextlib.redirect_stderr(complaint):
            options = parser.parse_intermixed_args(list(arguments))
    except SystemExit:
        last = complaint.getvalue().strip().splitlines()[-1]
        raise ConfigError(f"{last.partition('error: ')[2]}: see --help.") from None
    _check(options)
    options.multirun = options.multirun or _is_multirun(options.overrides)
    return options


def _check(options: argparse.Namespace) -> None:
    if options.config_name not in (None, CONFIG_NAME):
        raise ConfigError(
            f"--config-name={options.config_name}: there is one configuration, whose groups are "
            "chosen by overrides such as env=hopper; files of your own go below --config-dir."
        )
    if options.config_path is not None:
        raise ConfigError(
            f"--config-path={options.config_path}: the configuration is the project's own; files "
            "of your own go below --config-dir."
        )
    if options.experimental_rerun is not None:
        raise ConfigError(
            f"--experimental-rerun={options.experimental_rerun}: no file of that kind is written "
            "here. python -m repro.again RUN continues a run, and the same command again does too."
        )
    if options.shell_completion:
        raise ConfigError("--shell-completion is not offered: see --help for what can be said.")
    given = [f"--{name}" for name in _MODES if getattr(options, name)]
    given += ["--dry-run"] if options.dry_run else []
    if len(given) > 1 and set(given) != {"--multirun", "--dry-run"}:
        raise ConfigError(
            f"{given[0]} and {given[1]} cannot be combined: leave one of them out. -m --dry-run "
            "shows the runs of a sweep, --cfg job the configuration of one run."
        )


def _is_multirun(overrides: Sequence[str]) -> bool:
    """Whether `hydra.mode` asks for what `-m` does."""
    parsed = parse_overrides(spelled_out(overrides))
    modes = [each.value() for each in parsed if each.key_or_group == "hydra.mode"]
    return "MULTIRUN" in map(str, modes)
