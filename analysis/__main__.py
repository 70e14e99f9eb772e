"""`python -m analysis COMMAND`: tables and figures from run directories."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from analysis.cli import Command, Given, options, write_output
from analysis.errors import AnalysisError
from analysis.reports import remake

# The modules of `reports`, in the order of the help.
_NAMES = (
    *("collect", "table1", "curves", "pilot", "reading", "seeds", "search", "updates", "origin"),
    *("report", "figure1", "figure2", "figure3", "figure4", "figure5", "measures", "agreement"),
    *("speed", "gpu", "peers", "atari", "rlhf", "tokens", "explain", "living", "claims"),
)
REPORTS: tuple[Command, ...] = tuple(
    import_module(f"analysis.reports.{name}").command for name in _NAMES
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
        out = "where the files go; made if needed (default: tables in the directory of --runs)"
        sub.add_argument("--out", type=Path, metavar="DIR", help=out)
        as_pdf = "each figure also as PDF, as wide as a column or the page, fonts embedded"
        sub.add_argument("--pdf", action="store_true", help=as_pdf)
        options(*command.arguments)(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0, or 2 after one sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character
            stream.reconfigure(errors="replace")
    words = sys.argv[1:] if arguments is None else arguments
    given = build_parser().parse_args(words, Given(words=words))
    try:
        out = given.place
        output = given.run(given)
        paths = write_output(output, out, given.pdf)
    except AnalysisError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    print(output.text)
    print("\nWrote " + ", ".join(map(str, paths)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
