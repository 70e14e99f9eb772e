"""`python -m repro.publish RUN_DIR --out DIR`: a policy as a folder for the Hugging Face Hub."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from repro.cli import Parser, at_least, finish, loaded, start
from repro.console import say
from repro.errors import ConfigError
from repro.runs.finished import open_run

HELP = """\
Write the policy of a finished run as a folder in the form that the Hugging Face Hub expects: a card
with the measured return, config.yaml, the parameters without a pickle, and a film. Nothing leaves
this machine unless --upload says where to. RUN_DIR may be the name of a committed policy, such as
half_cheetah/clip_0.2/3. Several runs get a folder each, DIR/ENV/OBJECTIVE/SEED.
"""


def main() -> None:
    """The command."""
    sys.exit(start(run))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    return finish(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> None:
    parser = Parser(prog="python -m repro.publish", description=HELP)
    parser.add_argument("directories", metavar="RUN_DIR", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="a new folder")
    parser.add_argument(
        "--episodes", type=at_least(2), default=20, help="of the evaluation; default 20"
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="likewise; default 0")
    parser.add_argument("--no-film", action="store_true", help="draw nothing")
    parser.add_argument("--upload", metavar="USER/NAME", help="also send it to the Hub")
    options = parser.parse_args(arguments)
    runs = [open_run(directory) for directory in options.directories]
    if len(runs) > 1 and options.upload:
        raise ConfigError("--upload takes one run: a repository of the Hub holds one policy.")

    # Only now, since it loads torch: bad input is refused within a moment.
    from repro.evaluation import publishing

    settings = publishing.Settings(options.episodes, options.seed, not options.no_film)
    places = [options.out]
    if len(runs) > 1:
        places = [options.out / publishing.name_of(each) for each in runs]
    for each, place in zip(runs, places, strict=True):
        publishing.check(each, place, settings)
    if options.upload:
        publishing.check_upload(options.upload)
    loaded()
    for each, place in zip(runs, places, strict=True):
        info = publishing.write(each, place, settings)
        found = info["published"]["evaluation"]
        say(f"{each.run_id}: mean return {found['mean']:,.2f}: {place}")
    if options.upload:
        say(f"uploaded: {publishing.upload(options.out, options.upload)}")


if __name__ == "__main__":
    main()
