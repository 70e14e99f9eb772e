"""Tasks that move along x: HalfCheetah, Swimmer, Walker2d, Hopper (v4 and v5).

Source: `gymnasium/envs/mujoco` of Gymnasium 1.4; see `repro.envs.mujoco.task`.
"""

from __future__ import annotations

from repro.envs.mujoco.expressions import Expression, clip, constant, inside
from repro.envs.mujoco.task import Facts, Task


def half_cheetah(facts: Facts) -> Task:
    """Run; no episode ends before the time limit."""
    x = facts.qpos[0]
    return Task(
        observation=[facts.positions_after(1), facts.qvel],
        reward=_forward_reward(facts, x) - facts.control_cost(),
        start=facts.noisy_start(normal_velocity=True),
        kept={"x": x},
    )


def swimmer(facts: Facts) -> Task:
    """Swim in the plane; no episode ends before the time limit."""
    x = facts.qpos[0]
    return Task(
        observation=[facts.positions_after(2), facts.qvel],
        reward=_forward_reward(facts, x) - facts.control_cost(),
        start=facts.noisy_start(),
        kept={"x": x},
    )


def walker2d(facts: Facts) -> Task:
    """Walk; the episode ends on falling. In v5 that last step earns no survival reward."""
    return _walk(facts, _upright(facts))


def hopper(facts: Facts) -> Task:
    """Hop; the episode ends on falling or when any part of the state leaves its range."""
    limits = facts.settings["healthy_state_range"]
    in_range = inside(facts.qpos[2:], limits) & inside(facts.qvel, limits)
    return _walk(facts, _upright(facts) & in_range)


def survival_reward(facts: Facts, healthy: Expression) -> Expression:
    """For each step in which the body is healthy; in v4 also for the step that ends the episode."""
    reward = facts.weight("healthy_reward")
    if facts.version == 4 and facts.settings["terminate_when_unhealthy"]:
        return constant(reward)
    return healthy * reward


def unless_healthy(facts: Facts, healthy: Expression) -> Expression | None:
    """The condition that ends episodes."""
    return ~healthy if facts.settings["terminate_when_unhealthy"] else None


def _walk(facts: Facts, healthy: Expression) -> Task:
    x = facts.qpos[0]
    rewards = _forward_reward(facts, x) + survival_reward(facts, healthy)
    return Task(
        observation=[facts.positions_after(1), clip(facts.qvel, -10.0, 10.0)],
        reward=rewards - facts.control_cost(),
        start=facts.noisy_start(),
        terminated=unless_healthy(facts, healthy),
        kept={"x": x},
    )


def _forward_reward(facts: Facts, x: Expression) -> Expression:
    return facts.velocity(x, "x") * facts.weight("forward_reward_weight")


def _upright(facts: Facts) -> Expression:
    height, angle = facts.qpos[1], facts.qpos[2]
    high_enough = inside(height, facts.settings["healthy_z_range"])
    return high_enough & inside(angle, facts.settings["healthy_angle_range"])
