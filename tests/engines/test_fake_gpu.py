"""On a stand-in for a GPU, without gradients: collect, update, checkpoint, restore."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from repro.algorithms import ALGORITHMS
from repro.engines.cuda import Acting, FrameActing
from repro.envs import make
from tests.helpers.configs import Compose
from tests.helpers.fake_gpu import DEVICE, fake_gpu, outside

SMALL = ("device=cuda", "algorithm.horizon=8", "total_timesteps=100000")
MINIBATCHES = ("algorithm.minibatch_size=4", "algorithm.epochs=2")
CARTPOLE = ("env=gymnasium", "env.id=CartPole-v1", "env.num_envs=2")
PONG = ("env=atari", "env.game=pong", "env.num_envs=2", "env.atari.screen_size=36")
REPLAYS = ("algorithm=acer", "algorithm.replay_start=8", "algorithm.replay_size=64")
# Whose columns of an iteration come by one copy, with nothing else read from the device.
READ_ONCE = [
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
    ("env=hopper", "recipe.early_stop_kl=0.01", *MINIBATCHES),
    ("env=reacher", "policy.shared=true", "policy.activation=relu", *MINIBATCHES),
    (*PONG, *MINIBATCHES),
    (*PONG, "policy=cnn_nature", "recipe=sb3", *MINIBATCHES),
    (*PONG, "algorithm=a2c"),
    (*PONG, "algorithm=a2c_tr"),
]
OTHERS = [
    ("env=hopper", "algorithm=cem", "env.num_envs=2"),
    (*CARTPOLE, "algorithm=cem"),
    (*CARTPOLE, *REPLAYS),
    (*PONG, *REPLAYS),
]


def learners(config: Compose, overrides: tuple[str, ...]) -> Any:
    configs = [config(*SMALL, *overrides, f"seed={seed}") for seed in range(2)]
    first = configs[0]
    size, task = len(configs) * first.env.num_envs, first.env
    envs = outside(make)(task.id, task.backend, size, task.switches, task.kwargs)
    for name in ("reset", "step", "state", "set_state", "restart"):
        setattr(envs, name, outside(getattr(envs, name)))
    return ALGORITHMS[first.algorithm.name](configs, envs, DEVICE)


@pytest.mark.parametrize("overrides", [*READ_ONCE, *OTHERS], ids=" ".join)
def test_collect_update_checkpoint_restore(
    config: Compose, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    with fake_gpu(monkeypatch) as waits:
        own = learners(config, overrides)
        own.iterate()
        assert all(part.flat.device == DEVICE for part in own.parts)
        before = waits.count
        saved = [own.checkpoint(p) for p in range(2)]
        assert waits.count == before + 1, "one copy brings the state of all learners"
        again = learners(config, overrides)
        for p, state in enumerate(saved):
            again.restore(p, state)
        again.iterate()
        assert again.iteration == 2
        assert waits.recordings >= 1, "acting at least is recorded"
        waits.count = waits.pageable = 0
        again.iterate()
        if overrides in READ_ONCE:
            assert waits.count == 1
        assert isinstance(again.collector._fast_act, Acting | FrameActing)
        waits.count = waits.pageable = 0
        again.collector.collect(4)  # the actions of a step are announced by an event
        assert (waits.count, waits.pageable) == (0, 0)


def test_the_stand_in_refuses_what_a_gpu_would(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_gpu(monkeypatch) as waits:
        x = torch.ones(3, device=DEVICE)
        with pytest.raises(RuntimeError, match="device"):
            x + torch.ones(3)
        with waits.refused(), pytest.raises(AssertionError, match="waits for the device"):
            x.cpu()
        with waits.refused(), pytest.raises(AssertionError, match="waits for the device"):
            bool(x.sum() > 0)
        with waits.refused(), pytest.raises(AssertionError, match="copies from the host"):
            x.copy_(torch.ones(3))
        x.copy_(torch.ones(3))
        x.copy_(torch.zeros(3, pin_memory=True))
        torch.ones(3).pin_memory().to(DEVICE)
        assert waits.pageable == 1
