"""Gymnasium's MuJoCo tasks as one batch of simulations, bit-equal to `gymnasium.make`."""
