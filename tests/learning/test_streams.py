"""F24: no two runs, and no two uses within one, share a random stream."""

from __future__ import annotations

import numpy as np

from repro.learning.streams import Streams


def test_f24_ten_thousand_runs_share_nothing() -> None:
    firsts = set()
    env_seeds = set()
    for seed in range(10_000):
        streams = Streams(seed)
        firsts |= {
            generator.bit_generator.state["state"]["state"]
            for generator in (streams.init, streams.action, streams.shuffle)
        }
        env_seeds.add(streams.env_seeds(1)[0])
    assert len(firsts) == 30_000
    assert len(env_seeds) == 10_000


def test_f24_episodes_that_begin_anew_have_seeds_of_their_own() -> None:
    streams = Streams(3)
    seeds = [*streams.env_seeds(8)]
    for step in (2048, 4096):
        seeds += streams.restart_seeds(8, step)
    assert len(set(seeds)) == 24
    assert streams.restart_seeds(8, 2048) == Streams(3).restart_seeds(8, 2048)
    np.testing.assert_array_equal(streams.env_seeds(8), Streams(3).env_seeds(8))
