"""A part of a state that grows at its end, as a replay does: what is saved once is not saved again.

    DIR/<run_id>/checkpoints/appended/00000120_00000184_5f0c....npz

A file holds some segments in a row. It is written once, when segments are first saved, and named by
its content; the manifest of each checkpoint lists the files that it needs with their SHA-256.
"""

from __future__ import annotations

import hashlib
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from repro.errors import CorruptError
from repro.runs import archive
from repro.runs.files import write_atomically

Array = np.ndarray[Any, Any]
FOLDER = "appended"
FILE_BYTES = 64 << 20  # of a file, about: a file is held in memory while it is written or read


class Saved(NamedTuple):
    """A file of segments `first` to `end` - 1."""

    name: str
    first: int
    end: int
    bytes: int
    sha256: str


@dataclass
class Appended:
    """Segments `first` to `end` - 1.

    Attributes:
        first: the oldest that is needed.
        end: one after the newest.
        read: a segment's arrays by name.
        saved: files that hold segments already, in order. `save` adds to the list in place, so that
            the next state of the same part knows of them.
    """

    first: int
    end: int
    read: Callable[[int], Mapping[str, Array]]
    saved: list[Saved] = field(default_factory=list)


def save(folder: Path, part: Appended) -> list[Saved]:
    """Write the segments that no file holds yet; the files that hold all of `part`.

    Args:
        folder: of the files; it exists.
        part: what to save.

    Raises:
        NumericalError: a segment is not finite.
        OSError: a file cannot be written.
    """
    part.saved[:] = [each for each in part.saved if each.end > part.first]
    start = part.saved[-1].end if part.saved else part.first
    while start < part.end:
        size = sum(array.nbytes for array in part.read(start).values())
        end = min(part.end, start + max(1, FILE_BYTES // max(size, 1)))
        rows = [part.read(i) for i in range(start, end)]
        arrays = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        archive.check_finite(arrays)
        content = archive.pack(arrays)
        sha256 = hashlib.sha256(content).hexdigest()
        name = f"{start:08}_{end:08}_{sha256[:16]}.npz"
        write_atomically(folder / name, operator.methodcaller("write", content))
        part.saved.append(Saved(name, start, end, len(content), sha256))
        start = end
    return list(part.saved)


def describe(part: Appended, saved: Iterable[Saved]) -> dict[str, Any]:
    """For the manifest."""
    return {"first": part.first, "end": part.end, "files": [list(each) for each in saved]}


def load(folder: Path, described: Mapping[str, Any]) -> Appended:
    """Verify every byte of the files; segments are read again, file by file, as they are asked for.

    Raises:
        CorruptError: naming the file that is damaged or missing.
    """
    saved = [Saved(*each) for each in described["files"]]
    for each in saved:
        _content(folder, each)
    opened: dict[str, dict[str, Array]] = {}

    def read(i: int) -> dict[str, Array]:
        (holder,) = (each for each in saved if each.first <= i < each.end)
        if holder.name not in opened:
            opened.clear()  # one file at a time
            opened[holder.name] = archive.unpack(_content(folder, holder))
        return {name: array[i - holder.first] for name, array in opened[holder.name].items()}

    return Appended(described["first"], described["end"], read, list(saved))


def _content(folder: Path, file: Saved) -> bytes:
    path = folder / file.name
    try:
        if path.stat().st_size != file.bytes:
            raise CorruptError(f"{path} does not have {file.bytes} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise CorruptError(f"{path} cannot be read: {error}") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise CorruptError(f"the SHA-256 of {path} differs from the manifest's")
    return content


def prune(folder: Path, needed: Iterable[str]) -> None:
    """Delete the files that no checkpoint needs, and the folder if none is left."""
    if not folder.is_dir():
        return
    for name in set(os.listdir(folder)) - set(needed):
        os.unlink(folder / name)
    if not os.listdir(folder):
        os.rmdir(folder)
