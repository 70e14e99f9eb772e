"""A checkpoint is whole or not there, and damage is noticed: F2, F5, F6, F7, F19 and F20."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro.errors import CorruptError, NumericalError
from repro.runs import archive, checkpoint
from tests.helpers.faults import assert_is_small, files, report, small

SYSTEM_CALLS = ("mkdir", "open", "write", "fsync", "close", "rename", "unlink", "rmdir")


def refuse(text: str) -> None:
    raise AssertionError(text)


def newest(run: Path, complain: Callable[[str], None] = refuse) -> checkpoint.Checkpoint:
    whole = checkpoint.load_whole(run, complain)
    return whole[next(iter(whole))]


def saved(run: Path, *iterations: int) -> Path:
    for iteration in iterations:
        checkpoint.save(run, small(iteration))
    return run


def place(run: Path, iteration: int) -> Path:
    return run / "checkpoints" / f"iteration_{iteration:08}"


# -- F2: every single step of a save --------------------------------------------------------------


def die_at(step: int, run: Path, iteration: int, halfway: bool) -> int | None:
    """Save in a process that is gone at its `step`-th system call; None if it got through.

    Args:
        step: from 0.
        run: the directory to save in.
        iteration: what to save.
        halfway: let the call happen first, a write by half.
    """
    child = os.fork()
    if child == 0:
        counter = [0]

        def dying(call: Callable[..., Any], is_write: bool) -> Callable[..., Any]:
            def replacement(*arguments: Any, **options: Any) -> Any:
                if counter[0] == step:
                    if halfway and is_write:
                        call(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                    elif halfway:
                        call(*arguments, **options)
                    os._exit(9)
                counter[0] += 1
                return call(*arguments, **options)

            return replacement

        for name in SYSTEM_CALLS:
            setattr(os, name, dying(getattr(os, name), name == "write"))
        try:
            checkpoint.save(run, small(iteration))
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return None if code == 0 else code


@pytest.mark.parametrize("halfway", [False, True])
@pytest.mark.parametrize("before", [(), (10,), (10, 20), (10, 20, 30)])
def test_f2_dying_at_every_step_of_a_save_leaves_one_that_is_whole(
    tmp_path: Path, before: tuple[int, ...], halfway: bool
) -> None:
    steps, seen = 0, set()
    for step in range(100):
        run = saved(tmp_path / str(step), *before)
        run.mkdir(exist_ok=True)
        died = die_at(step, run, 40, halfway)
        whole = checkpoint.load_whole(run, refuse)  # nothing half-written is ever visible
        for found in whole.values():
            assert_is_small(found)
        assert whole or not before
        assert len(whole) >= min(2, len(before)) or not died
        if whole:
            assert max(whole) in (40, *before[-1:])
            seen.add(max(whole))
        assert_is_small_after_another(run, 50)
        if not died:
            break
        steps += 1
    assert 15 <= steps < 100 and seen == {40, *before[-1:]}
    case = f"{len(before)} earlier ones, death {'after' if halfway else 'before'} the call"
    report("f2_save_steps", {case: {"steps": steps, "whole_checkpoint_after_each": True}})


def assert_is_small_after_another(run: Path, iteration: int) -> None:
    """The next save works and leaves no litter."""
    checkpoint.save(run, small(iteration))
    assert newest(run).iteration == iteration
    names = sorted(os.listdir(run / "checkpoints"))
    assert len(names) <= 2 and not [name for name in names if "tmp" in name]


# -- F5, F6: damage ------------------------------------------------------------------------------


def notice(run: Path, path: Path) -> None:
    """A damaged newest checkpoint is named, and the one before it is used."""
    told: list[str] = []
    found = newest(run, told.append)
    assert found.iteration == 10
    assert_is_small(found)
    (text,) = told
    assert str(path) in text and "iteration 10" in text


@pytest.mark.parametrize("name", ["arrays.npz", "manifest.json"])
def test_f5_every_truncation_is_noticed(tmp_path: Path, name: str) -> None:
    path = place(saved(tmp_path, 10, 20), 20) / name
    content = path.read_bytes()
    for part in range(64):
        path.write_bytes(content[: len(content) * part // 64])
        notice(tmp_path, path)
    path.write_bytes(content + b"\n")
    notice(tmp_path, path)
    path.unlink()
    notice(tmp_path, path)


@pytest.mark.parametrize("name", ["arrays.npz", "manifest.json"])
def test_f6_every_flipped_bit_and_every_zeroed_page_is_noticed(tmp_path: Path, name: str) -> None:
    path = place(saved(tmp_path, 10, 20), 20) / name
    content = path.read_bytes()
    flipped = 0
    for offset in range(0, len(content)):  # more than 200 of them: all bytes, a bit each
        damaged = bytearray(content)
        damaged[offset] ^= 1 << offset % 8
        path.write_bytes(damaged)
        with pytest.raises(CorruptError, match="is damaged"):
            checkpoint.load(tmp_path, 20)
        flipped += 1
    zeroed = 0
    for offset in range(0, len(content), 64):
        damaged = bytearray(content)
        damaged[offset : offset + 4096] = bytes(len(damaged[offset : offset + 4096]))
        if damaged != content:
            path.write_bytes(damaged)
            notice(tmp_path, path)
            zeroed += 1
    assert flipped > 200 and zeroed >= 10
    figures = {"bits_flipped": flipped, "ranges_zeroed": zeroed, "noticed": flipped + zeroed}
    report("f6_damage", {name: figures})


def test_without_a_whole_one_the_run_is_not_begun_anew(tmp_path: Path) -> None:
    saved(tmp_path, 10, 20)
    for iteration in (10, 20):
        (place(tmp_path, iteration) / "arrays.npz").write_bytes(b"")
    with pytest.raises(CorruptError, match="no other checkpoint of that run is left"):
        newest(tmp_path)


def test_a_damaged_checkpoint_does_not_crowd_out_whole_ones(tmp_path: Path) -> None:
    saved(tmp_path, 10, 20)
    (place(tmp_path, 20) / "arrays.npz").write_bytes(b"")
    saved(tmp_path, 15)
    assert checkpoint.iterations(tmp_path) == [15, 10]
    saved(tmp_path, 20)
    assert sorted(checkpoint.load_whole(tmp_path, refuse)) == [15, 20]


# -- F7: moved, copied, littered ------------------------------------------------------------------


def test_f7_litter_is_ignored_and_cleaned_and_copies_load(tmp_path: Path) -> None:
    run = saved(tmp_path / "run", 10, 20)
    litter = run / "checkpoints" / "iteration_00000030.tmp-0123abcd"
    shutil.copytree(place(run, 20), litter)
    (run / "checkpoints" / "notes.txt").write_text("mine")
    assert newest(run).iteration == 20
    copy = tmp_path / "a copy, ünïcode " / ("x" * 100)
    shutil.copytree(run, copy)
    run.rename(tmp_path / "renamed")
    assert_is_small(newest(copy))
    assert_is_small(newest(tmp_path / "renamed"))
    saved(copy, 30)
    assert sorted(os.listdir(copy / "checkpoints")) == [
        "iteration_00000020",
        "iteration_00000030",
        "notes.txt",
    ]


def test_the_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    assert files(saved(tmp_path / "a", 10)) == files(saved(tmp_path / "b", 10))


# -- F19, F20: poison -----------------------------------------------------------------------------


class Poison:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return Path.touch, (self.marker,)  # type: ignore[return-value]


def objects(marker: Path) -> bytes:
    """An `.npz` whose array holds an object that touches `marker` when unpickled."""
    file = io.BytesIO()
    np.savez(file, **{"state/iteration": np.array([Poison(marker)])})  # type: ignore[arg-type]
    return file.getvalue()


def signed(run: Path, content: bytes) -> None:
    """Put an archive into the newest checkpoint, with a manifest that agrees."""
    manifest = json.loads((place(run, 20) / "manifest.json").read_bytes())
    manifest.pop("sha256")
    sha256 = checkpoint.hashlib.sha256(content).hexdigest()
    manifest["files"]["arrays.npz"] = {"bytes": len(content), "sha256": sha256}
    (place(run, 20) / "arrays.npz").write_bytes(content)
    (place(run, 20) / "manifest.json").write_bytes(checkpoint._signed(manifest))


def header(shape: str, descr: str = "'<f8'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def zipped(content: bytes, name: str = "state/x.npy", method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as target:
        target.writestr(name, content)
    return file.getvalue()


def test_f19_poison_is_never_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    pickle.loads(pickle.dumps(Poison(marker)))
    assert marker.exists(), "the poison works"
    marker.unlink()
    run = saved(tmp_path / "run", 10, 20)
    for content in (objects(marker), pickle.dumps(Poison(marker))):
        signed(run, content)
        notice(run, place(run, 20) / "arrays.npz")
    for name in ("arrays.npz", "manifest.json"):
        (place(run, 20) / name).write_bytes(pickle.dumps(Poison(marker)))
        notice(run, place(run, 20))
    assert not marker.exists()


BOMBS = {
    "ten gigabytes declared": zipped(header("(1250000000,)")),
    "more than all memory": zipped(header("(2 ** 62,)")),
    "overflow": zipped(header(f"({2**62}, 4)")),
    "negative": zipped(header("(-1,)") + bytes(8)),
    "compressed zeros": zipped(header("(1000,)") + bytes(8000), method=zipfile.ZIP_DEFLATED),
    "objects": zipped(header("(1,)", "'|O'") + bytes(8)),
    "records": zipped(header("(1,)", "[('x', '<f8')]") + bytes(8)),
    "code": zipped(header("(__import__('os'),)")),
    "other magic": zipped(b"\x93NUMPX\x01\x00"),
    "version 3": zipped(b"\x93NUMPY\x03\x00" + bytes(100)),
    "no array": zipped(b"hello", "hello.txt"),
    "empty": b"",
}


@pytest.mark.parametrize("name", BOMBS)
def test_f20_archives_that_lie_are_refused_before_memory_is_taken(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(CorruptError):
        archive.unpack(BOMBS[name])
    signed(saved(tmp_path, 10, 20), BOMBS[name])
    notice(tmp_path, place(tmp_path, 20) / "arrays.npz")


def test_f20_names_that_climb_out_write_nothing(tmp_path: Path) -> None:
    content = zipped(header("(1,)") + bytes(8), "../../../escaped.npy")
    before = files(tmp_path)
    assert list(archive.unpack(content)) == ["../../../escaped"]
    assert files(tmp_path) == before


@pytest.mark.parametrize("bomb", [b"[" * 100_000, b'{"a":' * 100_000, b"{}", b"[]", b"1" * 10_000])
def test_f20_manifests_that_are_none(tmp_path: Path, bomb: bytes) -> None:
    path = place(saved(tmp_path, 10, 20), 20) / "manifest.json"
    path.write_bytes(bomb)
    notice(tmp_path, path)


def test_f20_an_enormous_manifest_is_not_read(tmp_path: Path) -> None:
    path = place(saved(tmp_path, 10, 20), 20) / "manifest.json"
    with path.open("wb") as file:
        file.truncate(10 << 30)  # a hole, not ten gigabytes
    notice(tmp_path, path)


# -- what is not saved ----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("as_array", [True, False])
def test_f10_no_checkpoint_holds_what_is_not_a_number(
    tmp_path: Path, value: float, as_array: bool
) -> None:
    saved(tmp_path, 10)
    before = files(tmp_path)
    good = small(20)
    broken = {**good.state, "beta": np.array([1.0, value], np.float32) if as_array else value}
    with pytest.raises(NumericalError):
        checkpoint.save(tmp_path, checkpoint.Checkpoint(20, good.fingerprint, broken, good.tables))
    assert files(tmp_path) == before


def test_states_must_be_arrays_and_json(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        checkpoint.save(tmp_path, checkpoint.Checkpoint(1, {}, {"policy": object()}, {}))
    with pytest.raises(ValueError, match="cannot name"):
        archive.flatten({"a/b": 1})
