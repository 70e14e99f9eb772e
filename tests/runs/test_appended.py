"""Parts of a state that grow: saved piece by piece, verified, deleted when nobody needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro.errors import CorruptError, NumericalError
from repro.runs import appended, checkpoint
from repro.runs.appended import Appended, Saved
from repro.runs.checkpoint import Checkpoint

SIZE = 4  # segments that are needed


def segment(i: int) -> dict[str, np.ndarray]:
    return {"x": np.full((3, 2), i, np.uint8), "r": np.full(3, i / 8, np.float32)}


def save(run: Path, iteration: int, saved: list[Saved], read: Any = segment) -> None:
    part = Appended(max(0, iteration - SIZE), iteration, read, saved)
    state = {"part": {"grown": part, "n": iteration}, "a": np.ones(2)}
    checkpoint.save(run, Checkpoint(iteration, {}, state, {"t": {"c": [1.0]}}))


def files(run: Path) -> list[str]:
    return sorted(path.name[:17] for path in (run / "checkpoints" / "appended").iterdir())


def assert_whole(run: Path, iteration: int) -> None:
    part = checkpoint.load(run, iteration).state["part"]["grown"]
    assert (part.first, part.end) == (max(0, iteration - SIZE), iteration)
    for i in range(part.first, part.end):
        for name, array in segment(i).items():
            np.testing.assert_array_equal(part.read(i)[name], array, strict=True)


def test_a_save_writes_what_is_new_and_keeps_what_is_needed(tmp_path: Path) -> None:
    saved: list[Saved] = []
    written = []
    for iteration in (2, 5, 6, 9, 12):
        asked: list[int] = []

        def read(i: int, asked: list[int] = asked) -> dict[str, np.ndarray]:
            asked.append(i)
            return segment(i)

        save(tmp_path, iteration, saved, read)
        written.append(sorted(set(asked)))
        for left in checkpoint.iterations(tmp_path):
            assert_whole(tmp_path, left)
    assert written == [[0, 1], [2, 3, 4], [5], [6, 7, 8], [9, 10, 11]]
    # Iteration 9 needs segments 5 to 8, iteration 12 needs 8 to 11.
    assert files(tmp_path) == ["00000005_00000006", "00000006_00000009", "00000009_00000012"]
    checkpoint.clear(tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_a_run_that_goes_on_knows_what_is_saved(tmp_path: Path) -> None:
    save(tmp_path, 5, [])
    loaded = checkpoint.load(tmp_path, 5).state["part"]["grown"]
    save(tmp_path, 7, loaded.saved)
    assert files(tmp_path) == ["00000001_00000005", "00000005_00000007"]
    assert_whole(tmp_path, 7)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damage_is_found_and_the_checkpoint_before_is_used(tmp_path: Path, damage: str) -> None:
    saved: list[Saved] = []
    save(tmp_path, 3, saved)
    save(tmp_path, 5, saved)
    (path,) = (tmp_path / "checkpoints" / "appended").glob("00000003_*")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    {
        "flip": lambda: path.write_bytes(content),
        "cut": lambda: path.write_bytes(content[:-1]),
        "remove": path.unlink,
    }[damage]()
    with pytest.raises(CorruptError, match=path.name):
        checkpoint.load(tmp_path, 5)
    warnings: list[str] = []
    assert list(checkpoint.load_whole(tmp_path, warnings.append)) == [3]
    assert len(warnings) == 1 and "using iteration 3" in warnings[0]


def test_what_is_not_finite_is_not_saved(tmp_path: Path) -> None:
    saved: list[Saved] = []
    save(tmp_path, 3, saved)
    with pytest.raises(NumericalError):
        save(tmp_path, 5, saved, lambda i: segment(i) | {"r": np.full(3, np.nan, np.float32)})
    assert checkpoint.iterations(tmp_path) == [3]
    assert_whole(tmp_path, 3)


def test_large_parts_are_cut_into_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appended, "FILE_BYTES", 40)
    save(tmp_path, 4, [])
    assert files(tmp_path) == ["00000000_00000002", "00000002_00000004"]
    assert_whole(tmp_path, 4)


def test_the_digest_sees_segments_and_not_files() -> None:
    one = {"p": Appended(1, 3, segment)}
    assert checkpoint.digest(one) == checkpoint.digest({"p": Appended(1, 3, segment, [])})
    assert checkpoint.digest(one) != checkpoint.digest({"p": Appended(0, 3, segment)})
    other = {"p": Appended(1, 3, lambda i: segment(i + (i == 2)))}
    assert checkpoint.digest(one) != checkpoint.digest(other)
