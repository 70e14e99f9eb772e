"""A Ray cluster: packs as plain tasks, which Ray starts again elsewhere when a node is lost.

RAY_ADDRESS names the cluster, in Ray's own manner; without it one is started on this machine. All
nodes must see the run directories under the same path. (joblib has a Ray backend too, but its pool
of actors does not promise to outlive a node.)
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from repro.config.devices import on_gpu
from repro.errors import ConfigError
from repro.runs import provenance, store
from repro.sweeps.backends import GRACE_SECONDS, Ended
from repro.sweeps.settings import Settings
from repro.sweeps.worker import Task, settle, train_as_worker

# Seconds that a task waits for a lost node, which may still train for a moment.
PATIENCE = 60.0
OBJECT_STORE_BYTES = 100_000_000  # packs and outcomes are small


def run(tasks: Sequence[Task], workers: int, settings: Settings) -> Ended:
    """One task a pack, `workers` of them at a time."""
    ray = _connect(settings)
    train = ray.remote(num_cpus=1, max_retries=settings.retries)(train_as_worker)
    with_gpu = train.options(num_gpus=1)  # Ray shows it that one alone, as cuda:0
    waiting = iter(enumerate(tasks))
    training: dict[Any, int] = {}
    try:
        while True:
            while len(training) < workers and (following := next(waiting, None)) is not None:
                index, task = following
                remote = with_gpu if on_gpu(task.pack.device) else train
                training[remote.remote(replace(task, patience=PATIENCE))] = index
            if not training:
                break
            (ended, *_), _ = ray.wait(list(training), num_returns=1)
            index = training.pop(ended)
            try:
                yield index, ray.get(ended)
            except ray.exceptions.RayError as error:
                why = f"Ray lost it, also when tried again: {type(error).__name__}: {error}"
                yield index, settle(tasks[index].pack, store.FAILED, " ".join(why.split()))
    finally:
        _stop(ray, list(training))


def slots(settings: Settings, gpus: Sequence[str] = ()) -> int:
    """Processors of the cluster, or its GPUs."""
    kind = "GPU" if gpus else "CPU"
    return max(1, int(_connect(settings).cluster_resources().get(kind, 1)))


def _connect(settings: Settings) -> Any:
    """The module, connected."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        return ray
    address = os.environ.get("RAY_ADDRESS")
    local = {
        "address": "local",
        "num_cpus": settings.workers or provenance.cores(),
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    try:
        with _own_signals():
            ray.init(
                **({"address": address} if address else local),
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise ConfigError(
            f"RAY_ADDRESS={address}: no Ray cluster answers there ({text})."
            if address
            else f"hydra.launcher.backend=ray: Ray does not start here ({text})."
        ) from error
    return ray


def _stop(ray: Any, training: Sequence[Any]) -> None:
    """Let packs in training save themselves, then leave the cluster, which ends what is left."""
    try:
        for task in training:
            ray.cancel(task)  # a KeyboardInterrupt there
        if training:
            ray.wait(training, num_returns=len(training), timeout=GRACE_SECONDS)
    finally:
        with _own_signals():
            ray.shutdown()


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Undo Ray's handlers of SIGTERM and SIGINT. It installs them in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
