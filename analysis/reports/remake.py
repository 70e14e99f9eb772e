"""`figures`: every committed table and figure again, from the collected tables beside it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from analysis import cli
from analysis.cli import Command, Given, Output, options
from analysis.errors import AnalysisError, reading
from analysis.runs.collected import is_collected
from analysis.settings import DEFAULT_REFERENCE

PLAN = "figures.yaml"


@dataclass(frozen=True)
class Step:
    """One command of the plan; all folders are below the directory of the results."""

    into: str  # folder of what it makes
    command: str  # name and options; `{results}` stands for the directory of the results
    runs: str = ""  # folder of collected tables, several with spaces between, or none

    @property
    def folders(self) -> list[str]:
        """Those of `runs`; the first one keeps what is made."""
        return self.runs.split()


def read_plan(results: Path) -> list[Step]:
    """The steps of `results/figures.yaml`.

    Raises:
        AnalysisError: when it is missing or not a list of steps.
    """
    path = results / PLAN
    with reading(path, "give --results a directory that has a list of steps there"):
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [Step(**{key: str(value) for key, value in entry.items()}) for entry in entries]


def remake(results: Path, steps: Sequence[Step], commands: Sequence[Command]) -> dict[str, bytes]:
    """What `steps` make with `commands`, by path below `results`."""
    named, files = {command.name: command for command in commands}, dict[str, bytes]()
    for step in steps:
        name, *words = shlex.split(step.command.replace("{results}", str(results)))
        if name not in named:
            names = ", ".join(named)
            raise AnalysisError(f"{results / PLAN} asks for {name}: it can have {names}.")
        parser = argparse.ArgumentParser(prog=f"{PLAN}: {name}")
        options(*named[name].arguments)(parser)
        if step.folders:
            words += ["--runs", *(str(results / folder) for folder in step.folders)]
        made = named[name].run(parser.parse_args(words, Given())).files()
        files |= {str(Path(step.into) / path): content for path, content in made.items()}
    return files


_WHERE = f"directory that holds {PLAN} and the folders it names (default: results)"
_HOME = DEFAULT_REFERENCE.parent
_RESULTS = cli.option("--results", _WHERE, type=Path, default=_HOME, metavar="DIR")


def command(commands: Sequence[Command]) -> Command:
    """The command `figures`, whose plan names some of `commands`."""

    @cli.command("figures", _RESULTS)
    def figures(given: Given) -> Output:
        """Every committed table and figure again, from collected tables."""
        steps = read_plan(given.results)
        named = {folder for step in steps for folder in step.folders}
        absent = sorted(name for name in named if not is_collected(given.results / name))
        there = [step for step in steps if not set(step.folders) & set(absent)]
        files = remake(given.results, there, commands)
        made = ", ".join(dict.fromkeys(step.into for step in there)) or "nothing"
        missing = f"\nNot there yet: {', '.join(absent)}." if absent else ""
        return Output(files, f"Made again: {made}.{missing}")

    return figures
