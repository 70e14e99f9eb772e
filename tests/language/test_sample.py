"""Responses of a finished policy in the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.language import sample
from repro.training import pack
from tests.helpers.language import Tiny


def test_tokens_with_their_advantages(
    tiny: Tiny, pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny("algorithm.total_episodes=16")
    pack.run_pack([config])
    capsys.readouterr()
    line = [str(config.directory), "--prompt", "the film", "--count", "3"]
    assert sample.run(line) == 0
    advantages = capsys.readouterr().out
    assert advantages.count("the film │") == 3 and advantages.count("gold") == 3
    assert sample.run([*line, "--show", "kl"]) == 0
    assert capsys.readouterr().out != advantages
    assert sample.run([str(config.directory), "--prompt", "the flim"]) == 2
    assert capsys.readouterr().err == "--prompt the flim: flim is no word of the vocabulary.\n"
    base = next(pipeline.glob("*pretrain*"))
    assert sample.run([str(base)]) == 2
    assert "no finished policy" in capsys.readouterr().err
