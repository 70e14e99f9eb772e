"""`python -m repro.bench NAME ...`: the benchmarks; without a name, `speed`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from repro.cli import finish
from repro.config.names import check_choice

HELP = """\
usage: python -m repro.bench [NAME] [options] [overrides]

  speed    training against physics alone and Stable-Baselines3 on MuJoCo tasks
           (the default)
  peers    programs side by side, each on a core of its own: Stable-Baselines3,
           SBX, CleanRL, EnvPool (make peers)
  scaling  whole commands: start-up time, and a sweep with one worker and with
           several
  atari    training against Stable-Baselines3 on an Atari game, and the floors
           of both parts
  gpu      packs, games and humanoids on a GPU and on this processor

The options of each: python -m repro.bench NAME --help
"""
NAMES = ("speed", "peers", "scaling", "atari", "gpu")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark that the command line names, and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in (["-h"], ["--help"]):
        print(HELP, end="")
        return 0
    # Overrides of the configuration contain an equals sign, names of benchmarks do not.
    named = bool(given) and not given[0].startswith("-") and "=" not in given[0]
    name = given.pop(0) if named else "speed"

    def run() -> None:
        check_choice("NAME", name, NAMES)
        importlib.import_module(f"repro.bench.{name}").run(given)

    return finish(run)


if __name__ == "__main__":
    sys.exit(main())
