"""Hydra's options that mean nothing here, and arguments of tasks: refused in one sentence."""

from __future__ import annotations

import pytest

from tests.helpers.cli import Cli

# What is typed -> what must be in the one sentence about it.
WRONG = {
    "-m env=hopper hydra/sweeper=basic seed=range(3,3)": "is a sweep without values",
    "-m env=hopper hydra/sweeper=basic hydra/launcher=basic seed=choice()": "without values",
    "-m env=hopper hydra/sweeper=basic objective=clip(0.1,0.2)": "cannot read values in",
    "env=hopper hydra.mode=MULTIRUN seed=range(3,3)": "is a sweep without values",
    "-m env=hopper --cfg job": "--multirun and --cfg cannot be combined",
    "env=hopper --run --info all": "--run and --info cannot be combined",
    "env=hopper --cfg job --dry-run": "--cfg and --dry-run cannot be combined",
    "env=hopper --config-name=foo": "files of your own go below --config-dir",
    "env=hopper --config-path=/": "files of your own go below --config-dir",
    "env=hopper --experimental-rerun=/x": "the same command again",
    "env=hopper --shell-completion": "is not offered",
    "env=hopper hydra.job.chdir=true": "hydra.job.chdir=true has no effect here",
    "-m env=hopper hydra.sweep.dir=x": "hydra.sweep.dir=x has no effect here",
    "env=hopper hydra.run.dir=x": "so set that",
    "env=hopper objective=clip(0.1,0.2)": "add -m",
    "env=gymnasium env.id=CartPole-v1 env.kwargs.sutton_reward=true": "sutton_barto_reward",
    "env=gymnasium env.id=CartPole-v1 env.kwargs.render_mode=human": "repro.watch makes videos",
    "env=gymnasium env.id=CartPole-v1 +env.kwargs.x=1": "must be written as env.kwargs.x=VALUE",
    "env=gymnasium env.id=CartPole-v1 env.kwargs.x-y=1": "x-y is no name of an argument",
    "env=hopper env.kwargs.forward_weight=2": "did you mean forward_reward_weight?",
    "env=hopper env.kwargs.frame_skip=2": "env.kwargs.frame_skip is not an argument of Hopper-v4",
    "env=atari env.game=pong env.kwargs.x=2": "the switches of a game are env.atari.*",
    "env=gymnasium env.id=ale_py:ALE/MsPacman-v5": "say env=atari env.game=ms_pacman",
    "env=gymnasium env.id=Blackjack-v1": "gymnasium.wrappers.FlattenObservation",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_means_nothing_here_is_refused(cli: Cli, line: str) -> None:
    finished = cli(*line.split())
    assert finished.code == 2 and WRONG[line] in finished.err
    assert finished.err.count("\n") == 1 and not finished.out and not cli.left()
