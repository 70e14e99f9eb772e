"""Initial weights of one layer, as the codes in `conf/recipe` draw them."""

from __future__ import annotations

import numpy as np

Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def normc(rng: np.random.Generator, shape: tuple[int, ...], gain: float) -> Array:
    """Baselines' ppo1: normal entries, each output's incoming weights scaled to norm `gain`."""
    weight = rng.standard_normal(shape)
    return np.asarray(weight * (gain / np.linalg.norm(weight, axis=0)), np.float32)


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...], gain: float) -> Array:
    """A random matrix with orthonormal rows or columns (Saxe et al. 2013), times `gain`."""
    tall = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return np.asarray(gain * (q if shape[0] >= shape[1] else q.T), np.float32)
