"""What the size of a contrast is, against numbers that are known."""

from __future__ import annotations

import numpy as np
import pytest

from repro.explain import gae


def test_the_size_of_a_contrast_is_without_the_noise_of_its_means() -> None:
    rng = np.random.default_rng(0)
    true = np.array([3.0, -4.0] * 500)
    samples = 10 * rng.standard_normal((1000, 2, 20))
    samples[:, 1] += true[:, None]
    assert gae.contrast_size(samples) == pytest.approx(np.sqrt(12.5), rel=0.05)
    plain = np.sqrt(np.square(samples[:, 1].mean(-1) - samples[:, 0].mean(-1)).mean())
    assert plain > 4.3
    assert gae.contrast_size(samples[:, [1, 1]]) == 0
