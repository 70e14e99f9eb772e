"""Tasks that hold a position: both pendulums, Reacher (v4 and v5) and Pusher (v5).

Source: `gymnasium/envs/mujoco` of Gymnasium 1.4; see `repro.envs.mujoco.task`.
"""

from __future__ import annotations

import numpy as np

from repro.envs.mujoco.expressions import (
    Expression,
    before,
    between,
    clip,
    constant,
    cos,
    finite,
    norm,
    scalar_square,
    sin,
    sum_of_squares,
)
from repro.envs.mujoco.task import Facts, Start, Task
from repro.envs.vector import FloatArray

START_SPEED = 0.005  # half-width of the noise of an arm's joint velocities


def inverted_pendulum(facts: Facts) -> Task:
    """Balance a pole on a cart; the episode ends when it leans more than 0.2 rad.

    Reward 1 a step; in v5, 0 for the step that ends the episode.
    """
    upright = between(facts.qpos[1], (-0.2, 0.2))
    balanced = upright & (finite(facts.qpos) & finite(facts.qvel))
    return Task(
        observation=[facts.qpos, facts.qvel],
        reward=constant(1.0) if facts.version == 4 else balanced * 1.0,
        start=facts.noisy_start(0.01),
        terminated=~balanced,
    )


def inverted_double_pendulum(facts: Facts) -> Task:
    """Balance two poles on a cart; the episode ends when the tip sinks to a height of 1.

    Reward for survival, less penalties of the tip's offset and of the joints' velocities.
    """
    tip, force = facts.field("site_xpos")[:3], facts.field("qfrc_constraint")
    height, speed = tip[2], facts.qvel
    high_enough = ~between(height, (-np.inf, 1.0))  # also where it is not a number
    alive: Expression = constant(facts.weight("healthy_reward", 10.0))
    if facts.version != 4:
        alive = high_enough * facts.weight("healthy_reward")
    offset = scalar_square(tip[0]) * 0.01 + scalar_square(height - 2)
    motion = scalar_square(speed[1]) * 1e-3 + scalar_square(speed[2]) * 5e-3
    angles = facts.qpos[1:]
    limited = (clip(x, -10.0, 10.0) for x in (speed, force if facts.version == 4 else force[:1]))
    return Task(
        observation=[facts.qpos[0], sin(angles), cos(angles), *limited],
        reward=alive - offset - motion,
        start=facts.noisy_start(0.1, normal_velocity=True),
        terminated=~high_enough,
    )


def reacher(facts: Facts) -> Task:
    """Bring a two-link arm's fingertip to a target drawn within a disc of radius 0.2.

    In v4 the reward of a step depends on the distance *before* it, in v5 on the distance after it.
    """
    angles = facts.qpos[:2]
    offset = facts.body_position("fingertip") - facts.body_position("target")
    rewarded = before("offset", offset) if facts.version == 4 else offset
    distance_reward = -norm(rewarded) * facts.weight("reward_dist_weight", 1)
    control_reward = -sum_of_squares(facts.action) * facts.weight("reward_control_weight", 1)
    target, speed = facts.qpos[2:], facts.qvel[:2]
    seen = 3 if facts.version == 4 else 2
    return Task(
        observation=[cos(angles), sin(angles), target, speed, offset[:seen]],
        reward=distance_reward + control_reward,
        start=_reacher_start(facts),
        kept={"offset": offset} if facts.version == 4 else {},
    )


def _reacher_start(facts: Facts) -> Start:
    """The arm near rest, and the target uniformly in the disc."""
    radius = 0.2

    def start(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        qpos = rng.uniform(-0.1, 0.1, facts.initial_qpos.size) + facts.initial_qpos
        while True:
            goal = rng.uniform(-radius, radius, 2)
            if np.linalg.norm(goal) < radius:
                break
        qpos[-2:] = goal
        return qpos, _arm_velocities(facts, rng, at_rest=2)

    return start


def _arm_velocities(facts: Facts, rng: np.random.Generator, at_rest: int) -> FloatArray:
    """Small ones, except of the last `at_rest` joints, which hold what the arm is to reach."""
    noise = rng.uniform(-START_SPEED, START_SPEED, facts.initial_qvel.size)
    qvel: FloatArray = facts.initial_qvel + noise
    qvel[-at_rest:] = 0.0
    return qvel


def pusher(facts: Facts) -> Task:
    """Push a cylinder to a goal on a table.

    Gymnasium's v4 refuses MuJoCo 3 and later, in which the cylinder has another density.
    """
    arm, cylinder, goal = (facts.body_position(name) for name in ("tips_arm", "object", "goal"))
    near = -norm(cylinder - arm) * facts.weight("reward_near_weight")
    distance = -norm(cylinder - goal) * facts.weight("reward_dist_weight")
    control = -sum_of_squares(facts.action) * facts.weight("reward_control_weight")
    return Task(
        observation=[facts.qpos[:7], facts.qvel[:7], arm, cylinder, goal],
        reward=distance + control + near,
        start=_pusher_start(facts),
    )


def _pusher_start(facts: Facts) -> Start:
    """The arm at rest, and the cylinder uniformly in a rectangle, but not near the goal."""
    goal = np.zeros(2)

    def start(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        qpos = facts.initial_qpos.copy()
        while True:
            cylinder = np.concatenate([rng.uniform(-0.3, 0, 1), rng.uniform(-0.2, 0.2, 1)])
            if np.linalg.norm(cylinder - goal) > 0.17:
                break
        qpos[-4:-2], qpos[-2:] = cylinder, goal
        return qpos, _arm_velocities(facts, rng, at_rest=4)

    return start
