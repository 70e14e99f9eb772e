"""What runs on a GPU: against the plain torch code, on a CPU as far as that goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from repro.algorithms import ALGORITHMS, base
from repro.algorithms.base import Batch
from repro.config.schema import Config
from repro.engines import cuda as gpu
from repro.engines import selection
from repro.engines.cuda import graphs, transfers
from repro.envs import make
from repro.networks import cnn
from repro.networks.distributions import DiagonalGaussian
from repro.runs import checkpoint
from tests.helpers import bits, tiny
from tests.helpers.bits import assert_equal_bits
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


@pytest.fixture
def acting_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> list[gpu.Acting | gpu.FrameActing]:
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


@pytest.mark.parametrize("overrides", [*TASKS, *SEARCHES, *FRAMES], ids=" ".join)
def test_acting_equals_the_plain_code(
    config: Compose, request: pytest.FixtureRequest, overrides: tuple[str, ...]
) -> None:
    has_epochs = not any(f"algorithm={name}" in overrides for name in ("cem", "a2c", "acer"))
    short = ("algorithm.epochs=1",) if has_epochs else ()
    configs = pack(config, (*overrides, *short))
    expected = bits.traces(learners(configs, "cpu"), 2)
    made = request.getfixturevalue("acting_as_on_a_gpu")
    found = learners(configs, "cpu")
    assert found.collector._fast_act is made[-1], "the collector acts by what is tested"
    for pair in zip(expected, bits.traces(found, 2), strict=True):
        bits.assert_equal_bits(*pair)


def test_what_is_not_recorded_is_called_each_time() -> None:
    seen: list[float] = []
    repeated = gpu.Repeated(records=False)
    for value in (1.0, 2.0, 3.0):
        repeated(lambda x: seen.append(float(x)), torch.tensor(value))
    assert seen == [1, 2, 3]


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


# Step sizes that float32 holds exactly, since a recorded step reads them as a tensor.
ANNEALED = ("algorithm.learning_rate=0.0009765625", "total_timesteps=8192")
RECORDED = [
    (*ANNEALED, "recipe=ppo2", "env=hopper", "algorithm.epochs=2"),
    (*ANNEALED, "objective=kl_adaptive", "env=reacher", "algorithm.epochs=2"),
    (*ANNEALED, "env=gymnasium", "env.id=CartPole-v1", "algorithm.epochs=2"),
    ("algorithm=trpo", "env=hopper", "algorithm.value_learning_rate=0.0009765625"),
    (*ANNEALED, "algorithm=a2c", "env=hopper", "env.num_envs=2"),
    (*ANNEALED, "algorithm=a2c", *CARTPOLE),
    (*ANNEALED, "algorithm=a2c_tr", "env=hopper"),
    (*ANNEALED, "algorithm=a2c", *GAME),
]


@pytest.mark.parametrize("overrides", RECORDED, ids=" ".join)
def test_one_recording_serves_all_updates(
    config: Compose, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    """Whatever changes between updates must reach the step that the first one recorded."""
    configs = pack(config, overrides)
    expected = bits.traces(learners(configs, "cpu"), 6)
    monkeypatch.setattr(selection, "repeated", always_recorded)
    monkeypatch.setattr(graphs, "Recorder", Recorded)
    own = learners(configs, "cpu")
    for pair in zip(expected, bits.traces(own, 6), strict=True):
        bits.assert_equal_bits(*pair)
    repeated = own.repeated if hasattr(own, "repeated") else own.critic_repeated
    assert repeated.recordings == 1


def test_a_hundred_updates_have_one_recording(
    config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "repeated", always_recorded)
    monkeypatch.setattr(graphs, "Recorder", Recorded)
    sizes = ("algorithm.horizon=8", "algorithm.minibatch_size=4", "algorithm.epochs=1")
    own = learners(pack(config, ("env=reacher", *sizes)), "cpu")
    for _ in range(100):
        own.iterate()
    assert own.repeated.recordings == 1
    own.active = [0, 2]  # a learner that failed leaves the recorded step
    before = own.parameters.flat.clone()
    own.iterate()
    moved = (own.parameters.flat != before).any(1).tolist()
    assert (own.repeated.recordings, moved) == (2, [True, False, True])


def test_an_early_stop_is_a_mask_on_the_device(
    config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Learners stop at different minibatches, and none of their bits changes after that."""
    line = ("env=hopper", "recipe.early_stop_kl=0.002", "algorithm.learning_rate=0.001953125")
    configs = pack(config, line)
    expected = learners(configs, "cpu")
    rows = [expected.iterate() for _ in range(2)]
    taken = np.array([row.metrics["minibatches"] for row in rows])
    assert len(set(taken.ravel().tolist())) > 1 and taken.max() < 20
    monkeypatch.setattr(selection, "repeated", always_recorded)
    monkeypatch.setattr(selection, "none_left", lambda running: False)  # no loop ends early
    monkeypatch.setattr(graphs, "Recorder", Recorded)
    own = learners(configs, "cpu")
    for row in rows:
        bits.assert_equal_bits(row.metrics, own.iterate().metrics)
    assert torch.equal(own.parameters.flat, expected.parameters.flat)
    assert torch.equal(own.adam.steps, expected.adam.steps)


@pytest.mark.parametrize("overrides", [("env=hopper", "algorithm=trpo")], ids=" ".join)
def test_masked_loops_may_run_to_their_ends(
    config: Compose, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    configs = pack(config, (*overrides, "algorithm.cg_tolerance=1e-4"))
    expected = bits.traces(learners(configs, "cpu"), 3)
    asked: list[bool] = []

    def never(running: torch.Tensor) -> bool:
        asked.append(not running.any())
        return False

    monkeypatch.setattr(selection, "none_left", never)
    for pair in zip(expected, bits.traces(learners(configs, "cpu"), 3), strict=True):
        bits.assert_equal_bits(*pair)
    assert any(asked), "both loops would have ended earlier"


def test_tensors_of_all_kinds_travel_in_one_copy() -> None:
    kinds = (torch.bool, torch.float32, torch.uint8, torch.int64, torch.float64, torch.bool)
    tensors = [
        (torch.arange(3 * i).reshape(i, 3) * 1.5).to(kind).T for i, kind in enumerate(kinds, 1)
    ]
    found = transfers.unpacked(transfers.packed(tensors), tensors)
    for x, expected in zip(found, tensors, strict=True):
        assert x.dtype == expected.dtype and torch.equal(x, expected)
    assert gpu.fetched([]) == []


@pytest.mark.parametrize(
    "overrides",
    [("env=hopper",), ("algorithm=a2c_tr", "env=hopper"), (*CARTPOLE, "algorithm=cem")],
    ids=" ".join,
)
def test_a_checkpoint_takes_from_one_copy(config: Compose, overrides: tuple[str, ...]) -> None:
    own = learners(pack(config, overrides), "cpu")
    own.iterate()
    expected = [own.checkpoint(p) for p in range(3)]
    own.device, fetches = torch.device("cuda"), []

    def fetch(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        fetches.append(len(tensors))
        return transfers.unpacked(transfers.packed(tensors), tensors)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "fetched", fetch)
        found = [own.checkpoint(p) for p in range(3)]
    assert len(fetches) == 1
    for one, other in zip(expected, found, strict=True):
        assert checkpoint.digest(one) == checkpoint.digest(other)


def test_grouped_convolutions_are_those_of_each_learner() -> None:
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (3, 5, 4, 36, 36), dtype=torch.uint8, generator=generator)
    shapes = [((8, 4, 8, 8), 4), ((16, 8, 4, 4), 2)]

    def features(convolve: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
        drawn = torch.Generator().manual_seed(1)
        layers = [
            (
                torch.randn(3, *shape, generator=drawn).requires_grad_(),
                torch.randn(3, shape[0], generator=drawn).requires_grad_(),
                stride,
            )
            for shape, stride in shapes
        ]
        out = convolve(frames, layers)
        out.square().mean().backward()
        return out, [x.grad for weight, bias, _ in layers for x in (weight, bias)]

    (expected, slopes), (found, own) = features(cnn.one_by_one), features(cnn.grouped)
    assert found.shape == expected.shape == (3, 5, 3 * 3 * 16)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    for one, other in zip(slopes, own, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4 * float(one.abs().max()))


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
@pytest.mark.parametrize("overrides", [task for task in TASKS if "algorithm=trpo" not in task])
def test_an_update_equals_the_cpus(config: Compose, overrides: tuple[str, ...]) -> None:
    configs = pack(config, overrides)
    cpu, cuda = learners(configs, "cpu"), learners(configs, "cuda")
    batch = cpu.estimate(cpu.collector.collect(1))
    for ppo, own in ((cpu, batch), (cuda, _moved(batch))):
        ppo.optimize(
            own, ppo.surrogate.prepare([1.0] * len(configs)), ppo.learning_rates("constant")
        )
    start = learners(configs, "cpu").parameters.flat
    assert float((cpu.parameters.flat - start).abs().max()) > 1e-3
    torch.testing.assert_close(cuda.parameters.flat.cpu(), cpu.parameters.flat, rtol=0, atol=1e-4)


def _moved(batch: Batch) -> Batch:
    old = batch.old
    assert isinstance(old, tuple)
    moved = {name: x.cuda() for name, x in vars(batch).items() if name != "old"}
    return Batch(old=type(old)(*(x.cuda() for x in old)), **moved)


@pytest.mark.gpu
@pytest.mark.parametrize("overrides", TASKS, ids=" ".join)
def test_graphs_change_no_bit(
    config: Compose, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    configs = pack(config, overrides)
    recorded = _results(learners(configs, "cuda"))
    plain = gpu.Repeated.__call__
    monkeypatch.setattr(gpu.Repeated, "__call__", lambda self, function, x: function(x))
    assert gpu.Repeated.__call__ is not plain
    for name, expected in _results(learners(configs, "cuda")).items():
        np.testing.assert_array_equal(recorded[name], expected, err_msg=name)


def _results(pack: Any) -> dict[str, np.ndarray]:
    rows = [pack.iterate() for _ in range(3)]
    kept = {f"part {i}": part.flat.cpu().numpy() for i, part in enumerate(pack.parts)}
    return kept | {f"{row.number} {k}": v for row in rows for k, v in row.metrics.items()}


@pytest.mark.gpu
def test_a_step_waits_for_the_device_once(config: Compose) -> None:
    own = learners(pack(config, ("env=half_cheetah",)), "cuda")
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
def test_a_run_on_a_gpu_resumes_to_the_last_bit(tmp_path: Path) -> None:
    line = "env=half_cheetah device=cuda"
    whole, torn = tiny.tiny(tmp_path / "whole", line), tiny.tiny(tmp_path / "torn", line)
    tiny.train([whole])
    tiny.train([torn], 2, 4)
    assert_equal_bits(tiny.result(tiny.directory(torn)), tiny.result(tiny.directory(whole)))


@pytest.mark.gpu
def test_a_pack_on_a_gpu_equals_its_members_alone(config: Compose) -> None:
    configs = pack(config, ("env=half_cheetah",))
    together = learners(configs, "cuda")
    rollout = together.collector.collect(1)
    assert isinstance(rollout.old, DiagonalGaussian)
    for p, own in enumerate(configs):
        alone = learners([own], "cuda").collector.collect(1)
        torch.testing.assert_close(rollout.old.mean[p, :8], alone.old.mean[0, :8])
