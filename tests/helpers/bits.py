"""Everything that runs leave behind, and whether it is the same to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from repro.algorithms.base import Learners

Trace = dict[str, np.ndarray]


def traces(pack: Learners, iterations: int) -> list[Trace]:
    """By learner: metrics, episodes, rewards, parameters, statistics of some iterations."""
    rows = [pack.iterate() for _ in range(iterations)]
    result = []
    for p in range(len(pack.configs)):
        trace = {name: np.array([row.metrics[name][p] for row in rows]) for name in rows[0].metrics}
        trace |= {"returns": np.array([x for row in rows for x in row.episodes[p].returns])}
        trace |= {"rewards": pack.collector._rewards[p].copy(), **pack.state(p)}
        result.append(trace)
    return result


def assert_equal_bits(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Arrays, tables and what else two traces or two results of runs have under the same names."""
    assert one.keys() == other.keys()
    for name, expected in one.items():
        if isinstance(expected, pd.DataFrame):
            pd.testing.assert_frame_equal(expected, other[name], check_exact=True, obj=name)
        elif isinstance(expected, Mapping):
            assert_equal_bits(expected, other[name])
        else:
            np.testing.assert_array_equal(expected, other[name], err_msg=name, strict=True)


def equal_bits(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    try:
        assert_equal_bits(one, other)
    except AssertionError:
        return False
    return True
