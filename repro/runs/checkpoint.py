"""Checkpoints of one run: complete, checksummed, and either whole or not there.

    DIR/<run_id>/checkpoints/iteration_00000040/arrays.npz
                                                manifest.json
                             appended/          what parts that only grow have saved so far

A checkpoint holds the state at the end of an iteration and the rows of the run's tables up to then,
so that it alone is enough to resume. It is written to a temporary directory next to its place (not
in TMPDIR, which may be another file system), synced to disk, and renamed. The manifest holds the
SHA-256 of the arrays and of itself, so that every flipped bit is detected. The newest `keep`
checkpoints are kept; a run resumes from the newest intact one. Nothing is unpickled, and no path in
a checkpoint is absolute, so that directories can be moved.
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
from repro.runs import appended, archive
from repro.runs.appended import Appended
from repro.runs.files import read_bytes

FORMAT = 1
FOLDER = "checkpoints"
ARRAYS, MANIFEST = "arrays.npz", "manifest.json"
MANIFEST_BYTES = 64 << 20  # a larger file is not a manifest, and is not read
_NAME = re.compile(r"iteration_(\d{8})")
_TEMPORARY = re.compile(r"iteration_\d{8}\.tmp-[0-9a-f]{8}")


@dataclass(frozen=True)
class Checkpoint:
    """One run at the end of an iteration.

    Attributes:
        iteration: from 1.
        fingerprint: what must be unchanged for an exact continuation, as
            `repro.training.resume.fingerprint` returns it.
        state: of the learner, as `Learners.checkpoint` returns it.
        tables: rows so far, by table and column.
        history: JSON values that are not part of the result, such as the wall time so far.
    """

    iteration: int
    fingerprint: Mapping[str, Any]
    state: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, Any]]
    history: Mapping[str, Any] = field(default_factory=dict)


def save(run: Path, checkpoint: Checkpoint, keep: int = 2) -> None:
    """Add a checkpoint to a run's directory, and delete all but the newest `keep`.

    Raises:
        NumericalError: the state is not finite. Nothing is written.
        OSError: it cannot be written. Earlier checkpoints are unchanged.
    """
    content, values, growing = _encode(checkpoint)
    folder = run / FOLDER
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_directory(run)
    grown = {path: _append(folder, part) for path, part in growing.items()}
    parts = {ARRAYS: content, MANIFEST: _manifest(checkpoint, content, values, grown)}
    place = folder / f"iteration_{checkpoint.iteration:08}"
    temporary = _temporary(place)
    try:
        os.mkdir(temporary)
        for name, content in parts.items():
            _write(temporary / name, content)
        _sync_directory(temporary)
        if place.exists():  # a damaged checkpoint of this iteration, or the same one
            os.rename(place, _temporary(place))
        os.rename(temporary, place)
        _sync_directory(folder)
    except BaseException:
        _remove_temporaries(folder)
        raise
    _prune(folder, checkpoint.iteration, keep)


def load(run: Path, iteration: int) -> Checkpoint:
    """Read one checkpoint and verify every byte of it.

    Raises:
        CorruptError: naming the file that is damaged.
    """
    place = run / FOLDER / f"iteration_{iteration:08}"
    manifest = _read_manifest(place / MANIFEST)
    path = place / ARRAYS
    try:
        content = _read(path, manifest["files"][ARRAYS]["bytes"])
        if hashlib.sha256(content).hexdigest() != manifest["files"][ARRAYS]["sha256"]:
            raise CorruptError("its SHA-256 differs from the manifest's")
        arrays = archive.unpack(content)
        state = {path: array for path, array in arrays.items() if path.startswith("state/")}
        archive.check_finite(state)
        grown = {
            path: appended.load(run / FOLDER / appended.FOLDER, described)
            for path, described in manifest.get("appended", {}).items()
        }
        leaves = archive.unflatten(arrays | manifest["values"] | grown)
        if manifest["format"] != FORMAT or manifest["iteration"] != iteration:
            raise CorruptError("it has another format or iteration")
        return Checkpoint(
            iteration=iteration,
            fingerprint=manifest["identity"],
            state=leaves["state"],
            tables=leaves.get("tables", {}),
            history=manifest["history"],
        )
    except (CorruptError, NumericalError, LookupError, TypeError, AttributeError, OSError) as error:
        raise CorruptError(f"{path} is damaged: {error}") from error


def iterations(run: Path) -> list[int]:
    """Iterations that have a checkpoint, newest first. Damaged checkpoints are included."""
    folder = run / FOLDER
    return _iterations(folder) if folder.is_dir() else []


def _iterations(folder: Path) -> list[int]:
    names = os.listdir(folder)
    found = [int(match[1]) for name in names if (match := _NAME.fullmatch(name))]
    return sorted(found, reverse=True)


def load_whole(run: Path, warn: Callable[[str], None]) -> dict[int, Checkpoint]:
    """Every intact checkpoint, by iteration, newest first.

    Args:
        run: a run's directory.
        warn: called with a sentence about each damaged checkpoint.

    Raises:
        CorruptError: the run has checkpoints, and all are damaged.
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
        warn(f"{text}; using iteration {next(iter(whole))} instead")
    return whole


def clear(run: Path) -> None:
    """Delete the checkpoints of a run that is done."""
    if (run / FOLDER).is_dir():
        _prune(run / FOLDER, 0, 0)
        with contextlib.suppress(OSError):
            os.rmdir(run / FOLDER)


def digest(state: Mapping[str, Any]) -> str:
    """SHA-256 of a state: equal for two learners whose states are equal in every bit."""
    arrays, values = archive.flatten(state)
    growing = _take_growing(values)
    text = _canonical({"values": values, "types": {k: str(a.dtype) for k, a in arrays.items()}})
    hashed = hashlib.sha256(text)
    for path in sorted(arrays):
        hashed.update(f"{path}{arrays[path].shape}".encode() + arrays[path].tobytes())
    for path, part in sorted(growing.items()):
        hashed.update(f"{path}{part.first}:{part.end}".encode())
        for i in range(part.first, part.end):
            for name, array in sorted(part.read(i).items()):
                hashed.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
    return hashed.hexdigest()


def _take_growing(values: dict[str, Any]) -> dict[str, Appended]:
    """Remove the parts that are saved piece by piece from a state's leaves, and return them."""
    paths = [path for path, leaf in values.items() if isinstance(leaf, Appended)]
    return {path: values.pop(path) for path in paths}


def _append(folder: Path, part: Appended) -> dict[str, Any]:
    """Save what is new of a part that grows; what the manifest says of it."""
    place = folder / appended.FOLDER
    place.mkdir(exist_ok=True)
    described = appended.describe(part, appended.save(place, part))
    _sync_directory(place)
    return described


def _encode(checkpoint: Checkpoint) -> tuple[bytes, dict[str, Any], dict[str, Appended]]:
    """The archive of arrays; the JSON values; the parts that are saved piece by piece."""
    arrays, values = archive.flatten({"state": checkpoint.state})
    growing = _take_growing(values)
    archive.check_finite(arrays)
    rows, _ = archive.flatten({"tables": checkpoint.tables})
    return archive.pack(arrays | rows), values, growing


def _manifest(
    checkpoint: Checkpoint,
    content: bytes,
    values: Mapping[str, Any],
    grown: Mapping[str, Mapping[str, Any]],
) -> bytes:
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "iteration": checkpoint.iteration,
        "identity": checkpoint.fingerprint,
        "history": checkpoint.history,
        "rows": {
            name: len(next(iter(columns.values()))) for name, columns in checkpoint.tables.items()
        },
        "values": values,
        "files": {ARRAYS: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}},
        **({"appended": grown} if grown else {}),
    }
    try:
        return _signed(manifest)
    except ValueError as error:  # JSON has no NaN
        raise NumericalError(str(error)) from error


def _signed(manifest: Mapping[str, Any]) -> bytes:
    """Canonical JSON with the SHA-256 of its other fields."""
    sha256 = hashlib.sha256(_canonical(manifest)).hexdigest()
    return _canonical({**manifest, "sha256": sha256})


def _canonical(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, sort_keys=True, allow_nan=False) + "\n").encode()


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        content = read_bytes(path, MANIFEST_BYTES)
        manifest = dict(json.loads(content))
        manifest.pop("sha256")
        if _signed(manifest) != content:
            raise CorruptError("its SHA-256 does not match")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptError(f"{path} is damaged: {error}") from error
    return manifest


def _read(path: Path, size: int) -> bytes:
    found = path.stat().st_size
    if found != size:
        raise CorruptError(f"it has {found} bytes instead of {size}")
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    """Write a new file and sync it to disk."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        remaining = memoryview(content)
        while remaining:
            remaining = remaining[os.write(file, remaining) :]
        os.fsync(file)
    finally:
        os.close(file)


def _sync_directory(path: Path) -> None:
    """Sync the entries of a directory to disk."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _temporary(place: Path) -> Path:
    return place.with_name(f"{place.name}.tmp-{uuid.uuid4().hex[:8]}")


def _prune(folder: Path, newest: int, keep: int) -> None:
    """Delete all but `keep` checkpoints up to `newest`, and those of an earlier, longer attempt.

    A checkpoint is renamed before its files are deleted: a name without `.tmp-` is always complete.
    """
    with contextlib.suppress(OSError):  # nothing depends on it, and the next save retries
        found = _iterations(folder)
        kept = [iteration for iteration in found if iteration <= newest][:keep]
        for iteration in sorted(set(found) - set(kept)):
            place = folder / f"iteration_{iteration:08}"
            os.rename(place, _temporary(place))
        appended.prune(folder / appended.FOLDER, _needed(folder))
    _remove_temporaries(folder)


def _needed(folder: Path) -> set[str]:
    """Files of parts that grow which a checkpoint that is left lists."""
    needed: set[str] = set()
    if not (folder / appended.FOLDER).is_dir():
        return needed
    for iteration in _iterations(folder):
        with contextlib.suppress(CorruptError):
            manifest = _read_manifest(folder / f"iteration_{iteration:08}" / MANIFEST)
            grown = manifest.get("appended", {}).values()
            needed |= {name for part in grown for name, *_ in part["files"]}
    return needed


def _remove_temporaries(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if _TEMPORARY.fullmatch(name):
                for path in (folder / name).iterdir():
                    os.unlink(path)
                os.rmdir(folder / name)
