"""Everything that runs leave behind, and whether it is the same to the last bit."""

from __future__ import annotations

import numpy as np

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


def assert_equal_bits(one: Trace, other: Trace) -> None:
    assert one.keys() == other.keys()
    for name, expected in one.items():
        np.testing.assert_array_equal(expected, other[name], err_msg=name, strict=True)
