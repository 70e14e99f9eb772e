"""What the command line asks for: the configuration of a run, or what Hydra's options say."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

import hydra
from omegaconf import DictConfig

from repro.config import grammar
from repro.config.compose import compose, register_schema
from repro.config.hydra_errors import translated
from repro.config.options import parse as parse_options
from repro.config.overrides import check_overrides, check_use
from repro.config.schema import CONF_DIR, Config
from repro.config.validation import from_omegaconf


def configurations(arguments: Sequence[str]) -> list[Config]:
    """The configuration of a single run; of a sweep none, since its launcher trains it.

    Raises:
        ConfigError: arguments that cannot be read, or a configuration that cannot run.
    """
    if not any(each.startswith("-") or "hydra" in each for each in arguments):
        return [compose(*arguments)]  # Hydra itself would compose twice
    options = parse_options(arguments)
    check_overrides(options.overrides, options.config_dir)
    return _through_hydra(arguments, options)


def _through_hydra(arguments: Sequence[str], options: argparse.Namespace) -> list[Config]:
    """Let Hydra do what its options say.

    Args:
        arguments: all of them.
        options: what they mean.
    """
    given = grammar.spelled_out(options.overrides)
    if options.multirun:
        grammar.refuse_empty(grammar.parse(given))
        grammar.refuse_foreign(given)
    overrides = grammar.deferred(given) if options.multirun else given
    nodes: list[DictConfig] = []

    def keep(node: DictConfig) -> None:
        nodes.append(node)

    register_schema()
    app = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(keep)
    with translated(given):
        with _hydra_process([*_without(arguments, options.overrides), *overrides]):
            try:
                app()
            except SystemExit as error:  # --hydra-help ends with 0
                if error.code:
                    raise
        configs = [from_omegaconf(node) for node in nodes]
    for config in configs:
        check_use(given, config)
    return configs


def _without(arguments: Sequence[str], given: Sequence[str]) -> list[str]:
    """The arguments but for the overrides, which Hydra wants in one piece behind them.

    Args:
        arguments: all of them.
        given: the overrides, in their order.
    """
    rest = iter(given)
    following = next(rest, None)
    options = []
    for argument in arguments:
        if argument == following:
            following = next(rest, None)
        else:
            options.append(argument)
    return options


@contextlib.contextmanager
def _hydra_process(arguments: Sequence[str]) -> Iterator[None]:
    """Hydra reads the process's arguments, and shows exceptions only where this is set."""
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [argv[0], *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full
