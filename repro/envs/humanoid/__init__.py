"""The three humanoid tasks of the paper's section 6.3, after Roboschool, on MuJoCo.

Importing this package registers them with Gymnasium: `repro/Humanoid-v0`,
`repro/HumanoidFlagrun-v0`, `repro/HumanoidFlagrunHarder-v0`, and the same with v1. Gymnasium's own
`Humanoid-v5` is another task.

`rules` says what the versions differ in, `model` builds the body, `body` measures it, `rewards` are
the terms of the reward, `flag` and `cube` move the two objects, `vector` steps a batch, `single` is
the environment that Gymnasium makes.
"""

from __future__ import annotations

import gymnasium

from repro.envs.humanoid.rules import EPISODE_STEPS, ids

for _id in ids():
    if _id not in gymnasium.registry:
        gymnasium.register(
            _id,
            entry_point="repro.envs.humanoid.single:HumanoidEnv",
            max_episode_steps=EPISODE_STEPS,
            kwargs={"task_id": _id},
        )
