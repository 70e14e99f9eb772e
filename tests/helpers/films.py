"""Videos that `repro.watch` makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro import watch


def decode(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """What a player would see: facts and pictures."""
    import imageio_ffmpeg

    reader = imageio_ffmpeg.read_frames(str(path))
    facts = next(reader)
    width, height = facts["size"]
    pictures = [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]
    return facts, pictures


def show(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = watch.run([str(argument) for argument in arguments])
    return code, *capsys.readouterr()
