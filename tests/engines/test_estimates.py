"""The kernels between a rollout and its update, and columns in blocks: bits of the plain code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from repro.engines import native, selection
from repro.learning import advantages
from repro.learning.normalize import ObservationNormalizer
from tests.helpers.bits import assert_equal_bits, traces
from tests.helpers.configs import compose
from tests.helpers.engines import CARTPOLE
from tests.helpers.learners import make_learners

SHORT = ("engine=native", "algorithm.horizon=40")
TASKS = {
    "terminations": ("env=hopper", "recipe=sb3", "env.num_envs=3"),
    "time limits are terminal": ("env=hopper", "recipe=paper"),
    "not normalized": (*CARTPOLE, "recipe.observation_normalization=none"),
    "bootstrapped time limits": ("env=reacher", "recipe=sb3"),
}


@pytest.mark.parametrize("shape", [(1, 5, 4), (3, 1, 1), (2, 67, 3), (1, 300, 1)])
def test_advantages_have_the_same_bits(shape: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(sum(shape))
    rewards, values, following = torch.randn(3, *shape, generator=generator)
    ends, terminal = torch.rand(2, *shape, generator=generator) < 0.1
    given = (rewards, values, following, 0.99 * ~(ends & terminal), ends, torch.rand(shape[0]))
    assert torch.equal(native.gae(*given), advantages.gae(*given))


@pytest.mark.parametrize("name", TASKS)
def test_values_of_a_rollout_have_the_same_bits(name: str) -> None:
    pack = make_learners(
        [compose("algorithm=a2c", *SHORT, *TASKS[name], f"seed={seed}") for seed in range(2)]
    )
    collector, truncated = pack.collector, 0
    for _ in range(4):
        rollout = pack.collector.collect(1)
        truncated += int(rollout.truncated.sum())
        compare_values(collector)
    assert (truncated > 0) == (name == "bootstrapped time limits")
    assert collector._evaluate(collector._observations).finite.all()
    for array in (collector._observations, collector._rewards, collector._seen.raw):
        kept = array[1].copy()
        for bad in (np.nan, -np.inf):
            array[1].flat[-1] = bad
            assert collector._evaluate(collector._observations).finite.tolist() == [True, False]
            compare_values(collector)
        array[1] = kept


def compare_values(collector: Any) -> None:
    found, expected = (
        evaluate(collector._observations) for evaluate in (collector._evaluate, collector._valued)
    )
    assert isinstance(collector._evaluate, native.Valuation)
    assert_equal_bits(
        *({n: np.asarray(x) for n, x in each._asdict().items()} for each in (expected, found))
    )


@pytest.mark.parametrize(("rows", "features"), [(20, 3), (300, 17), (5, 1), (300, 1), (9, 8)])
def test_normalization_by_a_rollout_has_the_same_bits(rows: int, features: int) -> None:
    recipe = compose("env=hopper", "recipe.observation_clip=0.75").recipe
    raw = np.random.default_rng(rows).normal(3, 40, (2, rows, 1, features))
    inputs, expected = torch.zeros(2, *raw.shape, dtype=torch.float32)
    compiled, plain = (ObservationNormalizer(2, features, recipe) for _ in range(2))
    renormalize = native.Renormalization(compiled, raw, inputs)
    for _ in range(3):
        raw *= -1.1
        renormalize()
        plain.observe_rollout(raw[:, :, 0])
        plain.apply(raw[:, :, 0], out=expected[:, :, 0].numpy())
        assert torch.equal(inputs, expected)
    for p in range(2):
        assert_equal_bits(plain.checkpoint(p), compiled.checkpoint(p))
    assert inputs.abs().max() == recipe.observation_clip


@pytest.mark.parametrize("task", ["env=hopper", " ".join(CARTPOLE)])
@pytest.mark.parametrize("algorithm", ["a2c", "a2c_tr"])
def test_blocks_of_iterations_have_the_bits_of_each(
    monkeypatch: pytest.MonkeyPatch, algorithm: str, task: str
) -> None:
    """A block of 7 iterations, so that 17 of them end within the third."""
    given = ("engine=native", f"algorithm={algorithm}", *task.split())
    found = []
    for samples in (1, 7 * 2 * 20):
        monkeypatch.setattr(selection, "BLOCK_SAMPLES", samples)
        pack = make_learners([compose(*given, f"seed={seed}") for seed in range(2)])
        found.append(traces(pack, 17))
    for each, block in zip(*found, strict=True):
        assert_equal_bits(each, block)
    assert len({float(x) for x in found[0][0]["surrogate"]}) == 17


def test_a_number_is_computed_when_it_is_read() -> None:
    pack = make_learners([compose("engine=native", "env=hopper", "algorithm=a2c")])
    pack.iterate()  # it says which columns there are
    block = pack.iterate().metrics["kl"]._block
    assert not block.closed
    record = pack.iterate()
    assert record.metrics["kl"]._block is block
    assert record.metrics["kl"][0] == float(np.asarray(record.metrics["kl"])[0]) > 0
    assert block.closed and pack.iterate().metrics["kl"]._block is not block
