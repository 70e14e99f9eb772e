"""What is to hold on a GPU; the same tests run on a CPU by the GPU's code, without its graphs.

Where results of two ways of computing are compared, it is of one step from equal states: a pack
that simulates further parts from another at the first bit that differs.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from repro.engines import cuda as gpu
from repro.networks.frames import FrameStacks
from tests.helpers import bits, tiny
from tests.helpers.configs import Compose
from tests.helpers.gpu import (
    CARTPOLE,
    FRAMES,
    GAME,
    SEARCHES,
    TASKS,
    act_as_on_a_gpu,
    learners,
    pack,
    record_as_on_a_gpu,
)

SHORT = ("algorithm.horizon=32", "algorithm.minibatch_size=16", "algorithm.epochs=2")
UPDATES = [
    ("env=hopper", "recipe=ppo2", "env.num_envs=2", *SHORT),
    ("env=hopper", "recipe=sb3", "recipe.early_stop_kl=0.01", *SHORT),
    (*CARTPOLE, *SHORT),
    ("env=hopper", "algorithm=trpo", "recipe=sb3", *SHORT),
    ("env=hopper", "algorithm=a2c", "recipe=sb3"),
    (*CARTPOLE, "algorithm=a2c_tr"),
    FRAMES[1],
    FRAMES[2],
]


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "cpu":
        act_as_on_a_gpu(monkeypatch)
        record_as_on_a_gpu(monkeypatch)
    else:
        gpu.prepare(torch.device("cuda", 0))
    return str(request.param)


def unrecorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call what would be replayed, on memory laid out alike."""
    plain = lambda self, function, x: function(x.contiguous())  # noqa: E731
    monkeypatch.setattr(gpu.Repeated, "__call__", plain)


def assert_near(found: torch.Tensor, expected: torch.Tensor, rtol: float = 1e-4) -> None:
    """To a share of the largest entry: what is summed in another order differs at small ones."""
    atol = rtol * float(expected.abs().max())
    torch.testing.assert_close(found.cpu(), expected.cpu(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("overrides", UPDATES, ids=" ".join)
def test_replays_are_the_steps_that_were_recorded(
    config: Compose, monkeypatch: pytest.MonkeyPatch, device: str, overrides: tuple[str, ...]
) -> None:
    """Two updates on one rollout: the second replays what the first recorded."""
    configs = pack(config, overrides)
    own, plain = learners(configs, device), learners(configs, device)
    rollout = own.collector.collect(1)
    own.iteration = plain.iteration = 1
    for update in range(2):
        before = own.parts[0].flat.clone()
        own.update(rollout)
        with monkeypatch.context() as patch:
            unrecorded(patch)
            plain.update(rollout)
        for part, other in zip(own.parts, plain.parts, strict=True):
            assert_near(part.flat, other.flat, rtol=1e-3)
            other.flat.copy_(part.flat)  # the next update starts from equal parameters
        assert not torch.equal(own.parts[0].flat, before), f"update {update} moves nothing"


@pytest.mark.parametrize(
    "overrides", [TASKS[1], CARTPOLE, SEARCHES[1], FRAMES[1], FRAMES[3]], ids=" ".join
)
def test_steps_act_as_a_cpu_does(config: Compose, device: str, overrides: tuple[str, ...]) -> None:
    """Four steps on equal observations: the policy's statistics, and what is done with them."""
    configs = pack(config, overrides)
    own = learners(configs, device).collector
    plain = learners(configs, "cpu").collector
    plain._fast_act = None
    for each in (own, plain):
        each._draw_noise()
    for t in range(4):
        found, expected = (each._act(t).copy() for each in (own, plain))
        if own.policy.discrete:
            assert (found == expected).mean() > 0.9  # a probability may be next to the noise
        else:
            assert_near(torch.from_numpy(found), torch.from_numpy(expected))
        assert_near(own._statistics[:, t], plain._statistics[:, t])
        assert_near(own._values[:, t], plain._values[:, t])
        for each in (own, plain):
            _, _, terminated, truncated, infos = each.envs.step(np.zeros_like(expected))
            if (terminated | truncated).any():
                ends, finals = (
                    each._by_learner(x) for x in (terminated | truncated, infos["final_obs"])
                )
                each._seen.store_ends(t, ends, finals)
            each._observations = each._by_learner(each.envs.observations)
    if overrides in FRAMES:
        kept, others = (each._seen.all_inputs() for each in (own, plain))
        assert isinstance(kept, FrameStacks) and isinstance(others, FrameStacks)
        numbers = torch.arange(4 * own.num_envs).expand(len(configs), -1)
        taken = kept.take(numbers.to(kept.device)).cpu()
        assert torch.equal(taken, others.take(numbers))


@pytest.mark.parametrize("overrides", [TASKS[1], CARTPOLE, FRAMES[0]], ids=" ".join)
def test_gradients_equal_the_cpus(config: Compose, device: str, overrides: tuple[str, ...]) -> None:
    """Of a whole batch, before Adam divides small ones by themselves."""
    configs = pack(config, overrides)
    cpu, own = learners(configs, "cpu"), learners(configs, device)
    gradients = []
    for each in (cpu, own):
        rollout = each.collector.collect(1)
        batch = each.estimate(rollout)
        if each is cpu:
            kept = batch
        for name in ("actions", "log_prob", "advantages", "targets", "values"):
            setattr(batch, name, getattr(kept, name).to(device))
        batch.inputs = _moved(kept.inputs, device)
        batch.old = type(kept.old)(*(x.to(device) for x in kept.old))
        each.value_clip.set([1.0] * len(configs))
        loss, _ = each.loss(batch, each.surrogate.prepare([1.0] * len(configs)))
        gradients.append(each.parameters.gradient(loss).clone())
    assert_near(gradients[1], gradients[0], rtol=1e-3)
    assert float(gradients[0].abs().max()) > 1e-4


def _moved(inputs: Any, device: str) -> Any:
    if isinstance(inputs, FrameStacks):
        return FrameStacks(inputs._all.to(device), inputs.index.to(device))
    return inputs.to(device)


@pytest.mark.parametrize("overrides", [TASKS[0], SEARCHES[1], FRAMES[0]], ids=" ".join)
def test_packs_of_one_process_do_not_disturb_each_other(
    config: Compose, device: str, overrides: tuple[str, ...]
) -> None:
    """A pack, another one, and the first again: the same bits, where the device promises that."""

    def result() -> list[Any]:
        return bits.traces(learners(pack(config, overrides), device), 2)

    before = result()
    bits.traces(learners(pack(config, TASKS[2])[:2], device), 1)
    gc.collect()
    after = result()
    discrete = overrides in FRAMES
    for one, other in zip(before, after, strict=True):
        if gpu.deterministic(torch.device(device), discrete):
            bits.assert_equal_bits(one, other)
        else:
            assert one.keys() == other.keys() and np.isfinite(other["kl"]).all()


RESUMED = {
    "env=half_cheetah": True,
    "env=hopper algorithm=cem env.num_envs=1": True,
    "env=gymnasium env.id=CartPole-v1 algorithm=acer algorithm.replay_start=32 env.num_envs=1": (
        False
    ),
}


@pytest.mark.parametrize("line", RESUMED)
def test_a_run_resumes_on_the_device(tmp_path: Path, device: str, line: str) -> None:
    line = f"{line} engine=torch device={device}"
    whole, torn = tiny.tiny(tmp_path / "whole", line), tiny.tiny(tmp_path / "torn", line)
    tiny.train([whole])
    tiny.train([torn], 2, 4)
    one, other = (tiny.result(tiny.directory(each)) for each in (torn, whole))
    continuous = RESUMED[line.partition(" engine")[0]]
    if gpu.deterministic(torch.device(device), not continuous):
        bits.assert_equal_bits(one, other)
    else:
        assert len(one["progress"]) == len(other["progress"])


# -- with a device ------------------------------------------------------------------------------


@pytest.mark.gpu
def test_recorded_work_is_done_at_each_call() -> None:
    total = torch.zeros(2, device="cuda")
    calls: list[torch.Size] = []

    def add(x: torch.Tensor) -> None:
        calls.append(x.shape)
        total.add_(x.sum())

    repeated = gpu.Repeated(records=True)
    for value in range(1, 6):
        repeated(add, torch.full((3,), float(value), device="cuda"))
    repeated(add, torch.ones(1, device="cuda"))  # of another shape: a last, smaller minibatch
    assert total.tolist() == [46, 46]
    assert calls == [(3,), (3,), (1,)], "warmed up, recorded, and once of another shape"


@pytest.mark.gpu
@pytest.mark.parametrize("overrides", [TASKS[0], FRAMES[0]], ids=" ".join)
def test_a_step_waits_for_the_device_once(config: Compose, overrides: Sequence[str]) -> None:
    own = learners(pack(config, overrides), "cuda")
    collector = own.collector
    collector.collect(1)  # warms up and records
    waits: list[int] = []
    event = collector._fast_act._done
    synchronize = event.synchronize

    class Counted:
        record = event.record

        @staticmethod
        def synchronize() -> None:
            waits.append(1)
            synchronize()

    collector._fast_act._done = Counted
    torch.cuda.set_sync_debug_mode("error")  # what waits unasked is an error
    try:
        for t in range(3):
            collector._act(t)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(waits) == 3


@pytest.mark.gpu
@pytest.mark.parametrize("overrides", [UPDATES[0], (*GAME, "algorithm=a2c")], ids=" ".join)
def test_two_hundred_updates_take_no_more_memory(config: Compose, overrides: Sequence[str]) -> None:
    own = learners(pack(config, overrides), "cuda")
    for _ in range(10):
        own.iterate()
    reserved = torch.cuda.memory_reserved()
    for _ in range(200):
        own.iterate()
        own.checkpoint(0)
    assert torch.cuda.memory_reserved() <= reserved + 2**21
    assert own.repeated.recordings == 1


@pytest.mark.gpu
def test_a_pack_on_a_gpu_equals_its_members_alone(config: Compose) -> None:
    """In their first step; products of another size may be summed in another order."""
    configs = pack(config, TASKS[0])
    together = learners(configs, "cuda").collector
    together._draw_noise()
    together._act(0)
    for p, own in enumerate(configs):
        alone = learners([own], "cuda").collector
        alone._draw_noise()
        alone._act(0)
        assert_near(together._statistics[p, 0], alone._statistics[0, 0])
