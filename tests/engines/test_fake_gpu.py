"""On a stand-in for a GPU, without gradients: collect, update, checkpoint, restore."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from repro.algorithms import ALGORITHMS
from repro.envs import make
from tests.helpers.configs import Compose
from tests.helpers.fake_gpu import DEVICE, fake_gpu, outside

SMALL = ("device=cuda", "algorithm.horizon=8", "total_timesteps=100000")
MINIBATCHES = ("algorithm.minibatch_size=4", "algorithm.epochs=2")
CARTPOLE = ("env=gymnasium", "env.id=CartPole-v1", "env.num_envs=2")
RUNS = [
    ("env=hopper", *MINIBATCHES),
    ("env=hopper", "recipe=ppo2", "env.num_envs=2", *MINIBATCHES),
    ("env=reacher", "recipe=sb3", *MINIBATCHES),
    ("env=reacher", "objective=kl_adaptive", *MINIBATCHES),
    (*CARTPOLE, *MINIBATCHES),
    ("env=hopper", "algorithm=vpg", *MINIBATCHES),
    ("env=hopper", "algorithm=trpo", *MINIBATCHES),
    ("env=hopper", "algorithm=a2c"),
    ("env=hopper", "algorithm=a2c_tr"),
    (*CARTPOLE, "algorithm=a2c"),
    ("env=hopper", "algorithm=cem", "env.num_envs=2"),
    (*CARTPOLE, "algorithm=cem"),
]


def learners(config: Compose, overrides: tuple[str, ...]) -> Any:
    configs = [config(*SMALL, *overrides, f"seed={seed}") for seed in range(2)]
    first = configs[0]
    envs = outside(make)(first.env.id, first.env.backend, len(configs) * first.env.num_envs)
    for name in ("reset", "step", "state", "set_state", "restart"):
        setattr(envs, name, outside(getattr(envs, name)))
    return ALGORITHMS[first.algorithm.name](configs, envs, DEVICE)


@pytest.mark.parametrize("overrides", RUNS, ids=" ".join)
def test_collect_update_checkpoint_restore(
    config: Compose, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    with fake_gpu(monkeypatch) as waits:
        own = learners(config, overrides)
        own.iterate()
        assert all(part.flat.device == DEVICE for part in own.parts)
        saved = [own.checkpoint(p) for p in range(2)]
        again = learners(config, overrides)
        for p, state in enumerate(saved):
            again.restore(p, state)
        again.iterate()
        assert again.iteration == 2
        assert waits.recordings >= 1, "acting at least is recorded"


def test_the_stand_in_refuses_what_a_gpu_would(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_gpu(monkeypatch) as waits:
        x = torch.ones(3, device=DEVICE)
        with pytest.raises(RuntimeError, match="device"):
            x + torch.ones(3)
        with waits.refused(), pytest.raises(AssertionError, match="waits for the device"):
            x.cpu()
        with waits.refused(), pytest.raises(AssertionError, match="waits for the device"):
            bool(x.sum() > 0)
