"""F1, F6 and F11 on a policy's run: real signals, and damaged checkpoints."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from repro.errors import CorruptError
from repro.language import compose
from repro.language.config import LanguageConfig
from repro.language.training import Training
from repro.runs import checkpoint, store
from repro.runs.checkpoint import Checkpoint
from repro.training import pack
from tests.helpers.bits import assert_equal_bits
from tests.helpers.cli import ROOT, finish, start
from tests.helpers.language import Tiny, left, moved
from tests.helpers.waiting import wait_for

LONG = ("kl=adaptive", "algorithm.total_episodes=4800")  # 300 iterations, seconds at the least


def test_f6_every_damage_to_a_policys_checkpoint_is_noticed(tiny: Tiny, tmp_path: Path) -> None:
    stage = Training([tiny("kl=adaptive")])
    stage.iterate()
    checkpoint.save(tmp_path, Checkpoint(1, {}, stage.checkpoint(0), {}))
    (arrays,) = tmp_path.rglob("arrays.npz")
    content, rng = arrays.read_bytes(), np.random.default_rng(0)
    for offset in rng.integers(0, len(content), 200):
        for size in (1, 4096):
            damaged = bytearray(content)
            if size == 1:
                damaged[offset] ^= 1 << offset % 8
            else:
                damaged[offset : offset + size] = bytes(len(damaged[offset : offset + size]))
            arrays.write_bytes(damaged)
            if damaged != content:
                with pytest.raises(CorruptError, match="is damaged"):
                    checkpoint.load(tmp_path, 1)
    arrays.write_bytes(content)
    checkpoint.load(tmp_path, 1)


@pytest.mark.slow
def test_f1_f11_terminated_killed_and_still_the_same(tiny: Tiny, tmp_path: Path) -> None:
    where = tmp_path / "here"
    given = [*moved(tiny(*LONG), where), *LONG]
    (config,) = compose.compose(given).configs
    for number, code in ((signal.SIGTERM, 75), (signal.SIGKILL, -9), (signal.SIGINT, 75)):
        before = _newest(config)
        process = start(tmp_path, *given, path=(ROOT,), module="repro.language")
        wait_for(lambda seen=before: _newest(config) > seen + 1)
        process.send_signal(number)
        assert finish(process, timeout=300).code == code
    assert 3 < _newest(config) < config.updates
    assert finish(start(tmp_path, *given, module="repro.language")).code == 0
    whole = tiny(*LONG)
    pack.run_pack([whole])
    assert_equal_bits(left(whole.directory), left(config.directory))
    assert len(store.read_run(config.directory)["resumed"]) == 3


def _newest(config: LanguageConfig) -> int:
    return max(checkpoint.iterations(config.directory), default=0)
