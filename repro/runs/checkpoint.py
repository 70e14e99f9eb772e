"""Checkpoints of one run: complete, checksummed, and either whole or not there.

    DIR/<run_id>/checkpoints/iteration_00000040/arrays.npz
                                                manifest.json

The state is that at the end of an iteration, with the rows that the run's tables have then, so that
a checkpoint alone is enough to go on. It is written beside its place (never in TMPDIR, which may be
another file system), forced to the disk, and renamed. The manifest holds the SHA-256 of the arrays
and of itself: no flipped bit goes unnoticed. The newest `keep` stay; the newest whole one is used.
Nothing here unpickles, and no path in a checkpoint is absolute, so that directories can be moved.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repro.errors import CorruptError, NumericalError
from repro.runs import archive

FORMAT = 1
FOLDER = "checkpoints"
ARRAYS, MANIFEST = "arrays.npz", "manifest.json"
MANIFEST_BYTES = 64 << 20  # more is no manifest of ours, and is not read
_NAME = re.compile(r"iteration_(\d{8})")
_BESIDE = re.compile(r"iteration_\d{8}\.tmp-[0-9a-f]{8}")


@dataclass(frozen=True)
class Checkpoint:
    """One run at the end of an iteration.

    Attributes:
        iteration: from 1.
        identity: what must be the same for an exact continuation (`repro.training.resume.identity`).
        state: of the learner, as `Learners.checkpoint` gives it.
        tables: rows so far, by table and column.
        history: JSON values that are no part of the result, such as the wall time so far.
    """

    iteration: int
    identity: Mapping[str, Any]
    state: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, Any]]
    history: Mapping[str, Any] = field(default_factory=dict)


def save(run: Path, checkpoint: Checkpoint, keep: int = 2) -> None:
    """Add a checkpoint to a run's directory, and drop all but the newest `keep`.

    Raises:
        NumericalError: the state is not finite. Nothing is written then.
        OSError: it cannot be written. Earlier ones are as they were.
    """
    parts = _encode(checkpoint)
    folder = run / FOLDER
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_directory(run)
    place = folder / f"iteration_{checkpoint.iteration:08}"
    beside = _beside(place)
    try:
        os.mkdir(beside)
        for name, content in parts.items():
            _write(beside / name, content)
        _sync_directory(beside)
        if place.exists():  # one that was found damaged, or the same
            os.rename(place, _beside(place))
        os.rename(beside, place)
        _sync_directory(folder)
    except BaseException:
        _remove_besides(folder)
        raise
    _prune(folder, checkpoint.iteration, keep)


def load(run: Path, iteration: int) -> Checkpoint:
    """Read one checkpoint and verify every byte of it.

    Raises:
        CorruptError: naming the file that is not as it was written.
    """
    place = run / FOLDER / f"iteration_{iteration:08}"
    manifest = _read_manifest(place / MANIFEST)
    path = place / ARRAYS
    try:
        content = _read(path, manifest["files"][ARRAYS]["bytes"])
        if hashlib.sha256(content).hexdigest() != manifest["files"][ARRAYS]["sha256"]:
            raise CorruptError("its SHA-256 is not the manifest's")
        arrays = archive.unpack(content)
        leaves = archive.unflatten(arrays | manifest["values"])
        if manifest["format"] != FORMAT or manifest["iteration"] != iteration:
            raise CorruptError("it is of another format or iteration")
        return Checkpoint(
            iteration=iteration,
            identity=manifest["identity"],
            state=leaves["state"],
            tables=leaves.get("tables", {}),
            history=manifest["history"],
        )
    except (CorruptError, KeyError, TypeError, AttributeError, OSError) as error:
        raise CorruptError(f"{path} is damaged: {error}") from error


def iterations(run: Path) -> list[int]:
    """Of the checkpoints in a run's directory, the newest first; damaged ones are not told yet."""
    folder = run / FOLDER
    return _iterations(folder) if folder.is_dir() else []


def _iterations(folder: Path) -> list[int]:
    names = os.listdir(folder)
    found = [int(match[1]) for name in names if (match := _NAME.fullmatch(name))]
    return sorted(found, reverse=True)


def load_whole(run: Path, complain: Callable[[str], None]) -> dict[int, Checkpoint]:
    """Every checkpoint that is whole, by iteration, the newest first.

    Args:
        run: a run's directory.
        complain: told a sentence about each damaged one.

    Raises:
        CorruptError: there are some, and all are damaged.
    """
    whole, damaged = {}, []
    for iteration in iterations(run):
        try:
            whole[iteration] = load(run, iteration)
        except CorruptError as error:
            damaged.append(str(error))
    if damaged and not whole:
        raise CorruptError(
            f"{damaged[0]}; no other checkpoint of that run is left: say resume=never to start it "
            "from the beginning."
        )
    for text in damaged:
        complain(f"{text}; using iteration {next(iter(whole))} instead")
    return whole


def clear(run: Path) -> None:
    """Remove a run's checkpoints: it is done."""
    if (run / FOLDER).is_dir():
        _prune(run / FOLDER, 0, 0)
        with contextlib.suppress(OSError):
            os.rmdir(run / FOLDER)


def digest(state: Mapping[str, Any]) -> str:
    """SHA-256 of a state: equal for two learners that agree in every bit."""
    arrays, values = archive.flatten(state)
    text = _canonical({"values": values, "types": {k: str(a.dtype) for k, a in arrays.items()}})
    hashed = hashlib.sha256(text)
    for path in sorted(arrays):
        hashed.update(f"{path}{arrays[path].shape}".encode() + arrays[path].tobytes())
    return hashed.hexdigest()


def _encode(checkpoint: Checkpoint) -> dict[str, bytes]:
    """Contents by file name, in the order in which they are written."""
    arrays, values = archive.flatten({"state": checkpoint.state})
    archive.check_finite(arrays)
    rows, _ = archive.flatten({"tables": checkpoint.tables})
    content = archive.pack(arrays | rows)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "iteration": checkpoint.iteration,
        "identity": checkpoint.identity,
        "history": checkpoint.history,
        "rows": {
            name: len(next(iter(columns.values()))) for name, columns in checkpoint.tables.items()
        },
        "values": values,
        "files": {ARRAYS: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}},
    }
    try:
        return {ARRAYS: content, MANIFEST: _signed(manifest)}
    except ValueError as error:  # JSON has no NaN
        raise NumericalError(str(error)) from error


def _signed(manifest: Mapping[str, Any]) -> bytes:
    """Canonical JSON that holds its own SHA-256."""
    sha256 = hashlib.sha256(_canonical(manifest)).hexdigest()
    return _canonical({**manifest, "sha256": sha256})


def _canonical(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, sort_keys=True, allow_nan=False) + "\n").encode()


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MANIFEST_BYTES:
            raise CorruptError("it is too large")
        content = path.read_bytes()
        manifest = dict(json.loads(content))
        manifest.pop("sha256")
        if _signed(manifest) != content:
            raise CorruptError("its SHA-256 is not its own")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptError(f"{path} is damaged: {error}") from error
    return manifest


def _read(path: Path, size: int) -> bytes:
    found = path.stat().st_size
    if found != size:
        raise CorruptError(f"it has {found} bytes instead of {size}")
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    """A new file, on the disk when this returns."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)


def _sync_directory(path: Path) -> None:
    """Force the names in a directory to the disk."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _beside(place: Path) -> Path:
    return place.with_name(f"{place.name}.tmp-{uuid.uuid4().hex[:8]}")


def _prune(folder: Path, newest: int, keep: int) -> None:
    """Drop all but `keep` checkpoints up to `newest`; later ones are of an attempt that is void.

    A checkpoint is renamed before it is taken apart: a name without `.tmp-` is always whole.
    """
    with contextlib.suppress(OSError):  # nothing depends on it, and the next save tries again
        found = _iterations(folder)
        kept = [iteration for iteration in found if iteration <= newest][:keep]
        for iteration in sorted(set(found) - set(kept)):
            place = folder / f"iteration_{iteration:08}"
            os.rename(place, _beside(place))
    _remove_besides(folder)


def _remove_besides(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if _BESIDE.fullmatch(name):
                for path in (folder / name).iterdir():
                    os.unlink(path)
                os.rmdir(folder / name)
