"""Locks on directories, which the kernel releases when their owner dies, however it dies.

The lock is flock(2) on a file in the directory, through `filelock`, so that no stale lock can be
left behind. The file's text (host, process, start) is for people; only the lock counts. Over NFS
the lock also holds between machines; a file system without locks is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout, lock_descriptor

from repro.errors import ConfigError
from repro.runs import provenance
from repro.runs.files import read_bytes

FILE = "lock"
PATIENCE = 2.0  # seconds: a killed owner may take a moment to end
POLL_SECONDS = 0.05
OWNER_POLLS = 20
LOCK_BYTES = 4096  # a longer text names no owner


class Owner(NamedTuple):
    """The process that owns a directory."""

    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        """For a sentence."""
        return f"process {self.pid} on {self.host} since {self.since}"


@contextlib.contextmanager
def owning(directories: Sequence[Path], patience: float = PATIENCE) -> Iterator[dict[int, str]]:
    """Lock directories while the context lasts. Missing directories are created.

    Args:
        directories: some may be locked by other processes.
        patience: seconds to wait for those, all together.

    Yields:
        Index -> one sentence that names the owner, for every directory that could not be locked.

    Raises:
        ConfigError: a directory cannot be written to, or its file system has no locks.
    """
    locks = [_lock(directory) for directory in directories]
    refused = set(range(len(locks)))
    deadline = time.monotonic() + patience
    try:
        while True:
            refused -= {index for index in sorted(refused) if _acquire(locks[index])}
            if not refused or time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        yield {index: _owner_sentence(directories[index]) for index in sorted(refused)}
    finally:
        for index in set(range(len(locks))) - refused:
            _release(locks[index], directories[index])


def owner(directory: Path) -> Owner | None:
    """The process that owns a directory now; None where there is none."""
    path = directory / FILE
    try:
        # NFS grants an exclusive lock only on a file that is open for writing.
        descriptor = os.open(path, os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY)
    except OSError:
        return None
    try:
        with contextlib.suppress(OSError):
            if lock_descriptor(descriptor, blocking=False):
                return None
        return _read_owner(path)
    finally:
        os.close(descriptor)


def _lock(directory: Path) -> FileLock:
    return FileLock(
        directory / FILE, fallback_to_soft=False, thread_local=False, on_acquired=_write_owner
    )


def _acquire(lock: FileLock) -> bool:
    directory = Path(lock.lock_file).parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        return False
    except FileNotFoundError:  # its last owner has just removed it
        return False
    except OSError as error:
        raise ConfigError(
            f"runs_dir={directory.parent} cannot be written to or locked ({error.strerror}): "
            "choose another."
        ) from error
    return True


def _release(lock: FileLock, directory: Path) -> None:
    with contextlib.suppress(OSError):
        os.truncate(lock.lock_file, 0)
        if [path.name for path in directory.iterdir()] == [FILE]:  # the run left nothing
            os.unlink(lock.lock_file)
            directory.rmdir()
    lock.release()


def _write_owner(descriptor: int) -> None:
    this = Owner(platform.node(), os.getpid(), provenance.now())
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, (json.dumps(this._asdict()) + "\n").encode(), 0)


def _read_owner(path: Path) -> Owner:
    """The owner's text. It is polled: the owner writes it just after it has taken the lock."""
    for _ in range(OWNER_POLLS):
        with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
            return Owner(**json.loads(read_bytes(path, LOCK_BYTES)))
        time.sleep(POLL_SECONDS)
    return Owner("an unknown host", 0, "an unknown time")


def _owner_sentence(directory: Path) -> str:
    return f"{directory} belongs to {_read_owner(directory / FILE)}: wait for it, or end it."
