"""SLURM, through submitit: every pack is a job; or with `cluster: local` a process, to try it.

A job that SLURM preempts, or whose time is up, saves and ends as PREEMPTED; this driver submits
it again. All machines must see the run directories. The driver may be interrupted as well, or
queued again when it ends with exit code 75.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from repro.config.devices import on_gpu
from repro.errors import ConfigError
from repro.runs import provenance, store
from repro.sweeps.backends import GRACE_SECONDS, ONE_THREAD, Ended
from repro.sweeps.settings import Settings
from repro.sweeps.worker import Task, settle, train_as_worker, unfinished
from repro.training.outcome import Outcome

FOLDER = ".submitit"  # in runs_dir: what submitit sends and receives, and each job's output
PATIENCE = 60.0  # seconds that a job waits for the end of the one before it
POLL_SECONDS = 0.5


def run(tasks: Sequence[Task], workers: int, settings: Settings) -> Ended:
    """One job a pack, `workers` of them at a time."""
    folder = Path(tasks[0].pack.configs[0].runs_dir, FOLDER, uuid.uuid4().hex[:8]).absolute()
    executors = {gpu: _executor(settings, folder, gpu) for gpu in map(_needs_gpu, tasks)}
    waiting = [(index, 0) for index in reversed(range(len(tasks)))]
    training: dict[int, tuple[Any, int]] = {}
    lost = False
    try:
        while waiting or training:
            while waiting and len(training) < workers:
                index, deaths = waiting.pop()
                task = replace(tasks[index], patience=PATIENCE)
                with _environment():
                    job = executors[_needs_gpu(task)].submit(_train, task)
                    training[index] = (job, deaths)
            time.sleep(POLL_SECONDS)
            for index in [index for index, (job, _) in training.items() if job.done()]:
                job, deaths = training.pop(index)
                outcomes, why = _result(job)
                if outcomes and not unfinished(outcomes):
                    yield index, outcomes
                elif outcomes or deaths < settings.retries:  # preempted, or dead
                    waiting.append((index, deaths + (not outcomes)))
                else:
                    lost = True
                    error = f"its job {job.job_id} died, also when tried again: {why}"
                    yield index, settle(tasks[index].pack, store.FAILED, error, _output(job))
    finally:
        _stop([job for job, _ in training.values()])
        if not lost:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                folder.parent.rmdir()


def slots(settings: Settings, gpus: Sequence[str] = ()) -> int:
    """One a core where jobs are processes of this machine; on SLURM, `workers` must be given."""
    name = _executor(settings, Path(FOLDER)).cluster
    if name != "slurm":
        return provenance.cores()
    raise ConfigError(
        "hydra.launcher.workers has no value: say how many SLURM jobs may run at a time, such as "
        "hydra.launcher.workers=16."
    )


def _needs_gpu(task: Task) -> bool:
    return on_gpu(task.pack.device)


def _executor(settings: Settings, folder: Path, gpu: bool = False) -> Any:
    """What submits jobs; where they need a GPU, SLURM is asked for one unless an option does."""
    import submitit

    parameters = dict(settings.submitit)
    cluster = parameters.pop("cluster", None)
    if gpu and not any("gpu" in name or "gres" in name for name in parameters):
        parameters["slurm_gres"] = "gpu:1"
    try:
        executor = submitit.AutoExecutor(folder, cluster=cluster)
        executor.update_parameters(name="repro", cpus_per_task=1, **parameters)
    except (AssertionError, NameError, RuntimeError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"hydra.launcher.submitit: {text}") from error
    return executor


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """A job inherits the environment that it is submitted from."""
    before = dict(os.environ)
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _train(task: Task) -> list[Outcome]:
    """What a job does. SLURM sends SIGUSR2 some time before the end, and SIGTERM at it."""
    signal.signal(signal.SIGUSR2, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    return train_as_worker(task)


def _result(job: Any) -> tuple[list[Outcome], str]:
    """The outcomes; or none, and the last line of what it died of."""
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return list(job.result()), ""
    except (FailedJobError, UncompletedJobError) as error:
        return [], str(error).strip().splitlines()[-1]


def _output(job: Any) -> str:
    with contextlib.suppress(OSError):
        return str(job.paths.stderr.read_text(encoding="utf-8", errors="replace"))
    return ""


def _stop(jobs: Sequence[Any]) -> None:
    """Cancel them, and wait while they save."""
    for job in jobs:
        job.cancel(check=False)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and not all(job.done() for job in jobs):
        time.sleep(POLL_SECONDS)
