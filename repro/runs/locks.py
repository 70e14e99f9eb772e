"""Who owns a directory: a lock that the kernel frees when its owner dies, however it dies.

The lock is flock(2) on a file in the directory, through `filelock`, so that no stale lock can be
left behind. The file's text (host, process, since when) is for people; only the lock counts. Over
NFS the same lock holds between machines; a file system without it is refused.
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

FILE = "lock"
PATIENCE = 2.0  # seconds: a killed owner's end may take a moment, a reader's glance takes none
POLL_SECONDS = 0.05
SIGNING_POLLS = 20


class Owner(NamedTuple):
    """A process that owns a directory."""

    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        """For a sentence."""
        return f"process {self.pid} on {self.host} since {self.since}"


@contextlib.contextmanager
def owning(directories: Sequence[Path], patience: float = PATIENCE) -> Iterator[dict[int, str]]:
    """Own directories, made where they are not there, while the context lasts.

    Args:
        directories: each may be another process's already.
        patience: seconds to wait for all of those together.

    Yields:
        Index -> one sentence that names the owner, for every directory that is not ours.

    Raises:
        ConfigError: a directory that cannot be written to, or whose file system has no locks.
    """
    locks = [_lock(directory) for directory in directories]
    refused = set(range(len(locks)))
    deadline = time.monotonic() + patience
    try:
        while True:
            refused -= {index for index in sorted(refused) if _take(locks[index])}
            if not refused or time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        yield {index: _sentence(directories[index]) for index in sorted(refused)}
    finally:
        for index in set(range(len(locks))) - refused:
            _give_back(locks[index], directories[index])


def owner(directory: Path) -> Owner | None:
    """Who owns a directory now; None where nobody does."""
    path = directory / FILE
    try:
        # NFS takes an exclusive lock only on what is open for writing.
        descriptor = os.open(path, os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY)
    except OSError:
        return None
    try:
        with contextlib.suppress(OSError):
            if lock_descriptor(descriptor, blocking=False):
                return None
        return _read(path)
    finally:
        os.close(descriptor)


def _lock(directory: Path) -> FileLock:
    return FileLock(directory / FILE, fallback_to_soft=False, thread_local=False, on_acquired=_sign)


def _take(lock: FileLock) -> bool:
    directory = Path(lock.lock_file).parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        return False
    except FileNotFoundError:  # its last owner removed it just now
        return False
    except OSError as error:
        raise ConfigError(
            f"runs_dir={directory.parent} cannot be written to or locked ({error.strerror}): "
            "choose another."
        ) from error
    return True


def _give_back(lock: FileLock, directory: Path) -> None:
    with contextlib.suppress(OSError):
        os.truncate(lock.lock_file, 0)
        if [path.name for path in directory.iterdir()] == [FILE]:  # nothing came of it
            os.unlink(lock.lock_file)
            directory.rmdir()
    lock.release()


def _sign(descriptor: int) -> None:
    me = Owner(platform.node(), os.getpid(), provenance.now())
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, (json.dumps(me._asdict()) + "\n").encode(), 0)


def _read(path: Path) -> Owner:
    """What the owner has written, who may be between taking the lock and signing it."""
    for _ in range(SIGNING_POLLS):
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Owner(**json.loads(path.read_text(encoding="utf-8")))
        time.sleep(POLL_SECONDS)
    return Owner("an unknown host", 0, "an unknown time")


def _sentence(directory: Path) -> str:
    return f"{directory} belongs to {_read(directory / FILE)}: wait for it, or end it."
