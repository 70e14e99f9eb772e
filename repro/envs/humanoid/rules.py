"""The rules of each task in Roboschool's two versions, each with its source.

v0 is openai/roboschool at 911f7cd (2017-05-15), which the paper's names and its 200 steps mean. v1
is the same at b327363 and 1f5c1b3 (July 2017). Files: `gym_forward_walkers.py` (walkers),
`gym_humanoid_flagrun.py` (flagrun) and `models_household/cube.urdf` (cube).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from repro.config.humanoid import HumanoidConfig
from repro.config.names import nearest
from repro.errors import ConfigError

EPISODE_STEPS = 1000  # __init__.py: max_episode_steps of the three tasks
TASKS = ("Humanoid", "HumanoidFlagrun", "HumanoidFlagrunHarder")
VERSIONS = ("v0", "v1")


@dataclass(frozen=True)
class Rules:
    """What a task does.

    Attributes:
        flagrun: whether the target is a flag that moves, rather than a point 1 km ahead.
        harder: whether the humanoid may lie on the ground, and cubes are thrown at it.
        leaning: whether starts on the ground are v1's (which lean by 0.15 rad and are lower).
        walk_ends_on_ground: whether an episode that starts upright ends below 0.8 m.

    The others are those of `repro.config.humanoid.HumanoidConfig`.
    """

    flagrun: bool
    harder: bool
    joint_damping: float = 1.0
    joint_stiffness: float = 1.0
    joint_limit_cost: float = -0.1  # walkers: joints_at_limit_cost
    start_yaw: float = 3.14  # walkers: robot_specific_reset; Humanoid: 0, random_yaw is False
    starts: str = "upright"  # walkers: random_lean is False
    flag_steps: int = 200  # flagrun: flag_timeout
    first_flag_ahead: bool = False
    electricity: float = 1.0
    electricity_on_ground: float = 1.0
    standing: str = "torso"  # flagrun: potential_leak
    cube_mass: float = 0.6  # cube: mass
    leaning: bool = False
    walk_ends_on_ground: bool = False


_V0: dict[str, dict[str, Any]] = {
    "Humanoid": {"start_yaw": 0.0},
    "HumanoidFlagrun": {},
    "HumanoidFlagrunHarder": {
        "starts": "drawn",  # random_lean: 1/2 upright, 1/4 face down, 1/4 on the back
        "electricity": 0.25,  # electricity_cost /= 4
        "electricity_on_ground": 0.25,
    },
}
_V1_ALL: dict[str, Any] = {
    "joint_limit_cost": -0.2,  # walkers
    "start_yaw": math.pi / 16,  # gym_mujoco_walkers.py at 1f5c1b3: yaw_random_spread
}
_V1_FLAG: dict[str, Any] = {
    "flag_steps": 150,  # flagrun: flag_timeout
    "first_flag_ahead": True,  # flagrun: flag_reposition(first=True)
    "electricity": 0.5,  # flagrun: electricity_cost /= 2
    "electricity_on_ground": 0.5,
}
_V1: dict[str, dict[str, Any]] = {
    "Humanoid": _V1_ALL,
    "HumanoidFlagrun": _V1_ALL | _V1_FLAG,
    "HumanoidFlagrunHarder": _V1_ALL
    | _V1_FLAG
    | {
        "starts": "underlearned",  # flagrun at 1f5c1b3: RepeatUnderlearnedTasks
        "electricity_on_ground": 0.2,  # flagrun: alive_bonus
        "standing": "torso_and_pelvis",  # flagrun: potential_leak
        "cube_mass": 1.2,  # cube
        "leaning": True,  # gym_mujoco_walkers.py at 1f5c1b3: set_initial_orientation
        "walk_ends_on_ground": True,  # flagrun at 1f5c1b3: alive_bonus, TASK_WALK
    },
}


def ids() -> list[str]:
    """The ids of the tasks, v0 and v1."""
    return [f"repro/{name}-{version}" for version in VERSIONS for name in TASKS]


def rules_of(task_id: str, changes: HumanoidConfig | None = None) -> Rules:
    """The rules of a task, with switches that differ from its version's.

    Raises:
        ConfigError: an unknown id, or a switch that the task does not have.
    """
    if task_id not in ids():
        raise ConfigError(
            f"the humanoid backend has no environment {task_id!r}{nearest(task_id, ids())}: it has "
            f"{', '.join(ids())}"
        )
    name, _, version = task_id.removeprefix("repro/").rpartition("-")
    harder = name == "HumanoidFlagrunHarder"
    flagrun = name != "Humanoid"
    values = {"v0": _V0, "v1": _V1}[version][name]
    changed = {
        k: v for k, v in dataclasses.asdict(changes or HumanoidConfig()).items() if v is not None
    }
    _check_switches(task_id, flagrun, harder, changed)
    return Rules(flagrun, harder, **(values | changed))


_OF_FLAGRUN = ("flag_steps", "first_flag_ahead")
_OF_HARDER = ("starts", "electricity_on_ground", "standing", "cube_mass")


def _check_switches(task_id: str, flagrun: bool, harder: bool, changed: dict[str, Any]) -> None:
    absent = (() if flagrun else _OF_FLAGRUN) + (() if harder else _OF_HARDER)
    for name in absent:
        if name in changed:
            raise ConfigError(f"{task_id} has no env.humanoid.{name}: leave it out.")
