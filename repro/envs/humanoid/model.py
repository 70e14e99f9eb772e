"""The humanoid as a MuJoCo model: Gymnasium's bundled body, edited to be Roboschool's.

Roboschool loaded `humanoid_symmetric.xml` into Bullet. It differs from Gymnasium's `humanoid.xml`
in few numbers, which are changed here. Heights and positions are those that Bullet reported; they
were read from PyBullet 3.2.7's import of that file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np

from repro.envs.humanoid.rules import Rules

SUBSTEPS = 4  # gym_forward_walkers.py: frame_skip
STEP_SECONDS = 0.0165  # gym_forward_walkers.py: timestep=0.0165/4
GRAVITY = 9.8  # gym_forward_walkers.py
FRICTION = (0.8, 0.1, 0.1)  # humanoid_symmetric.xml and ground_plane.xml
POWER = 0.41  # gym_forward_walkers.py: of the humanoid's motors
MOTORS = {  # gym_forward_walkers.py: motor_power in N m; the order of the actions
    "abdomen_z": 100,
    "abdomen_y": 100,
    "abdomen_x": 100,
    "right_hip_x": 100,
    "right_hip_z": 100,
    "right_hip_y": 300,
    "right_knee": 200,
    "left_hip_x": 100,
    "left_hip_z": 100,
    "left_hip_y": 300,
    "left_knee": 200,
    "right_shoulder1": 75,
    "right_shoulder2": 75,
    "right_elbow": 75,
    "left_shoulder1": 75,
    "left_shoulder2": 75,
    "left_elbow": 75,
}
HIP_RANGE = (-120.0, 20.0)  # degrees; humanoid_symmetric.xml; Gymnasium: -110 to 20
HIP_ARMATURE = 0.01  # humanoid_symmetric.xml; Gymnasium: 0.008 on the right
KNEE_STIFFNESS = 1.0  # humanoid_symmetric.xml; Gymnasium: 0 on the right
FEET = ("right_foot", "left_foot")
WAIST = (-0.01, 0.0, -0.12)
"""The point of the torso that Bullet calls its position: the center of the capsule `uwaist`.

So Roboschool's z is that point's height. Upright with straight legs it is 1.17 m, which agrees with
its comment "0.8 .. 1.05 normal walk, 1.2 when jumping"; the frame of the torso is 0.12 m higher.
"""
CENTERS = {  # the points that Bullet calls the positions of the other parts, in their frames
    "lwaist": (0.0, 0.0, 0.0),
    "pelvis": (-0.02, 0.0, 0.0),
    "right_thigh": (0.0, 0.005, -0.17),
    "right_shin": (0.0, 0.0, -0.15),
    "right_foot": (0.0, 0.0, 0.0),
    "left_thigh": (0.0, -0.005, -0.17),
    "left_shin": (0.0, 0.0, -0.15),
    "left_foot": (0.0, 0.0, 0.0),
    "right_upper_arm": (0.08, -0.08, -0.08),
    "right_lower_arm": (0.0, 0.0, 0.0),
    "left_upper_arm": (0.08, 0.08, -0.08),
    "left_lower_arm": (0.0, 0.0, 0.0),
}
PARTS = len(MOTORS) + len(CENTERS)  # Bullet counts each joint as a part, too
CUBE_SIDE = 0.1  # cube.urdf
CUBE_PARKED = (-1.5, 0.0, 0.05)  # gym_humanoid_flagrun.py
FLAG_HEIGHT = 0.2  # m; of the point that is the flag's place
POLE, CLOTH = 1.5, (0.25, 0.01, 0.17)  # m; the pole's height, half the cloth's sides
TILES = ([0.42, 0.47, 0.52], [0.5, 0.55, 0.6])  # red, green, blue
HAZE, SKY = [0.75, 0.82, 0.9], [0.45, 0.6, 0.8]
_FOUND = 1 << int(mujoco.mjtConDataField.mjCONDATA_FOUND)


def build(rules: Rules) -> Any:
    """The compiled model (`mujoco.MjModel`), without a cube or a flag where the task has none."""
    path = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "humanoid.xml"
    spec = mujoco.MjSpec.from_file(str(path))
    option = spec.option
    option.timestep = STEP_SECONDS / SUBSTEPS
    option.gravity = [0, 0, -GRAVITY]
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    for geom in spec.geoms:
        geom.friction, geom.condim = FRICTION, 3
    spec.geom("floor").size = [50, 50, 0.125]
    _set_joints(spec, rules)
    _set_motors(spec)
    _exclude_ancestors(spec)
    _add_parts(spec)
    _add_foot_sensors(spec)
    if rules.flagrun:
        _add_flag(spec)
    if rules.harder:
        _add_cube(spec, rules.cube_mass)
    _paint(spec)
    return spec.compile()


def _set_joints(spec: Any, rules: Rules) -> None:
    for side in ("right", "left"):
        hip = spec.joint(f"{side}_hip_y")
        hip.range, hip.armature = HIP_RANGE, HIP_ARMATURE
        spec.joint(f"{side}_knee").stiffness = np.array([KNEE_STIFFNESS, 0, 0])
    for name in MOTORS:
        joint = spec.joint(name)
        joint.damping = np.asarray(joint.damping) * rules.joint_damping
        joint.stiffness = np.asarray(joint.stiffness) * rules.joint_stiffness


def _set_motors(spec: Any) -> None:
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    for name, power in MOTORS.items():
        motor = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.set_to_motor()
        motor.gear[0] = power * POWER
        motor.ctrllimited, motor.ctrlrange = True, [-1, 1]


def _exclude_ancestors(spec: Any) -> None:
    """No contacts of a part with its ancestors: URDF_USE_SELF_COLLISION_EXCLUDE_ALL_PARENTS."""
    for body in spec.bodies:
        ancestor = body.parent
        while ancestor is not None and ancestor.name != "world":
            if ancestor is not body.parent:  # MuJoCo excludes the parent itself
                spec.add_exclude(bodyname1=body.name, bodyname2=ancestor.name)
            ancestor = ancestor.parent


def _add_parts(spec: Any) -> None:
    """The points whose mean Roboschool takes for the humanoid's place: sites 0 to PARTS - 1."""
    for name in MOTORS:
        joint = spec.joint(name)
        joint.parent.add_site(name=f"joint_{name}", pos=joint.pos)
    for name, center in CENTERS.items():
        spec.body(name).add_site(name=f"part_{name}", pos=center)


def _add_foot_sensors(spec: Any) -> None:
    """Of each foot, contacts with the floor, and contacts with anything."""
    for foot in FEET:
        for other in ("floor", ""):
            sensor = spec.add_sensor(
                name=f"{foot}_{other or 'any'}",
                type=mujoco.mjtSensor.mjSENS_CONTACT,
                objtype=mujoco.mjtObj.mjOBJ_GEOM,
                objname=foot,
                intprm=[_FOUND, 0, 1],
            )
            if other:
                sensor.reftype, sensor.refname = mujoco.mjtObj.mjOBJ_GEOM, other


def _add_flag(spec: Any) -> None:
    """A pole with a cloth, which nothing touches; Roboschool drew a sphere."""
    flag = spec.worldbody.add_body(name="flag", mocap=True, pos=[0, 0, FLAG_HEIGHT])
    half = POLE / 2
    for name, kind, size, place, color in (
        ("pole", mujoco.mjtGeom.mjGEOM_CYLINDER, [0.025, half, 0], [0, 0, half], [0.9, 0.9, 0.9]),
        (
            "cloth",
            mujoco.mjtGeom.mjGEOM_BOX,
            CLOTH,
            [CLOTH[0], 0, POLE - CLOTH[2]],
            [0.9, 0.1, 0.1],
        ),
    ):
        place[2] -= FLAG_HEIGHT
        shown = {"name": name, "type": kind, "size": size, "pos": place, "rgba": [*color, 1]}
        flag.add_geom(mass=0, contype=0, conaffinity=0, **shown)


def _add_cube(spec: Any, mass: float) -> None:
    cube = spec.worldbody.add_body(name="cube", pos=CUBE_PARKED)
    cube.add_freejoint(name="cube")
    cube.add_geom(
        name="cube",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[CUBE_SIDE / 2] * 3,
        mass=mass,
        condim=3,
        friction=FRICTION,
        rgba=[0.95, 0.95, 0.95, 1],
    )


def _paint(spec: Any) -> None:
    """Softer colors than the file's, which flicker in a film of a camera that moves."""
    spec.visual.map.fogstart, spec.visual.map.fogend = 12, 30
    spec.visual.rgba.fog[:3] = HAZE
    spec.material("MatPlane").reflectance = 0.0
    for light in spec.lights:
        light.castshadow = False  # the floor's own shadow flickers at a distance
    for texture in spec.textures:
        if texture.name == "texplane":
            texture.rgb1, texture.rgb2 = TILES
        elif texture.type == mujoco.mjtTexture.mjTEXTURE_SKYBOX:
            texture.rgb1, texture.rgb2 = HAZE, SKY
