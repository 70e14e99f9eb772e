"""The same pack with compiled kernels and in plain torch, on the same rollouts."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from repro.algorithms.iteration import Iteration
from repro.engines import native
from repro.networks.bound import BoundPolicy
from repro.rollouts.rollout import Rollout
from tests.helpers.configs import compose
from tests.helpers.learners import make_learners

BASE = ("algorithm.horizon=256", "total_timesteps=25600")
CARTPOLE = ("env=gymnasium", "env.id=CartPole-v1")


def twins(*overrides: str, pack: tuple[str, ...] = ("",), base: tuple[str, ...] = BASE) -> Any:
    """The same pack with compiled kernels and in plain torch."""
    one, other = (
        make_learners(
            [compose(*base, f"engine={engine}", *overrides, *member.split()) for member in pack]
        )
        for engine in ("native", "torch")
    )
    assert isinstance(one.networks, native.Networks) and one.engine == "native"
    assert isinstance(other.networks, BoundPolicy) and other.engine == "torch"
    return one, other


def iterate_on_the_same_rollout(compiled: Any, plain: Any) -> list[Iteration]:
    """One iteration of each on what `plain` collects: a chaotic task would drive two apart."""
    collect, shared = plain.collector.collect, []

    def collect_for_both(iteration: int) -> Rollout:
        rollout = collect(iteration)
        shared.append(copy.deepcopy(rollout))
        compiled.collector._seen.raw[:] = plain.collector._seen.raw
        return rollout

    plain.collector.collect = collect_for_both
    compiled.collector.collect = lambda iteration: shared[0]
    records = [plain.iterate(), compiled.iterate()]
    plain.collector.collect = collect
    return records


def compare_metrics(records: list[Iteration]) -> None:
    for name in ("surrogate", "value_loss", "kl", "entropy", "gradient_norm", "std"):
        one, other = (record.metrics[name] for record in records)
        np.testing.assert_allclose(one, other, rtol=5e-3, atol=2e-5, err_msg=name)
