"""Marks a run that an error or a signal has ended, and writes its error.log."""

from __future__ import annotations

import contextlib
import shlex
import traceback

from repro.config.run import RunConfig
from repro.runs import store
from repro.runs.files import write_json
from repro.runs.schema import SCHEMAS
from repro.runs.writer import RunWriter

LOG = "error.log"


def mark(config: RunConfig, status: str, error: str, log: str = "") -> None:
    """Write a run's status and error into its run.json.

    Args:
        config: of the run.
        status: FAILED or PREEMPTED.
        error: one sentence.
        log: written to error.log, unless empty.

    Raises:
        OSError: it cannot be written.
        CorruptError: the run.json that is there cannot be read.
    """
    directory = config.directory
    path = directory / "run.json"
    if path.is_file():
        write_json(path, store.read_run(directory) | {"status": status, "error": error})
    else:
        writer = RunWriter(
            directory, config.as_dict(), config.identity(), schemas=SCHEMAS[config.kind]
        )
        writer.finish(status, error=error)
    if log:
        (directory / LOG).write_text(log, encoding="utf-8")


def write_log(
    config: RunConfig, text: str, iteration: int | None, error: BaseException | None = None
) -> None:
    """Write to error.log how a run failed and how to reproduce it; nothing on a full disk.

    Args:
        config: of the run.
        text: a sentence without its period.
        iteration: of its newest checkpoint; 0 or None if there is none.
        error: the exception, if there was one.
    """
    begins = f"the checkpoint of iteration {iteration}" if iteration else "the beginning"
    lines = [
        f"{text}.",
        f"It continues from {begins} and meets the failure again, in this directory or a copy, by",
        f"  python -m repro.again {shlex.quote(str(config.directory))}",
    ]
    trace = "".join(traceback.format_exception(error)) if error is not None else ""
    with contextlib.suppress(OSError):
        log = "\n".join(lines) + (f"\n\n{trace}" if trace else "\n")
        (config.directory / LOG).write_text(log, encoding="utf-8")
