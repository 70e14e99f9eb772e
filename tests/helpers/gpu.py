"""Learners as a GPU has them: on one, or on a CPU by all of its code but what CUDA does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from repro.algorithms import ALGORITHMS
from repro.config.schema import Config
from repro.engines import cuda as gpu
from repro.engines import selection
from repro.engines.cuda import graphs
from repro.envs import make
from tests.helpers.configs import Compose

SMALL = ("engine=torch", "algorithm.horizon=128", "total_timesteps=100000")
CARTPOLE = ("env=gymnasium", "env.id=CartPole-v1", "env.num_envs=4", "recipe=ppo2")
TASKS = [
    ("env=half_cheetah",),
    ("env=hopper", "recipe=ppo2", "env.num_envs=2"),  # filter at each step, actions clipped
    ("env=reacher", "recipe=sb3"),  # no filter, true next observations at time limits
    ("env=hopper", "algorithm=trpo"),
    CARTPOLE,
]
# Games of a few frames, so that episodes end and stacks are padded within a rollout.
GAME = (
    *("env=atari", "env.game=breakout", "env.num_envs=2", "algorithm.horizon=12"),
    *("env.atari.max_game_frames=40", "env.atari.screen_size=36"),
)
FRAMES = [
    (*GAME, "algorithm.minibatch_size=8"),
    (*GAME, "algorithm.minibatch_size=8", "recipe=sb3"),
    (*GAME, "env.atari.stack_padding=reset", "algorithm=a2c"),
    (*GAME, "algorithm=acer", "algorithm.replay_start=12", "algorithm.replay_size=48"),
]
# CEM replaces what the collector acts with, and changes it while it collects.
SEARCHES = [
    ("env=half_cheetah", "algorithm=cem"),
    ("env=hopper", "algorithm=cem", "env.num_envs=3"),
    (*CARTPOLE, "algorithm=cem"),
]


def pack(config: Compose, overrides: Sequence[str]) -> list[Config]:
    return [config(*SMALL, *overrides, f"seed={seed}") for seed in range(3)]


def learners(configs: Sequence[Config], device: str) -> Any:
    env = configs[0].env
    size = len(configs) * env.num_envs
    envs = make(env.id, env.backend, size, env.switches, env.kwargs)
    return ALGORITHMS[configs[0].algorithm.name](configs, envs, torch.device(device))


def act_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> list[gpu.Acting | gpu.FrameActing]:
    """All of `gpu.Acting` but what CUDA does, page-locked memory and the graph, chosen on a CPU."""
    made: list[gpu.Acting | gpu.FrameActing] = []

    def chosen(kind: Any) -> Any:
        def acting(*arguments: Any) -> Any:
            made.append(kind(*arguments))
            return made[-1]

        return acting

    monkeypatch.setattr(selection, "acting", chosen(gpu.Acting))
    monkeypatch.setattr(selection, "frame_acting", chosen(gpu.FrameActing))
    return made


class Recorded:
    """`graphs.Recorder` without a GPU: a replay calls again the very function that was recorded."""

    def __init__(self, device: torch.device) -> None:
        assert device.type == "cpu"

    def run(self, function: Any, x: torch.Tensor) -> None:
        function(x)

    def record(self, function: Any, x: torch.Tensor) -> Any:
        return lambda: function(x)


def always_recorded(device: torch.device) -> gpu.Repeated:
    return gpu.Repeated(records=True)


def record_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates are recorded, also on a CPU."""
    monkeypatch.setattr(selection, "repeated", always_recorded)
    monkeypatch.setattr(graphs, "Recorder", Recorded)
