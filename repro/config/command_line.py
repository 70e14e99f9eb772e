"""What the command line asks for: the configuration of a run, or what Hydra's options say."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from repro.config.compose import compose, register_schema
from repro.config.hydra_errors import translated
from repro.config.overrides import check_overrides, check_use
from repro.config.schema import CONF_DIR, Config
from repro.config.validation import from_omegaconf
from repro.errors import ConfigError


def configurations(arguments: Sequence[str]) -> list[Config]:
    """The configuration of a single run; of a sweep none, since its launcher trains it.

    Raises:
        ConfigError: arguments that cannot be read, or a configuration that cannot run.
    """
    if not any(each.startswith("-") or "hydra" in each for each in arguments):
        return [compose(*arguments)]  # Hydra itself would compose twice
    options = _parse(arguments)
    check_overrides(options.overrides, options.config_dir)
    return _through_hydra(arguments, options.overrides)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Hydra's options; what argparse says of wrong ones becomes a ConfigError."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return get_args_parser().parse_intermixed_args(list(arguments))
    except SystemExit:
        last = complaint.getvalue().strip().splitlines()[-1]
        raise ConfigError(f"{last.partition('error: ')[2]}: see --help.") from None


def _through_hydra(arguments: Sequence[str], given: Sequence[str]) -> list[Config]:
    """Let Hydra do what its options say.

    Args:
        arguments: all of them.
        given: the overrides among them, in their order.
    """
    nodes: list[DictConfig] = []

    def keep(node: DictConfig) -> None:
        nodes.append(node)

    register_schema()
    app = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(keep)
    with translated(given):
        with _hydra_process(_options_first(arguments, given)):
            try:
                app()
            except SystemExit as error:  # --hydra-help ends with 0
                if error.code:
                    raise
        configs = [from_omegaconf(node) for node in nodes]
    for config in configs:
        check_use(given, config)
    return configs


def _options_first(arguments: Sequence[str], given: Sequence[str]) -> list[str]:
    """The same arguments in an order that Hydra can read: it wants its overrides in one piece."""
    rest = iter(given)
    following = next(rest, None)
    options = []
    for argument in arguments:
        if argument == following:
            following = next(rest, None)
        else:
            options.append(argument)
    return [*options, *given]


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
