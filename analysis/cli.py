"""What the commands share: their options, and the writing of their files."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import operator
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing import tables
from analysis.drawing.style import pdf, png
from analysis.errors import AnalysisError
from analysis.runs import selection
from analysis.runs.comparison import DEFAULT_OBJECTIVE
from analysis.runs.curves import POINTS as DEFAULT_POINTS
from analysis.runs.run import Sweep
from analysis.settings import BEST, DEFAULTS, RANDOM_POLICIES, Settings
from repro.runs import store

Argument = Callable[[argparse.ArgumentParser], object]
# A file's text, table, values (as JSON), picture (by what draws it) or bytes.
Content = str | pd.DataFrame | Mapping[str, Any] | Callable[[], Figure] | bytes
Files = Mapping[str, Content]  # by path below `--out`


class Given(argparse.Namespace):
    """The options of a command, and what some of them stand for."""

    @property
    def line(self) -> str:
        """The command line, to be given again."""
        return f"python -m analysis {shlex.join(self.words)}"

    @property
    def place(self) -> Path:
        """Where the files go.

        Raises:
            AnalysisError: that is not said, and not one directory of runs either.
        """
        if self.out is not None:
            return Path(self.out)
        runs = vars(self).get("runs") or []
        if len(runs) != 1:
            raise AnalysisError(
                f"Nothing says where the files of {self.command} go: add --out DIR."
            )
        return Path(runs[0]) / "tables"

    @property
    def sweep(self) -> Sweep:
        """The sweep that the options of `RUNS` choose."""
        return selection.selected(self.runs, self.where, self.budget, self.recipe)

    @property
    def settings(self) -> Settings:
        """The options that are `Settings`, as far as the command has them."""
        names = {field.name for field in dataclasses.fields(Settings)}
        return Settings(**{name: value for name, value in vars(self).items() if name in names})


@dataclass(frozen=True)
class Output:
    """What a command made: its files, and `text` for the terminal."""

    contents: Files
    text: str

    def files(self, with_pdf: bool = False) -> dict[str, bytes]:
        """The files as they are written; each figure also as a PDF, on demand."""
        found = {name: _encoded(content) for name, content in self.contents.items()}
        if with_pdf:
            pictures = {name: draw for name, draw in self.contents.items() if callable(draw)}
            found |= {f"{Path(n).with_suffix('.pdf')}": pdf(draw) for n, draw in pictures.items()}
        return found


def _encoded(content: Content) -> bytes:
    match content:
        case bytes():
            return content
        case str():
            return f"{content}\n".encode()
        case pd.DataFrame():
            return tables.csv(content)
        case Mapping():
            return tables.as_json(content)
    return png(content)


@dataclass(frozen=True)
class Command:
    """What `python -m analysis NAME` does; `--out` is among its options already."""

    name: str
    help: str
    run: Callable[[Given], Output]
    arguments: tuple[Argument, ...]


def command(name: str, *arguments: Argument) -> Callable[[Callable[[Given], Output]], Command]:
    """Make a function of its options a `Command`; its docstring is the help."""
    return lambda run: Command(name, run.__doc__ or "", run, arguments)


def write_output(output: Output, directory: Path, with_pdf: bool = False) -> list[Path]:
    """Put every file in `directory`, each atomically; their paths.

    Raises:
        AnalysisError: where that is impossible.
    """
    files = output.files(with_pdf)
    try:
        for name, content in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            store.write_atomically(path, operator.methodcaller("write", content))
    except OSError as error:
        raise AnalysisError(
            f"--out {directory} cannot be written ({error.strerror}): choose another directory."
        ) from error
    return [directory / name for name in files]


def integer_from(minimum: int) -> Callable[[str], int]:
    """An argparse type: whole numbers of `minimum` or more."""

    def parse(text: str) -> int:
        with contextlib.suppress(ValueError):
            if (value := int(text)) >= minimum:
                return value
        raise argparse.ArgumentTypeError(f"{text} is no whole number of {minimum} or more")

    return parse


def option(name: str, help: str, **how: Any) -> Argument:
    """One option, as `ArgumentParser.add_argument` takes it."""
    return lambda parser: parser.add_argument(name, help=help, **how)


def options(*arguments: Argument) -> Argument:
    """Several options as one."""
    return lambda parser: [add(parser) for add in arguments]


MANY: dict[str, Any] = {"type": Path, "nargs": "+", "required": True, "metavar": "DIR"}
DIRECTORIES = option("--runs", "directories that hold run directories", **MANY)
_WHERE = (
    "only runs with this value of a run.json field or dotted config key; KEY!=VALUE for the "
    "others; repeatable"
)
RUNS = options(  # and which of the runs found there
    DIRECTORIES,
    option("--budget", "only runs of this budget", metavar="NAME"),
    option("--recipe", "only runs of this recipe", metavar="NAME"),
    option("--where", _WHERE, action="append", default=[], metavar="KEY=VALUE"),
)
_HUNDRED, _ZERO, _ONE = (integer_from(minimum) for minimum in (100, 0, 1))
_LAST = "last training episodes that count"
REPLICATES = options(
    option("--replicates", "of each estimate", type=_HUNDRED, default=DEFAULTS.replicates),
    option("--seed", "seed of the replicates", type=_ZERO, default=DEFAULTS.seed),
)
BOOTSTRAP = options(REPLICATES, option("--episodes", _LAST, type=_ONE, default=DEFAULTS.episodes))
_NUMBERS = "the paper's numbers and the random policies' (default: results/reference)"
REFERENCE = option("--reference", _NUMBERS, type=Path, default=DEFAULTS.reference, metavar="DIR")
_RANDOM = "the random policy that scores 0 (default: unit Gaussian, not clipped)"
SCALE = options(
    option(
        "--best", "best result: a single run, or a row's mean", choices=BEST, default=DEFAULTS.best
    ),
    option("--random", _RANDOM, choices=tuple(RANDOM_POLICIES), default=DEFAULTS.random),
)
_OTHERS = "the surrogate of PPO's runs; those with another are left out (default: clip_0.2)"
OBJECTIVE = option("--objective", _OTHERS, default=DEFAULT_OBJECTIVE, metavar="LABEL")
_UNTIL = "runs as they were at this step; those with equal schedules are equal until there"
UNTIL = option("--until", _UNTIL, type=integer_from(1), metavar="STEP")
POINTS = option("--points", "steps on the grid", type=integer_from(2), default=DEFAULT_POINTS)
