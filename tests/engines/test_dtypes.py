"""The compiled kernels read every array as the type that it has, whatever a task's spaces hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from repro.engines import native
from repro.engines.native import kernels
from repro.networks.bound import BoundPolicy
from tests.helpers.configs import compose
from tests.helpers.learners import make_learners
from tests.helpers.spaces import FLAT, register

INF = np.inf
BOXES = {
    "float32": Box(-0.5, 0.5, (2,), np.float32),
    "float64": Box(-0.5, 0.5, (2,), np.float64),
    "float64, not exact in float32": Box(-0.1, 0.1, (2,), np.float64),
    "float64, beyond float32": Box(-1e300, 0.1, (2,), np.float64),
    "float64, each its own": Box(np.array([-0.1, 0.2]), np.array([0.7, 0.3]), dtype=np.float64),
    "float64, half bounded": Box(np.array([-INF, 0.1]), np.array([0.3, INF]), dtype=np.float64),
    "float32, unbounded": Box(-INF, INF, (2,), np.float32),
    "float64, unbounded": Box(-INF, INF, (2,), np.float64),
    "float16": Box(-0.3, 0.3, (2,), np.float16),
}
OBSERVATIONS = [
    *(Box(-3, 3, (3,), kind) for kind in (np.float16, np.float32, np.float64)),
    *(Box(0, 100, (3,), kind) for kind in (np.int8, np.uint8, np.int64)),
    Box(-INF, INF, (3,), np.float64),
]


def collected(engine: str, observations: Box, actions: Box, clip: bool = True) -> list[Any]:
    """What the tasks got, and what the rollout has: actions and inputs."""
    env_id = register("ReproDtypes", observation_space=observations, action_space=actions)
    learners = make_learners(
        [
            compose(
                *("env=gymnasium", f"env.id={env_id}", "env.num_envs=2", f"engine={engine}"),
                *("algorithm.horizon=64", f"recipe.clip_actions={clip}"),
            )
        ]
    )
    assert isinstance(learners.networks, {"native": native.Networks, "torch": BoundPolicy}[engine])
    received, step = [], learners.collector.envs.step

    def spy(sent: np.ndarray) -> Any:
        received.append(sent.copy())
        return step(sent)

    learners.collector.envs.step = spy
    rollout = learners.collector.collect(1)
    assert bool((rollout.rewards == 1).all()) or not clip, "an action is outside of its space"
    return [np.stack(received), rollout.actions.numpy().copy(), rollout.inputs.numpy().copy()]


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("box", BOXES)
def test_engines_send_the_same_actions_of_the_box(box: str, clip: bool) -> None:
    space = BOXES[box]
    compiled, plain = (collected(engine, FLAT, space, clip) for engine in ("native", "torch"))
    for one, other in zip(compiled, plain, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=2e-3 if "16" in box else 1e-4, atol=1e-5)
    sent, drawn = compiled[0], compiled[1].reshape(compiled[0].shape)
    assert sent.dtype == space.dtype
    expected = np.clip(drawn, space.low, space.high) if clip else drawn
    np.testing.assert_allclose(sent, expected, rtol=1e-3 if "16" in box else 1e-6)


@pytest.mark.parametrize("space", OBSERVATIONS, ids=str)
def test_engines_see_the_same_observations(space: Box) -> None:
    compiled, plain = (collected(engine, space, FLAT) for engine in ("native", "torch"))
    for one, other in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert np.unique(compiled[2]).size > 4


@pytest.mark.parametrize("array", [np.zeros(3), torch.zeros(3, dtype=torch.float64)])
def test_an_array_of_another_type_than_the_kernel_reads_is_an_error(array: Any) -> None:
    assert kernels.pointer(array, "float64")
    with pytest.raises(TypeError, match="reads float32, but the array is of float64"):
        kernels.pointer(array)
