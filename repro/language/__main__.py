"""`python -m repro.language stage=ppo kl.beta=0.05`: the three stages of RLHF, and sweeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import yaml

from repro.cli import CONTINUES, finish, listed
from repro.console import say
from repro.language import compose
from repro.sweeps import sweep
from repro.training import signals

HELP = """\
PPO for language models: pretrain, reward model, PPO at the level of tokens.

usage:
  python -m repro.language [GROUP=CHOICE ...] [KEY=VALUE ...]
  python -m repro.language -m [GROUP=CHOICE,CHOICE ...] [KEY=VALUE,VALUE ...]

examples:
  python -m repro.language stage=pretrain     the base model
  python -m repro.language stage=reward       its reward model
  python -m repro.language                    PPO; trains both where missing
  python -m repro.language kl=adaptive recipe=lm_human_preferences
  python -m repro.language stage=best_of_n    a baseline; another one is sft
  python -m repro.language -m +experiment=rlhf   a sweep over beta and seeds

groups and their choices:
{groups}
stages:
  stage=pretrain|reward|ppo|best_of_n|sft
All keys and their values: python -m repro.language --cfg job

An interrupted run continues when the same command is given again; a
finished one is not repeated.
"""


def main() -> None:
    """The command."""
    signals.main(run)


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; exit codes are those of `repro`."""
    return finish(lambda: _run(list(arguments)), CONTINUES)


def _run(arguments: list[str]) -> None:
    if {"-h", "--help"} & set(arguments):
        print(HELP.format(groups=listed(compose.groups())))
        return
    several = bool({"-m", "--multirun"} & set(arguments))
    show = arguments[:2] == ["--cfg", "job"]
    given = [each for each in arguments[2 * show :] if each not in ("-m", "--multirun")]
    grid = compose.compose(given, several)
    if show:
        print(yaml.safe_dump(dataclasses.asdict(grid.configs[0]), sort_keys=False), end="")
        return
    train(grid, several)


def train(grid: compose.Grid, several: bool) -> None:
    """Train the runs, and first what they build on.

    Raises:
        RunsFailedError: some are not done.
    """
    for configs in compose.stages(grid.configs):
        if not several and len(configs) == 1:
            sweep.train_one(configs[0])
            continue
        say(f"stage {configs[0].stage}:")
        sweep.expect(configs, grid.settings)
        ends = sweep.train(configs, grid.settings)
        sweep.raise_failures([end.exit_code for end in ends if end.exit_code], len(ends))


if __name__ == "__main__":
    main()
