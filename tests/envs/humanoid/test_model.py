"""The body: what Roboschool's file and its loading say of it."""

from __future__ import annotations

import numpy as np
import pytest

from repro.envs.humanoid.model import MOTORS, build
from repro.envs.humanoid.rules import rules_of
from repro.envs.humanoid.vector import HumanoidVectorEnv
from repro.evaluation.random_humanoids import measure, row

HUMANOID = "repro/Humanoid-v0"


def test_weights_motors_and_limits_are_roboschools() -> None:
    model = build(rules_of(HUMANOID))
    assert model.body_mass.sum() == pytest.approx(42.116, abs=1e-3)
    assert [model.actuator(a).name for a in range(model.nu)] == list(MOTORS)
    joints = [model.joint(model.actuator_trnid[a, 0]).name for a in range(model.nu)]
    assert joints == [model.joint(j).name for j in range(1, model.njnt)], (
        "actions are in their order"
    )
    powers = [100] * 5 + [300, 200] + [100] * 2 + [300, 200] + [75] * 6
    assert model.actuator_gear[:, 0] == pytest.approx(0.41 * np.array(powers))
    for side in ("right", "left"):
        assert np.rad2deg(model.joint(f"{side}_hip_y").range) == pytest.approx([-120, 20])
    assert np.unique(model.geom_friction, axis=0).tolist() == [[0.8, 0.1, 0.1]]


def test_a_part_collides_with_none_of_its_ancestors() -> None:
    model = build(rules_of(HUMANOID))
    pairs = set()
    for body in range(2, model.nbody):
        ancestor = model.body_parentid[model.body_parentid[body]]
        while ancestor > 0:
            pairs.add((int(ancestor), body))
            ancestor = model.body_parentid[ancestor]
    excluded = {(int(each) >> 16, int(each) & 0xFFFF) for each in model.exclude_signature}
    assert {tuple(sorted(each)) for each in excluded} == pairs and len(pairs) == 21


def test_standing_straight_it_measures_117_cm() -> None:
    """Upright, joints at 0, feet on the floor: "1.2 when jumping"."""
    env = HumanoidVectorEnv(HUMANOID, 1)
    env.reset(seed=0)
    env._qpos[0, 7:24] = 0
    places = env.batch.bind("geom_xpos")
    env.batch.forward()
    feet = [places[0, env.model.geom(f"{side}_foot").id, 2] for side in ("left", "right")]
    env._qpos[0, 2] -= min(feet) - 0.075
    env.body.measure()
    assert env.body.z[0] == pytest.approx(1.173, abs=1e-3)


def test_a_random_policy_falls() -> None:
    played = measure("repro/HumanoidFlagrun-v0", "uniform", 4, seed=0)
    assert (played.lengths < 100).all()
    line = row("repro/HumanoidFlagrun-v0", "uniform", played)
    assert float(line["return"]) == pytest.approx(played.returns.mean(), rel=1e-3)
    assert line["flags"] == "0"
