"""What a command is: a name, its options, and a function from options to the text to print."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from analysis.errors import AnalysisError
from analysis.published.paper import RANDOM_POLICIES
from analysis.statistics.scoring import BEST
from repro.runs import store

_PACKAGE = Path(__file__).resolve().parent
_PACKAGED = _PACKAGE / "reference"  # in a wheel; a checkout has it in results
DEFAULT_REFERENCE = _PACKAGED if _PACKAGED.is_dir() else _PACKAGE.parent / "results" / "reference"


@dataclass(frozen=True)
class Command:
    """An entry of `analysis.__main__.COMMANDS`; a new one needs nothing else.

    Attributes:
        name: what follows `python -m analysis`.
        help: one line.
        add_arguments: declares the options (`--out` is there already).
        run: parsed options -> files to write by name, and the text to print.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Output]


@dataclass(frozen=True)
class Output:
    """What a command made: `files` by path below `--out`, and `text` for the terminal."""

    files: Mapping[str, bytes]
    text: str


def write_output(output: Output, directory: Path) -> None:
    """Put every file in `directory`, each atomically.

    Raises:
        AnalysisError: where `directory` cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in output.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content)
    except OSError as error:
        raise AnalysisError(
            f"--out {directory} cannot be written ({error.strerror}): choose another directory."
        ) from error


def _write(path: Path, content: bytes) -> None:
    store.write_atomically(path, lambda file: file.write(content))


def integer_from(minimum: int) -> Callable[[str], int]:
    """An argparse type: whole numbers of `minimum` or more."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            raise argparse.ArgumentTypeError(f"{text} is no whole number of {minimum} or more")
        return value

    return parse


def add_runs_arguments(parser: argparse.ArgumentParser) -> None:
    """`--runs` and the options that select among the runs found there."""
    parser.add_argument(
        "--runs",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="directories that hold run directories",
    )
    parser.add_argument("--budget", metavar="NAME", help="only runs of this budget")
    parser.add_argument("--recipe", metavar="NAME", help="only runs of this recipe")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only runs with this value of a run.json field or dotted config key; "
        "KEY!=VALUE for the others; repeatable",
    )


def add_bootstrap_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of every command that computes scores and intervals."""
    parser.add_argument(
        "--replicates", type=integer_from(100), default=2000, help="bootstrap replicates"
    )
    parser.add_argument("--seed", type=integer_from(0), default=0, help="seed of the bootstrap")
    parser.add_argument(
        "--episodes", type=integer_from(1), default=100, help="last training episodes that count"
    )


def add_reference_argument(parser: argparse.ArgumentParser) -> None:
    """`--reference`: where the paper's numbers and the random policies' are."""
    parser.add_argument(
        "--reference",
        type=Path,
        default=DEFAULT_REFERENCE,
        metavar="DIR",
        help="the paper's numbers and the random policies' (default: results/reference)",
    )


def add_scale_arguments(parser: argparse.ArgumentParser) -> None:
    """The two things that the paper's score leaves open: what is 1, and what is 0."""
    parser.add_argument(
        "--best", choices=BEST, default="run", help="best result: a single run, or a row's mean"
    )
    parser.add_argument(
        "--random",
        choices=tuple(RANDOM_POLICIES),
        default="gaussian",
        help="the random policy that scores 0 (default: unit Gaussian, not clipped)",
    )
