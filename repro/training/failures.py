"""What a run leaves that ended otherwise than by a `RunWriter`, and the word on it in error.log."""

from __future__ import annotations

import contextlib
import shlex
import traceback

from repro.config.schema import Config
from repro.runs import provenance, store

LOG = "error.log"


def mark(config: Config, status: str, error: str, log: str = "") -> None:
    """Write down how a run ended, and `log` as its error.log.

    Raises:
        OSError: it cannot be written.
        CorruptError: what is there cannot be read.
    """
    directory = config.directory
    path = directory / "run.json"
    if path.is_file():
        store.write_json(path, store.read_run(directory) | {"status": status, "error": error})
    else:
        writer = store.RunWriter(directory, config.as_dict(), provenance.identity(config))
        writer.finish(status, error=error)
    if log:
        (directory / LOG).write_text(log, encoding="utf-8")


def explain(
    config: Config, text: str, iteration: int | None, error: BaseException | None = None
) -> None:
    """Say in error.log how a run failed, and how to see it again. A full disk holds no such word.

    Args:
        config: of the run.
        text: a sentence without its period.
        iteration: of its newest checkpoint, if there is one.
        error: what was raised, if anything was.
    """
    with contextlib.suppress(OSError):
        log = account(config, text, iteration, error)
        (config.directory / LOG).write_text(log, encoding="utf-8")


def account(
    config: Config, text: str, iteration: int | None, error: BaseException | None = None
) -> str:
    """What `explain` writes."""
    begins = f"the checkpoint of iteration {iteration}" if iteration else "the beginning"
    lines = [
        f"{text}.",
        f"It goes on from {begins} and comes to the same place, in this directory or a copy, by",
        f"  python -m repro.again {shlex.quote(str(config.directory))}",
    ]
    trace = "".join(traceback.format_exception(error)) if error is not None else ""
    return "\n".join(lines) + (f"\n\n{trace}" if trace else "\n")
