"""`python -m repro env=hopper objective=clip seed=0`: from the command line to run directories."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from repro import __version__
from repro.cli import CONTINUES, finish, listed
from repro.console import is_terminal, say
from repro.training import signals

HELP = """\
Reproduce "Proximal Policy Optimization Algorithms" (arXiv 1707.06347): train
with PPO and its relatives, one run or, with -m, a sweep.

usage:
  repro env=NAME [GROUP=CHOICE ...] [KEY=VALUE ...]
  repro -m env=NAME,NAME seed=0,1,2 [GROUP=CHOICE,CHOICE ...] [KEY=VALUE,VALUE]

examples:
  repro env=reacher budget=quick                          one short run
  repro env=hopper objective=kl_adaptive seed=1           another objective
  repro -m env=hopper,walker2d objective=clip,kl_adaptive seed=0,1,2
  repro -m +experiment=table1 budget=quick                the paper's Table 1
  repro -m env=hopper objective='clip(0.1,0.2),kl_adaptive(0.003,0.01)'
                                            each objective at values of its own
  repro -m env=hopper,reacher seed=0,1,2 --dry-run        runs, packs, time
  repro env=gymnasium env.id=CartPole-v1 algorithm=a2c    any Gymnasium task

groups and their choices (env must be chosen; an experiment is written with +):
{groups}
keys that are often set:
  seed=0                     of all that is random; with -m seed=0,1 two runs
  total_timesteps=N          environment steps, where no budget fits
  algorithm.learning_rate=X  and other keys of the algorithm
  recipe.time_limit=X        and other details that the paper leaves unsaid
  runs_dir=runs              each run gets a directory of its own in it
  logger=wandb               or tensorboard, besides the run directory
  progress=false             no progress bar
  hydra.launcher.workers=N   with -m: processes, by default one a core
All keys and their values: repro env=hopper --cfg job

An interrupted run continues when the same command is given again; a
finished one is not repeated.

other commands:
  python -m repro.status DIR      how far a sweep is
  python -m repro.evaluate RUN    whole episodes of a finished run
  python -m repro.watch RUN       a video of it
  python -m repro.again RUN       continues an unfinished run
  repro-analysis COMMAND          tables and figures
Each has its own --help. Hydra's options are listed by --hydra-help.

exit code: 0 done, 1 a run crashed or could not be written, 2 bad input,
  3 damaged files, 4 a run stopped being finite, 75 interrupted
"""


def main() -> None:
    """The command `repro`."""
    signals.main(run)


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says.

    Args:
        arguments: without the program's name.

    Returns:
        0 done, 1 a run crashed or could not be written, 2 bad input, 3 damaged files, 4 a run
        stopped being finite, 75 interrupted or trained by another process: the same command again
        continues.
    """
    return finish(lambda: _run(arguments), CONTINUES)


def _run(arguments: Sequence[str]) -> None:
    if {"-h", "--help"} & set(arguments):
        print(_help(), end="")
        return
    if "--version" in arguments:
        print(f"ppo-repro {__version__}")
        return
    if is_terminal(sys.stdout) and not any(given.startswith("--") for given in arguments):
        say("composing the configuration")  # a word at once: Hydra and torch take seconds to load
    from repro.config import command_line  # only now: --help is there at once

    if "--dry-run" in arguments:
        from repro.sweeps import preview

        preview.show(arguments)
        return
    for config in command_line.configurations(arguments):
        from repro.sweeps import sweep  # only now: bad input is refused within a moment

        sweep.train_one(config)


def _help() -> str:
    from repro.config import keys

    return HELP.format(groups=listed(keys.groups()))


if __name__ == "__main__":
    main()
