"""Bounds of intervals where a task's returns end."""

from __future__ import annotations

import numpy as np

from analysis.statistics.possible import within


def test_what_is_cut_off_is_impossible_and_nothing_else() -> None:
    low, high = within("InvertedPendulum-v4", -78.0, 1141.0)
    assert (float(low), float(high)) == (0, 1000)
    inside = within("InvertedPendulum-v5", 12.5, 990.0)
    assert [float(bound) for bound in inside] == [12.5, 990]
    anything = within("Hopper-v4", -78.0, 1e6)
    assert [float(bound) for bound in anything] == [-78, 1e6]
    band = within("pong", np.array([-30.0, np.nan]), np.array([2.0, np.nan]))
    np.testing.assert_array_equal(band, [[-21, np.nan], [2, np.nan]])
