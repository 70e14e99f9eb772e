"""`python -m repro.tune KEY=interval(A,B) ...`: a search for good settings, in packs."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from repro.cli import CONTINUES, Parser, at_least, finish
from repro.errors import ConfigError, installation
from repro.training import signals

HELP = """\
Search for good settings with Optuna. It proposes a round of settings, which
train together in packs; at each rung the best of them go on, and the others
are pruned.

usage:
  python -m repro.tune env=NAME [GROUP=CHOICE ...] KEY=SPACE [KEY=SPACE ...]

a SPACE is
  'interval(0.05,0.4)'               real numbers
  'tag(log,interval(1e-5,1e-2))'     on a logarithmic scale
  'int(interval(1,20))'              whole numbers
  0.1,0.2,0.3                        a choice, also between options

examples:
  python -m repro.tune env=reacher budget=quick \\
    'algorithm.learning_rate=tag(log,interval(1e-5,1e-2))' \\
    'objective.epsilon=interval(0.05,0.4)'
  python -m repro.tune env=reacher total_timesteps=100000 --seeds 0,1,2 \\
    'objective=clip(0.1,0.2,0.3),kl_adaptive(0.003,0.01)'

Keys that the runs of a pack may not differ in, such as algorithm.horizon,
can be searched too: their trials train in packs of their own.
"""
EPILOG = """\
The study is a file of SQLite, which `optuna-dashboard sqlite:///FILE` shows.
Every trial is an ordinary run, or one a seed; the attribute `commands` of a
trial makes them again. The same command again continues a search that was
interrupted, also with more --trials.

exit code: as that of repro; a trial whose run fails is no failure of the search
"""


def main() -> None:
    """The command."""
    signals.main(run)


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code, as `repro` does."""
    return finish(lambda: _run(arguments), CONTINUES)


def _run(arguments: Sequence[str]) -> None:
    given = _parser().parse_intermixed_args(arguments)
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError(
            f"repro.tune needs a package that is not installed: {installation('tune')}."
        )
    from repro.tuning import search, space  # only now: they load Optuna

    options = vars(given)
    searched = space.read(options.pop("overrides"))
    batch = options.pop("batch") or max(1, 32 // len(given.seeds))
    search.summary(search.search(search.Plan(searched, batch=batch, **options)))


def _parser() -> Parser:
    parser = Parser(
        prog="python -m repro.tune",
        description=HELP,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    positive = at_least(1)
    add = parser.add_argument
    add("overrides", metavar="KEY=VALUE", nargs="*", help="as for repro; one at least is a SPACE")
    add("--trials", type=positive, default=64, help="settings in all (64)")
    add("--seeds", type=_seeds, default=(0,), help="of each trial; it is their mean (0)")
    add("--batch", type=positive, help="settings of a round (as many as make 32 runs)")
    add(
        "--rungs", type=at_least(0, 16), help="how often trials are pruned (2; never in short runs)"
    )
    add("--eta", type=at_least(2), default=3, help="at a rung the best 1/ETA go on (3)")
    add(
        "--metric",
        choices=("final_return", "mean_return"),
        default="final_return",
        help="mean return of the last 100 training episodes, or of all (final_return)",
    )
    add("--direction", choices=("maximize", "minimize"), default="maximize", help="(maximize)")
    add("--sampler", choices=("tpe", "random"), default="tpe", help="of Optuna (tpe)")
    add("--sampler-seed", type=at_least(0), default=0, metavar="SEED", help="of its proposals (0)")
    add("--study", type=Path, metavar="FILE", help="where trials are kept (RUNS_DIR/study.db)")
    return parser


def _seeds(text: str) -> tuple[int, ...]:
    parse = at_least(0)
    seeds = tuple(parse(each) for each in text.split(","))
    if len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"{text} names a seed twice")
    return seeds


if __name__ == "__main__":
    main()
