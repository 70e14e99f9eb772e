"""Initial weights [inputs, outputs] of one layer, as the codes in `conf/recipe` draw them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def normc(rng: np.random.Generator, shape: tuple[int, ...], gain: float) -> Array:
    """As Baselines' ppo1: normal entries, each output's incoming weights scaled to norm `gain`."""
    weight = rng.standard_normal(shape)
    return np.asarray(weight * (gain / np.linalg.norm(weight, axis=0)), np.float32)


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...], gain: float) -> Array:
    """A random matrix with orthonormal rows or columns, times `gain` (Saxe et al. 2013)."""
    tall = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return np.asarray(gain * (q if shape[0] >= shape[1] else q.T), np.float32)
