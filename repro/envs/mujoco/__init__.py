"""Gymnasium's MuJoCo tasks as one batch of simulations, bit-equal to `gymnasium.make`.

`vector` steps the batch; `task` defines what a task is; `control` and `locomotion` hold the tasks.
"""
