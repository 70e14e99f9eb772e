"""`python -m analysis COMMAND`: tables and figures from run directories."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from analysis.cli import Command, write_output
from analysis.errors import AnalysisError
from analysis.reports import (
    agreement,
    collect,
    curves,
    figure1,
    figure2,
    origin,
    remake,
    speed,
    updates,
)
from analysis.reports.atari.command import COMMAND as ATARI
from analysis.reports.figure3.command import COMMAND as FIGURE3
from analysis.reports.pilot.command import COMMAND as PILOT
from analysis.reports.reading.command import COMMAND as READING
from analysis.reports.rlhf.command import COMMAND as RLHF
from analysis.reports.table1.command import COMMAND as TABLE1

REPORTS: tuple[Command, ...] = (
    *(collect.COMMAND, TABLE1, curves.COMMAND, PILOT, READING, updates.COMMAND, origin.COMMAND),
    *(figure1.COMMAND, figure2.COMMAND, FIGURE3, agreement.COMMAND, speed.COMMAND, ATARI, RLHF),
)
COMMANDS = (*REPORTS, remake.command(REPORTS))


class _Parser(argparse.ArgumentParser):
    """argparse without the usage lines before an error: one sentence, exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help).\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(prog="python -m analysis", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.help, description=command.help)
        out = "where the files go; made if needed"
        sub.add_argument("--out", type=Path, required=True, metavar="DIR", help=out)
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0, or 2 after one sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character
            stream.reconfigure(errors="replace")
    options = build_parser().parse_args(arguments)
    try:
        output = options.run(options)
        write_output(output, options.out)
    except AnalysisError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    print(output.text)
    print("\nWrote " + ", ".join(str(options.out / name) for name in output.files))
    return 0


if __name__ == "__main__":
    sys.exit(main())
