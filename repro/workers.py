"""Trains packs in processes of their own: what dies in one stays in one.

A backend takes tasks and yields (index, result) as they end. To add one (Ray, SLURM), write such a
function and name it in `BACKENDS`: progress and results travel through files, which other machines
may share, and `train` never raises for what a pack does.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, Self

from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor

from repro import provenance, store
from repro.config import Config
from repro.packs import Pack
from repro.progress import ProgressBar
from repro.session import Outcome, PackProgress, run_pack

BEAT_SECONDS = 1.0
POLL_SECONDS = 0.5
# Before NumPy is loaded: the libraries read these once.
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


class Result(NamedTuple):
    """What became of a pack; `crashed` where it was an error and not the numbers."""

    outcomes: list[Outcome]
    crashed: bool


@dataclass(frozen=True)
class Task:
    """A pack to train, and the file through which it says how far it is."""

    pack: Pack
    heartbeat: Path


Ended = Generator[tuple[int, Result]]
Backend = Callable[[Sequence[Task], int], Ended]


def run_packs(packs: Sequence[Pack], workers: int, backend: str, bar: ProgressBar) -> list[Result]:
    """Train all packs, whatever becomes of each.

    Args:
        packs: in the order in which they should start.
        workers: how many may train at the same time.
        backend: a key of `BACKENDS`.
        bar: kept up to date.

    Returns:
        A result a pack, in the order of `packs`.
    """
    token = uuid.uuid4().hex[:8]
    tasks = [
        Task(pack, Path(pack.configs[0].runs_dir) / ".progress" / f"{token}-{index}.json")
        for index, pack in enumerate(packs)
    ]
    results: dict[int, Result] = {}
    run = BACKENDS["serial" if workers == 1 else backend]
    try:
        with _Monitor(tasks, bar) as monitor, contextlib.closing(run(tasks, workers)) as ended:
            for index, result in ended:
                results[index] = result
                monitor.finish(index, result)
    except BaseException as error:
        for index in set(range(len(tasks))) - set(results):
            settle(tasks[index].pack, store.PREEMPTED, f"{type(error).__name__} {error}".strip())
        raise
    return [results[index] for index in range(len(tasks))]


def train(task: Task, driver: int | None = None) -> Result:
    """Train one pack in this process; an error becomes the fate of its runs.

    Args:
        task: the pack.
        driver: process without which nobody waits for the result.
    """
    try:
        return Result(run_pack(task.pack.configs, _Heartbeat(task.heartbeat, driver)), False)
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        return _failed(task.pack, f"{type(error).__name__}: {error}", trace)


def settle(pack: Pack, status: str, error: str, trace: str = "") -> list[Outcome]:
    """Mark the runs of a pack that has ended by `status`, but for those that ended before it."""
    return [_settle(config, status, error, trace) for config in pack.configs]


def _failed(pack: Pack, error: str, trace: str = "") -> Result:
    return Result(settle(pack, store.FAILED, error, trace), True)


def _settle(config: Config, status: str, error: str, trace: str) -> Outcome:
    directory = Path(config.runs_dir) / config.run_id
    try:
        began = (directory / "run.json").is_file()
        info = store.read_run(directory) if began else {}
        if info.get("status") == store.DONE or "failed_iteration" in info:
            return Outcome(config.run_id, directory, info["status"], info.get("error"))
        if status == store.PREEMPTED and info.get("status") != store.RUNNING:
            return Outcome(config.run_id, directory, status, error)  # it had not started
        if began:
            store.write_json(directory / "run.json", info | {"status": status, "error": error})
        else:
            writer = store.RunWriter(directory, config.as_dict(), provenance.identity(config))
            writer.finish(status, error=error)
        if trace:
            (directory / "error.log").write_text(trace, encoding="utf-8")
    except (OSError, ValueError) as damage:
        error = f"{error} (and {directory} could not be marked: {damage})"
    return Outcome(config.run_id, directory, status, error)


class _Heartbeat:
    """Writes a pack's progress to a file, once a second at most."""

    def __init__(self, path: Path, driver: int | None) -> None:
        self._path, self._driver = path, driver
        self._last = float("-inf")

    def __call__(self, progress: PackProgress) -> None:
        if self._driver is not None and os.getppid() != self._driver:
            os._exit(1)  # the driver was killed
        if time.monotonic() - self._last < BEAT_SECONDS:
            return
        self._last = time.monotonic()
        with contextlib.suppress(OSError):  # the runs themselves will say if the disk is full
            self._path.parent.mkdir(parents=True, exist_ok=True)
            store.write_json(self._path, progress._asdict())


class _Monitor:
    """Reads the heartbeats from a thread, for the bar."""

    def __init__(self, tasks: Sequence[Task], bar: ProgressBar) -> None:
        self._tasks, self._bar = tasks, bar
        self._results: dict[int, Result] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._update()
        for task in self._tasks:
            task.heartbeat.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another sweep may still use it
                task.heartbeat.parent.rmdir()

    def finish(self, index: int, result: Result) -> None:
        self._results[index] = result

    def _poll(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._update()

    def _update(self) -> None:
        steps = runs = failed = 0
        for index, task in enumerate(self._tasks):
            result = self._results.get(index)
            if result is not None:
                steps += task.pack.steps
                runs += len(result.outcomes)
                failed += sum(outcome.status == store.FAILED for outcome in result.outcomes)
                continue
            beat = _read_beat(task.heartbeat)
            steps += beat.get("steps", 0)
            runs += beat.get("failed", 0)
            failed += beat.get("failed", 0)
        self._bar.update(steps, runs, failed)


def _read_beat(path: Path) -> dict[str, int]:
    try:
        return store.read_json(path)
    except (OSError, ValueError):
        return {}


def _serial(tasks: Sequence[Task], workers: int) -> Ended:
    """One after another, in this process."""
    for index, task in enumerate(tasks):
        yield index, train(task)


def _loky(tasks: Sequence[Task], workers: int) -> Ended:
    """Over `workers` processes, each an executor of its own: one that dies takes no other along."""
    processes = [_Process() for _ in range(min(workers, len(tasks)))]
    free: SimpleQueue[_Process] = SimpleQueue()
    for process in processes:
        free.put(process)

    def run(task: Task) -> Result:
        process = free.get()
        try:
            return process.train(task)
        finally:
            free.put(process)

    # Before the threads, where starting it would undo `_block_interrupts`.
    resource_tracker.ensure_running()
    with ThreadPoolExecutor(len(processes), initializer=_block_interrupts) as threads:
        futures = {threads.submit(run, task): index for index, task in enumerate(tasks)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            for future in futures:
                future.cancel()
            for process in processes:
                process.stop()


BACKENDS: dict[str, Backend] = {"loky": _loky, "serial": _serial}


class _Process:
    """A process that trains one pack at a time, and is replaced when it dies."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def train(self, task: Task) -> Result:
        try:
            result: Result = self._submit(task).result()
        except Exception as error:
            if self._stopped:
                raise
            self._executor = None
            return _failed(task.pack, _how_it_died(error))
        return result

    def stop(self) -> None:
        """End the process, in the middle of a pack if need be."""
        with self._lock:
            self._stopped = True
            if self._executor is not None:
                self._executor.shutdown(kill_workers=True)

    def _submit(self, task: Task) -> Future[Result]:
        with self._lock:
            if self._stopped:
                raise RuntimeError("stopped")
            if self._executor is None:
                self._executor = ProcessPoolExecutor(max_workers=1, env=ONE_THREAD)
            future: Future[Result] = self._executor.submit(train, task, os.getpid())
            return future


def _block_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the workers are the driver's to end.

    A process inherits what the thread that starts it blocks, so that it is deaf from birth.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _how_it_died(error: Exception) -> str:
    codes = re.search(r"exit codes of the workers are \{(.+?)\}", str(error))
    if isinstance(error, BrokenProcessPool) and codes:
        return f"its process died of {codes[1]}; SIGKILL is most often a lack of memory"
    return f"its process failed with {type(error).__name__}: {error}"
