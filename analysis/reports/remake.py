"""`figures`: every committed table and figure again, from the collected tables beside it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from analysis.cli import DEFAULT_REFERENCE, Command, Output
from analysis.errors import AnalysisError
from analysis.reports import agreement, curves, origin, updates
from analysis.reports.atari import command as atari
from analysis.reports.figure3 import command as figure3
from analysis.reports.pilot import command as pilot
from analysis.reports.reading import command as reading
from analysis.reports.table1 import command as table1
from analysis.runs.collected import is_collected

PLAN = "figures.yaml"
COMMANDS: tuple[Command, ...] = (
    table1.COMMAND,
    curves.COMMAND,
    pilot.COMMAND,
    reading.COMMAND,
    origin.COMMAND,
    figure3.COMMAND,
    agreement.COMMAND,
    updates.COMMAND,
    atari.COMMAND,
)


@dataclass(frozen=True)
class Step:
    """One command of the plan.

    Attributes:
        runs: folder of collected tables, below the results.
        into: folder of what it makes, below the results.
        command: name and options; `{results}` stands for the directory of the results.
    """

    runs: str
    into: str
    command: str


def read_plan(results: Path) -> list[Step]:
    """The steps of `results/figures.yaml`.

    Raises:
        AnalysisError: when it is missing or not a list of steps.
    """
    path = results / PLAN
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [Step(**{key: str(value) for key, value in entry.items()}) for entry in entries]
    except OSError as error:
        raise AnalysisError(
            f"{path} cannot be read ({error.strerror}): give --results the directory that has it."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise AnalysisError(
            f"{path} is no list of steps with runs, into and command ({error})."
        ) from error


def remake(results: Path, steps: Sequence[Step]) -> dict[str, bytes]:
    """What `steps` make, by path below `results`."""
    files: dict[str, bytes] = {}
    for step in steps:
        output = _run_step(results, step)
        files |= {str(Path(step.into) / name): content for name, content in output.files.items()}
    return files


def _run_step(results: Path, step: Step) -> Output:
    name, *words = shlex.split(step.command.replace("{results}", str(results)))
    command = next((command for command in COMMANDS if command.name == name), None)
    if command is None:
        names = ", ".join(command.name for command in COMMANDS)
        raise AnalysisError(f"{results / PLAN} asks for {name}: it can have {names}.")
    parser = argparse.ArgumentParser(prog=f"{PLAN}: {name}")
    command.add_arguments(parser)
    return command.run(parser.parse_args(["--runs", str(results / step.runs), *words]))


def _run(options: argparse.Namespace) -> Output:
    steps = read_plan(options.results)
    there = [step for step in steps if is_collected(options.results / step.runs)]
    absent = sorted({step.runs for step in steps if step not in there})
    files = remake(options.results, there)
    lines = [f"Made again: {', '.join(dict.fromkeys(step.into for step in there)) or 'nothing'}."]
    if absent:
        lines.append(f"Not there yet: {', '.join(absent)}.")
    return Output(files, "\n".join(lines))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results",
        type=Path,
        default=DEFAULT_REFERENCE.parent,
        metavar="DIR",
        help=f"directory that holds {PLAN} and the folders it names (default: results)",
    )


COMMAND = Command(
    "figures", "every committed table and figure again, from collected tables", _add_arguments, _run
)
