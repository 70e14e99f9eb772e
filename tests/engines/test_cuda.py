"""What runs on a GPU: against the plain torch code, on a CPU as far as that goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from repro.algorithms import base
from repro.engines import cuda as gpu
from repro.engines import selection
from repro.engines.cuda import transfers
from repro.networks import cnn
from repro.runs import checkpoint
from tests.helpers import bits
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


@pytest.mark.parametrize("overrides", [*TASKS, *SEARCHES, *FRAMES], ids=" ".join)
def test_acting_equals_the_plain_code(
    config: Compose, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    has_epochs = not any(f"algorithm={name}" in overrides for name in ("cem", "a2c", "acer"))
    short = ("algorithm.epochs=1",) if has_epochs else ()
    configs = pack(config, (*overrides, *short))
    expected = bits.traces(learners(configs, "cpu"), 2)
    made = act_as_on_a_gpu(monkeypatch)
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
    record_as_on_a_gpu(monkeypatch)
    own = learners(configs, "cpu")
    for pair in zip(expected, bits.traces(own, 6), strict=True):
        bits.assert_equal_bits(*pair)
    repeated = own.repeated if hasattr(own, "repeated") else own.critic_repeated
    assert repeated.recordings == 1


def test_a_hundred_updates_have_one_recording(
    config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_as_on_a_gpu(monkeypatch)
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
    record_as_on_a_gpu(monkeypatch)
    monkeypatch.setattr(selection, "none_left", lambda running: False)  # no loop ends early
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
