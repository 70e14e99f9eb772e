"""Processes of this machine, each with its own executor: one that dies leaves the others alone."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import replace
from multiprocessing import resource_tracker
from queue import SimpleQueue

from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor

from repro.config.devices import names as names_of
from repro.config.devices import on_gpu
from repro.runs import provenance, store
from repro.sweeps.backends import GRACE_SECONDS, ONE_THREAD, Ended, serial
from repro.sweeps.settings import Settings
from repro.sweeps.worker import Task, end_with, settle, train_as_worker
from repro.training.outcome import Outcome


def run(tasks: Sequence[Task], workers: int, settings: Settings) -> Ended:
    """Train with `workers` processes; a pack whose process dies continues in the next one.

    A single worker needs no other process, unless a stalled task may have to be ended.
    """
    can_stall = any(config.stall_timeout for task in tasks for config in task.pack.configs)
    if workers == 1 and not can_stall:
        yield from serial.run(tasks, workers, settings)
        return
    # Before the threads, where starting it would undo `_block_interrupts`.
    resource_tracker.ensure_running()
    devices = dict.fromkeys(task.pack.device for task in tasks)
    with contextlib.ExitStack() as stack:
        pools: dict[str, _Pool] = {}
        for name in sorted(devices, key=on_gpu, reverse=True):  # the processor has what is left
            taken = sum(len(pool.processes) for pool in pools.values())
            pools[name] = _Pool(name, tasks, max(1, workers - taken), settings)
        threads = {name: stack.enter_context(pool.threads) for name, pool in pools.items()}
        futures = {
            threads[task.pack.device].submit(pools[task.pack.device].train, task): index
            for index, task in enumerate(tasks)
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            for future in futures:
                future.cancel()
            _stop([process for pool in pools.values() for process in pool.processes])


def slots(settings: Settings, gpus: Sequence[str] = ()) -> int:
    """One a GPU, since each process has a CUDA context of its own; else one a core."""
    return len(gpus) or provenance.cores()


class _Pool:
    """The processes for packs of one `device`: at most `workers`, or one for each of its GPUs."""

    def __init__(self, device: str, tasks: Sequence[Task], workers: int, settings: Settings):
        count = sum(task.pack.device == device for task in tasks)
        names: list[str | None] = [*names_of(device)] if on_gpu(device) else [None]
        if on_gpu(device) and settings.workers is None:
            workers = len(names)
        self.processes = [_Process(names[i % len(names)]) for i in range(min(workers, count))]
        self.threads = ThreadPoolExecutor(len(self.processes), initializer=_block_interrupts)
        self._free: SimpleQueue[_Process] = SimpleQueue()
        self._retries = settings.retries
        for process in self.processes:
            self._free.put(process)

    def train(self, task: Task) -> list[Outcome]:
        """Train by a process that is free; there are as many as threads."""
        process = self._free.get()
        try:
            return process.train(replace(task, device=process.device), self._retries)
        finally:
            self._free.put(process)


class _Process:
    """A process that trains one pack at a time, and is replaced when it dies."""

    def __init__(self, device: str | None) -> None:
        self.device = device
        self._executor: ProcessPoolExecutor | None = None
        self._stopped = False
        self._lock = threading.Lock()
        self.training: Future[list[Outcome]] | None = None

    def train(self, task: Task, retries: int) -> list[Outcome]:
        for attempt in range(retries + 1):
            try:
                return self._submit(task).result()
            except Exception as error:
                if self._stopped:
                    raise
                self._executor = None
                if attempt == retries or not isinstance(error, BrokenProcessPool):
                    return settle(task.pack, store.FAILED, _how_it_died(error, attempt))
        raise AssertionError("unreachable")

    def interrupt(self) -> None:
        """Let a pack in training save itself, and start no other."""
        with self._lock:
            self._stopped = True
            if self._executor is None or self.training is None or self.training.done():
                return
            for pid in list(self._executor._processes or ()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def kill(self) -> None:
        with self._lock:
            self._stopped = True
            if self._executor is not None:
                self._executor.shutdown(kill_workers=True)

    def _submit(self, task: Task) -> Future[list[Outcome]]:
        with self._lock:
            if self._stopped:
                raise RuntimeError("stopped")
            if self._executor is None:
                self._executor = executor()
            self.training = self._executor.submit(train_as_worker, task)
            return self.training


def executor() -> ProcessPoolExecutor:
    """A process that waits for tasks, and ends with this one."""
    return ProcessPoolExecutor(1, env=ONE_THREAD, initializer=end_with, initargs=(os.getpid(),))


def _stop(processes: Sequence[_Process]) -> None:
    try:
        for process in processes:
            process.interrupt()
        wait([process.training for process in processes if process.training], GRACE_SECONDS)
    finally:  # also after a second Ctrl-C
        for process in processes:
            process.kill()


def _block_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal, but the driver is to end the workers.

    A process inherits the signals that the thread which starts it blocks.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _how_it_died(error: Exception, retries: int) -> str:
    again = f", also when tried again ({retries} times)" if retries else ""
    codes = re.search(r"exit codes of the workers are \{(.+?)\}", str(error))
    if isinstance(error, BrokenProcessPool) and codes:
        hint = "; SIGKILL is most often a lack of memory" if "SIGKILL" in codes[1] else ""
        return f"its process died of {codes[1]}{again}{hint}"
    return f"its process failed with {type(error).__name__}: {error}"
