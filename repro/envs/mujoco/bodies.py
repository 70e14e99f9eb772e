"""Tasks of bodies in space: Ant, Humanoid and HumanoidStandup (v4 and v5).

Source: `gymnasium/envs/mujoco` of Gymnasium 1.4; see `repro.envs.mujoco.task`.
"""

from __future__ import annotations

import numpy as np

from repro.envs.mujoco.expressions import (
    Expression,
    between,
    clip,
    finite,
    inside,
    sum_of_squares,
)
from repro.envs.mujoco.locomotion import survival_reward, unless_healthy
from repro.envs.mujoco.task import Facts, Task

FORCES = "cfrc_ext"  # contact forces: 6 numbers for each body, the world first
ROOT_VELOCITIES = 6


def ant(facts: Facts) -> Task:
    """Walk on four legs; the episode ends when the torso is too low or too high.

    In v4 contact forces count only with `use_contact_forces`.
    """
    x = facts.body_position("torso" if facts.version == 4 else facts.settings["main_body"])[0]
    healthy = between(facts.qpos[2], facts.settings["healthy_z_range"])
    healthy = healthy & (finite(facts.qpos) & finite(facts.qvel))
    observation, cost = [facts.positions_after(2), facts.qvel], facts.control_cost()
    touches = facts.version != 4 or facts.settings["use_contact_forces"]
    if touches:
        forces = clip(facts.field(FORCES), *facts.settings["contact_force_range"])
        cost = cost + sum_of_squares(forces) * facts.weight("contact_cost_weight")
        if facts.version == 4:
            observation.append(forces)
        elif facts.settings["include_cfrc_ext_in_observation"]:
            observation.append(forces[6:])
    forward = facts.velocity(x, "x") * facts.weight("forward_reward_weight", 1.0)
    return Task(
        observation=observation,
        reward=forward + survival_reward(facts, healthy) - cost,
        start=facts.noisy_start(normal_velocity=True),
        terminated=unless_healthy(facts, healthy),
        kept={"x": x},
        contact_forces=touches,
    )


def humanoid(facts: Facts) -> Task:
    """Walk on two legs; the episode ends on falling. In v5 contact forces cost."""
    x = _mass_center(facts)
    healthy = inside(facts.qpos[2], facts.settings["healthy_z_range"])
    forward = facts.velocity(x, "x") * facts.weight("forward_reward_weight")
    cost = _effort(facts)
    if facts.version != 4:
        cost = cost + _impact(facts, "contact_cost_weight", "contact_cost_range")
    return Task(
        observation=_whole_body(facts),
        reward=forward + survival_reward(facts, healthy) - cost,
        start=facts.noisy_start(),
        terminated=unless_healthy(facts, healthy),
        kept={"x": x},
        contact_forces=True,
    )


def humanoid_standup(facts: Facts) -> Task:
    """Stand up from lying: reward for height, as if it had been reached within one substep."""
    height = facts.qpos[2] / facts.model.opt.timestep
    impact = _impact(facts, "impact_cost_weight", "impact_cost_range")
    return Task(
        observation=_whole_body(facts),
        reward=height - _effort(facts) - impact + 1.0,
        start=facts.noisy_start(0.01),
        contact_forces=True,
    )


def _mass_center(facts: Facts) -> Expression:
    """The x of the whole body's center of mass, summed body by body as `np.einsum` does."""
    positions, masses = facts.field("xipos"), facts.model.body_mass.tolist()
    total: Expression = positions[0] * masses[0]
    for body in range(1, len(masses)):
        total = total + positions[3 * body] * masses[body]
    return total / float(facts.model.body_mass.sum())


def _effort(facts: Facts) -> Expression:
    """The cost of the controls, which have float64 whatever the action has."""
    return sum_of_squares(facts.field("ctrl")) * facts.weight("ctrl_cost_weight", 0.1)


def _impact(facts: Facts, weight: str, limits: str) -> Expression:
    """The cost of contact forces, limited. Defaults are HumanoidStandup-v4's."""
    low, high = facts.settings.get(limits, (-np.inf, 10.0))
    return clip(sum_of_squares(facts.field(FORCES)) * facts.weight(weight, 0.5e-6), low, high)


def _whole_body(facts: Facts) -> list[Expression]:
    """State, inertias, velocities and forces; v5 leaves out those of the world, which are 0."""
    observation = [facts.positions_after(2), facts.qvel]
    for name, of_world in (
        ("cinert", 10),
        ("cvel", 6),
        ("qfrc_actuator", ROOT_VELOCITIES),
        (FORCES, 6),
    ):
        if facts.version == 4:
            observation.append(facts.field(name))
        elif facts.settings[f"include_{name}_in_observation"] is True:
            observation.append(facts.field(name)[of_world:])
    return observation
