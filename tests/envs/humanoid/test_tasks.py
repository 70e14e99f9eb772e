"""Flags, starts and cubes: where, when and how often, as Roboschool's v0 has them."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from scipy import stats

from repro.config.humanoid import HumanoidConfig
from repro.envs.humanoid import cube as cubes
from repro.envs.humanoid.rules import ids, rules_of
from repro.envs.humanoid.starts import FACE_DOWN, ON_BACK, POSES, UPRIGHT
from repro.envs.humanoid.vector import HumanoidVectorEnv
from repro.errors import ConfigError

FLAGRUN, HARDER = "repro/HumanoidFlagrun-v0", "repro/HumanoidFlagrunHarder-v0"


@pytest.fixture(scope="module")
def harder() -> HumanoidVectorEnv:
    return HumanoidVectorEnv(HARDER, 400)


def test_flags_lie_uniformly_in_half_the_field() -> None:
    env, rng = HumanoidVectorEnv(FLAGRUN, 1), np.random.default_rng(1)
    places = []
    for _ in range(2000):
        env.flag.move(0, rng)
        places.append(env.flag.place[0].copy())
    for axis, half in ((0, 13.125), (1, 6.25)):
        along = np.array(places)[:, axis]
        assert stats.kstest(along, "uniform", (-half, 2 * half)).pvalue > 0.01


def test_a_flag_stays_for_200_steps_and_the_reset_counts_as_one() -> None:
    env = HumanoidVectorEnv("repro/HumanoidFlagrunHarder-v0", 1)
    env.reset(seed=1)
    moves, place = [], env.flag.place.copy()
    for step in range(1, 420):
        env._ground_steps[:] = 0  # it may lie there for as long as it likes
        env.advance(np.zeros((1, 17)))
        if (env.flag.place != place).any():
            moves.append(step)
            place = env.flag.place.copy()
    assert moves == [199, 399]


@pytest.mark.parametrize(("distance", "moves"), [(0.99, True), (1.01, False)])
def test_a_flag_within_a_meter_is_reached(distance: float, moves: bool) -> None:
    env = HumanoidVectorEnv(FLAGRUN, 1)
    env.reset(seed=0)
    action = np.zeros((1, 17))
    twin = HumanoidVectorEnv(FLAGRUN, 1)
    twin.reset(seed=0)
    twin.set_state(env.state())
    twin.advance(action)
    env.flag.place[0] = twin.body.xy[0] + [distance, 0]
    env.advance(action)
    assert (env.flag.steps_left[0] == 200) == moves
    assert env._measures._arrays["flags"][0] == moves


def test_starts_are_half_upright_a_quarter_face_down_a_quarter_on_the_back(
    harder: HumanoidVectorEnv,
) -> None:
    harder.reset(seed=0)
    kinds = harder._starts.kind
    counts = [int((kinds == kind).sum()) for kind in (UPRIGHT, FACE_DOWN, ON_BACK)]
    assert stats.chisquare(counts, np.array([0.5, 0.25, 0.25]) * 400).pvalue > 0.01
    body = harder.body
    for kind, pitch in ((UPRIGHT, 0.0), (FACE_DOWN, np.pi / 2), (ON_BACK, -np.pi / 2)):
        rows = kinds == kind
        assert body.z[rows] == pytest.approx(POSES[kind].height, abs=1e-12)
        assert body.pitch[rows] == pytest.approx(pitch, abs=1e-6)
    upright = body.yaw[kinds == UPRIGHT]
    assert stats.kstest(upright, "uniform", (-3.14, 6.28)).pvalue > 0.01
    joints = harder._qpos[:, 7:24].ravel()
    assert stats.kstest(joints, "uniform", (-0.1, 0.2)).pvalue > 0.01


def test_cubes_come_every_30_steps_after_100_while_it_stands(harder: HumanoidVectorEnv) -> None:
    elapsed, standing = np.arange(200), np.zeros(200, np.int64)
    assert np.flatnonzero(cubes.Cube.due(elapsed, standing)).tolist() == [120, 150, 180]
    assert not cubes.Cube.due(elapsed, standing + 1).any()


def test_cubes_are_thrown_at_where_the_humanoid_will_be(harder: HumanoidVectorEnv) -> None:
    harder.reset(seed=2)
    cube, rng = harder.cube, np.random.default_rng(0)
    assert cube is not None
    velocity, target = np.array([2.0, -1.0, 0.0]), np.array([3.0, 4.0, 1.1])
    speeds, angles = [], []
    for i in range(harder.num_envs):
        cube.throw(i, rng, target, velocity)
        thrown, place = cube._motion[i, :3], cube._pose[i, :3]
        speed = np.linalg.norm(thrown)
        assert 20 - 3**0.5 <= speed <= 30 + 3**0.5
        offset = place - target
        assert np.hypot(*(offset - velocity * 4 / speed)[:2]) == pytest.approx(4, abs=0.1)
        assert offset[2] == pytest.approx(1)
        # Without gravity it would come by closely: the noise is 1 m/s a component.
        towards = target + velocity * 4 / speed - place
        miss = np.linalg.norm(np.cross(towards, thrown)) / speed
        assert miss < 0.4
        speeds.append(speed)
        angles.append(np.arctan2(*offset[1::-1]))
    assert stats.kstest(speeds, "uniform", (20, 10)).pvalue > 1e-4
    assert stats.kstest(np.array(angles), "uniform", (-np.pi, 2 * np.pi)).pvalue > 0.01


def test_a_hit_gives_the_cubes_momentum_to_the_humanoid() -> None:
    env = HumanoidVectorEnv(HARDER, 1)
    env.reset(seed=5)  # in the air, so that only the cube acts besides gravity
    model, data = env.model, mujoco.MjData(env.model)
    masses = model.body_mass[1:15]
    assert env.cube is not None

    def momentum() -> np.ndarray:
        mujoco.mj_setState(model, data, env.batch.state[0], mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_forward(model, data)
        body = model.body("torso").id
        mujoco.mj_subtreeVel(model, data)
        total = model.body_subtreemass[body] * data.subtree_linvel[body]
        return np.stack([total, 0.6 * env.cube._motion[0, :3]])  # type: ignore[union-attr]

    assert masses.sum() == pytest.approx(42.116, abs=1e-3)
    env._qpos[0, 2] = 30.0
    env.cube.throw(0, np.random.default_rng(1), np.array([0.0, 0.0, 29.9]), np.zeros(3))
    before, hits, steps = momentum(), 0, 12
    for _ in range(steps):
        env.simulate(np.zeros((1, 17)))
        hits += int(env.cube.hits()[0])
    change = momentum() - before
    gravity = np.array([0, 0, -9.8]) * steps * 0.0165
    assert hits == 1
    assert change.sum(0) == pytest.approx((42.116 + 0.6) * gravity, abs=0.1), "conserved"
    assert np.linalg.norm(change[0] - 42.116 * gravity) > 3, "and handed over"


def test_versions_differ_in_their_rules_and_switches_set_each() -> None:
    assert rules_of(FLAGRUN).flag_steps == 200
    assert rules_of("repro/HumanoidFlagrun-v1").flag_steps == 150
    assert rules_of(FLAGRUN, HumanoidConfig(flag_steps=150)).flag_steps == 150
    for task_id in ids():
        assert rules_of(task_id).joint_limit_cost == (-0.1 if task_id.endswith("v0") else -0.2)
    with pytest.raises(ConfigError, match=r"Humanoid-v0 has no env\.humanoid\.cube_mass"):
        rules_of("repro/Humanoid-v0", HumanoidConfig(cube_mass=1.0))
    with pytest.raises(ConfigError, match="did you mean repro/Humanoid-v1"):
        rules_of("repro/Humanoid-v2")


def test_underlearned_starts_are_drawn_more_often() -> None:
    """v1: probabilities by how often the last episodes of each kind did not last."""
    env = HumanoidVectorEnv("repro/HumanoidFlagrunHarder-v1", 1)
    starts, ended = env._starts, np.ones(1, np.bool_)
    for kind, lasted in ((0, True), (1, True), (2, False)):
        for _ in range(12):
            starts.kind[0] = kind
            starts.remember(np.array([lasted]), ended)
    rng = np.random.default_rng(0)
    drawn = np.bincount([starts._draw_kind(0, rng) for _ in range(1300)], minlength=3)
    failing = np.array([1 - 10 / 11, 1 - 10 / 11, 1])
    assert stats.chisquare(drawn, 1300 * failing / failing.sum()).pvalue > 0.01
