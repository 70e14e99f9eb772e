"""`python -m repro env=hopper objective=clip seed=0`: from the command line to run directories."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from repro.config import overrides as cli_errors
from repro.config.compose import register_schema
from repro.config.schema import CONF_DIR, Config
from repro.config.validation import from_omegaconf
from repro.console import ProgressBar, say
from repro.errors import (
    EXIT_BAD_INPUT,
    EXIT_CORRUPT,
    EXIT_CRASHED,
    EXIT_NUMERICAL,
    EXIT_PREEMPTED,
    ConfigError,
    CorruptError,
    StorageError,
)
from repro.sweeps.launcher import RunsFailedError
from repro.training import signals

HELP = """\
Train with PPO and its relatives (arXiv 1707.06347): one run, or with -m a sweep.

  python -m repro env=hopper objective=clip seed=0
  python -m repro -m env=hopper,walker2d objective=clip,kl_adaptive seed=0,1,2
  python -m repro -m +experiment=table1 budget=quick

Groups (group=option; several options, separated by commas, need -m):
{groups}
How far a sweep is: python -m repro.status runs/table1/quick
env must be given; an experiment is written with a plus, +experiment=NAME.
Keys (key=value) and their defaults: python -m repro env=hopper --cfg job
"""


def main() -> None:
    """The command `repro`."""
    signals.install_handlers()
    code = run(sys.argv[1:])
    signals.ignore_further_signals()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says.

    Args:
        arguments: without the program's name.

    Returns:
        0 done, 1 a run crashed or could not be written, 2 bad input, 3 damaged files, 4 a run
        stopped being finite, 75 interrupted or another process's: the same command goes on.
    """
    return guarded(lambda: _run(arguments))


def guarded(act: Callable[[], int]) -> int:
    """An exit code whatever happens, and one sentence on what the user can change."""
    full_errors = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        return act()
    except (ConfigError, *cli_errors.COMPOSITION_ERRORS) as error:
        if full_errors:
            traceback.print_exc()
        say(" ".join(str(cli_errors.sentence(error)).split()), sys.stderr)
        return EXIT_BAD_INPUT
    except RunsFailedError as error:
        say(str(error), sys.stderr)
        return error.exit_code
    except CorruptError as error:
        say(str(error), sys.stderr)
        return EXIT_CORRUPT
    except StorageError as error:
        say(str(error), sys.stderr)
        return EXIT_CRASHED
    except KeyboardInterrupt:
        say("Interrupted: the same command again continues.", sys.stderr)
        return EXIT_PREEMPTED


def _run(arguments: Sequence[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        groups = cli_errors.groups().items()
        print(HELP.format(groups="".join(f"  {k:<11}{', '.join(v)}\n" for k, v in groups)), end="")
        return 0
    options = _parse(arguments)
    cli_errors.check_overrides(options.overrides, options.config_dir)
    try:
        nodes = _compose(arguments)
    except AssertionError as error:
        raise cli_errors.below_null(options.overrides) or error from None
    return max((train(_checked(node, options.overrides)) for node in nodes), default=0)


def _checked(node: DictConfig, overrides: Sequence[str]) -> Config:
    config = from_omegaconf(node)
    cli_errors.check_use(overrides, config)
    return config


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Hydra's options; what argparse says of wrong ones becomes a ConfigError."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return get_args_parser().parse_args(list(arguments))
    except SystemExit as error:
        if not error.code:  # --version
            raise
        last = complaint.getvalue().strip().splitlines()[-1]
        raise ConfigError(f"{last.partition('error: ')[2]}: see --help.") from None


def _compose(arguments: Sequence[str]) -> list[DictConfig]:
    """What Hydra composes for one run; for a multirun nothing, since its launcher trains it."""
    nodes: list[DictConfig] = []

    def keep(node: DictConfig) -> None:
        nodes.append(node)

    register_schema()
    app = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(keep)
    with _hydra_process(arguments):
        app()
    return nodes


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


def train(config: Config) -> int:
    """One run, here and now."""
    from repro.runs import store
    from repro.training import preflight

    preflight.preflight([config])
    directory = config.directory
    if store.is_done(directory):
        say(f"done before: {directory}{_score(directory)}")
        return 0

    from repro.training import loop, pack  # only now: they load torch
    from repro.training.outcome import CORRUPT, LOCKED

    loop.resolve_device(config.device)
    with ProgressBar(1, config.updates * config.batch_size, enabled=config.progress) as bar:
        (outcome,) = pack.run_pack(
            [config], lambda now: bar.update(now.steps, now.failed, now.failed)
        )
        if outcome.status == store.DONE:
            bar.update(bar.steps, 1)
    if outcome.status == CORRUPT:
        say(str(outcome.error), sys.stderr)
        return EXIT_CORRUPT
    if outcome.status == LOCKED:
        say(str(outcome.error), sys.stderr)
        return EXIT_PREEMPTED
    if outcome.status == store.FAILED:
        say(f"{outcome.error} (see {outcome.directory / 'error.log'})", sys.stderr)
        numerical = "failed_iteration" in store.read_run(outcome.directory)
        return EXIT_NUMERICAL if numerical else EXIT_CRASHED
    say(f"done: {directory}{_score(directory)}")
    return 0


def _score(directory: Path) -> str:
    from repro.runs import store

    returns = store.read_table(directory / "episodes.parquet")["return"].tail(100)
    if returns.empty:
        return ""
    return f", mean return of the last {len(returns)} episodes {returns.mean():.1f}"


if __name__ == "__main__":
    main()
