"""Gymnasium's MuJoCo tasks as one batch of simulations, bit-equal to `gymnasium.make`.

`vector` steps the batch; `task` defines what a task is; `control` and `locomotion` hold the tasks.
"""

import logging

# With MUJOCO_GL=egl, mujoco imports PyOpenGL, which logs that an optional module is missing.
logging.getLogger("OpenGL").setLevel(logging.WARNING)
