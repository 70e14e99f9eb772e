"""`python -m repro.explain NAME`: the measurements behind the explanatory figures."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from repro.cli import Parser, finish
from repro.config.names import check_choice
from repro.console import say
from repro.explain.tables import write

NAMES = (
    *("statistics", "intuition", "derivation", "variance", "gae"),
    *("motivation", "trust_region", "clip", "paths"),
)
OUT = Path("results/explain")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the tables that the command line names, and return the exit code."""
    parser = Parser(prog="python -m repro.explain", description=__doc__)
    what = f"{', '.join(NAMES)}; or all"
    parser.add_argument("name", metavar="NAME", help=what)
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help=f"default: {OUT}")

    def run() -> None:
        options = parser.parse_args(arguments)
        check_choice("NAME", options.name, (*NAMES, "all"))
        for name in NAMES if options.name == "all" else (options.name,):
            start = time.process_time()
            tables = importlib.import_module(f"repro.explain.{name}").measure()
            for path in write(tables, name, options.out):
                say(f"{path}")
            say(f"{name}: {time.process_time() - start:.0f} s of CPU time")

    return finish(run)


if __name__ == "__main__":
    sys.exit(main())
