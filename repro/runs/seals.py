"""Whether the files of a run directory are those that its run wrote.

When a run ends, `run.json` gets the SHA-256 of each table and of the parameters; the hash of the
configuration is there from the start. `verify` compares all of them. Everything that reads a run's
results calls it, or reads single files through `repro.runs.store`, which checks them likewise.

The folder of a published policy (`published` in its run.json) has no tables: its card and its
run.json say what came of them.

A run of an older version (schema 1 in `run.json`) has no sums of its tables. Then the tables are
compared with each other: the iterations say how many episodes ended in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.config.schema import hash_of
from repro.errors import ConfigError, CorruptError
from repro.runs.files import (
    REMEDY,
    TABLE_BYTES,
    parse_numbers,
    parse_table,
    read_bytes,
    read_json,
    read_yaml,
    sha256,
)
from repro.runs.schema import DONE, FAILED, PARAMETERS_FILE, SCHEMA_VERSION

if TYPE_CHECKING:  # a run writes tables and reads none: it need not load pandas
    import pandas as pd

PARAMETERS_BYTES = 1 << 30
AGAIN = f"restore it, or remove the directory and {REMEDY}"
TEXTS = ("run_id", "config_hash", "status")  # fields of run.json that no reader can do without


def verify(directory: Path) -> dict[str, Any]:
    """run.json of a run directory, all of whose files are those that the run wrote.

    Of a run that has not ended, only `run.json` and `config.yaml` can be checked. Evaluations,
    which come later, are checked by `store.read_evaluations`.

    Raises:
        ConfigError: `config.yaml` is not the configuration that the run was trained with.
        CorruptError: naming the file, when it is missing, damaged, or not what the run wrote.
        FileNotFoundError: there is no run.json.
    """
    info = read_run(directory)
    verify_config(directory, info)
    if info["status"] not in (DONE, FAILED):
        return info
    for name in table_sums(directory, info):
        table_content(directory, name, info)
    if info["status"] == DONE and _schema(info) < SCHEMA_VERSION:
        _compare_tables(directory)
    if info.get("parameters_sha256") is not None:
        parameters_content(directory, info)
    return info


def read_run(directory: Path) -> dict[str, Any]:
    """run.json, with the fields that every reader needs.

    Raises:
        CorruptError: it is damaged.
        FileNotFoundError: there is none.
    """
    path = directory / "run.json"
    info = read_json(path)
    for name in TEXTS:
        if not isinstance(info.get(name), str):
            raise CorruptError(f"{path} has no {name}: {REMEDY}.")
    return info


def verify_config(directory: Path, info: Mapping[str, Any]) -> dict[str, Any]:
    """config.yaml as nested dictionaries; errors as in `verify`."""
    path = directory / "config.yaml"
    if not path.is_file():
        raise CorruptError(f"{path} is missing: {AGAIN}.")
    values = read_yaml(path)
    try:
        found = hash_of(values)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise CorruptError(f"{path} holds no configuration ({error!r}): {AGAIN}.") from error
    if found == info["config_hash"] and info["run_id"].endswith(found[:8]):
        return values
    raise ConfigError(
        f"{path} is not what {info['run_id']} was trained with (its hash is {found[:8]}, run.json "
        f"says {info['config_hash'][:8]}): restore the original, or, where an earlier version of "
        "repro wrote it, train the run again under another runs_dir."
    )


def table_sums(directory: Path, info: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of a run's tables by name; empty where run.json need not have any.

    Raises:
        CorruptError: it lacks those that it must have.
    """
    sums = info.get("tables_sha256", {})
    complete = isinstance(sums, dict) and "progress" in sums
    if _sealed(info) and not complete:
        raise CorruptError(f"{directory / 'run.json'} has no tables_sha256: {REMEDY}.")
    return sums if isinstance(sums, dict) else {}


def read_table(directory: Path, name: str, info: Mapping[str, Any]) -> pd.DataFrame:
    """A table of a run: `episodes`, `progress`, or a probe's.

    Raises:
        CorruptError: naming the file, when it is missing, damaged, or not what the run wrote.
    """
    path = directory / f"{name}.parquet"
    return parse_table(path, table_content(directory, name, info))


def read_numbers(
    directory: Path, name: str, column: str, info: Mapping[str, Any]
) -> np.ndarray[Any, Any]:
    """One column of such a table, without pandas; errors as in `read_table`."""
    path = directory / f"{name}.parquet"
    return parse_numbers(path, table_content(directory, name, info), column)


def table_content(directory: Path, name: str, info: Mapping[str, Any]) -> bytes:
    """The bytes of a table; errors as in `read_table`."""
    expected = table_sums(directory, info).get(name)
    if expected is None and _sealed(info):
        raise CorruptError(f"{directory / 'run.json'} has no SHA-256 of {name}: {REMEDY}.")
    return _content(directory / f"{name}.parquet", TABLE_BYTES, expected)


def parameters_content(directory: Path, info: Mapping[str, Any]) -> bytes:
    """The bytes of `parameters.npz`.

    Raises:
        CorruptError: naming the file, when it is missing, or not what the run wrote.
    """
    expected = info.get("parameters_sha256")
    if expected is None:
        raise CorruptError(f"{directory / 'run.json'} has no parameters_sha256: {REMEDY}.")
    return _content(directory / PARAMETERS_FILE, PARAMETERS_BYTES, expected)


def _content(path: Path, largest: int, expected: str | None) -> bytes:
    try:
        content = read_bytes(path, largest)
    except FileNotFoundError as error:
        raise CorruptError(f"{path} is missing: {AGAIN}.") from error
    if expected is not None and sha256(content) != expected:
        raise CorruptError(
            f"{path} is not the file that its run wrote (its SHA-256 is not the one in run.json): "
            f"{AGAIN}."
        )
    return content


def _compare_tables(directory: Path) -> None:
    progress, episodes = (
        parse_table(path, _content(path, TABLE_BYTES, None))
        for path in (directory / "progress.parquet", directory / "episodes.parquet")
    )
    try:
        ended = progress["episodes"].groupby(progress["iteration"]).sum()
        found = episodes.groupby("iteration").size().reindex(ended.index, fill_value=0)
        agree = len(episodes) == ended.sum() and (found == ended).all()
    except (KeyError, TypeError, ValueError):
        agree = False
    if not agree:
        raise CorruptError(
            f"{directory / 'episodes.parquet'} is not the file that its run wrote (it does not "
            f"have the episodes that progress.parquet counts): {AGAIN}."
        )


def _sealed(info: Mapping[str, Any]) -> bool:
    """Whether run.json must have the sums of all tables."""
    return info["status"] == DONE and _schema(info) >= SCHEMA_VERSION and "published" not in info


def _schema(info: Mapping[str, Any]) -> int:
    """Of the version that wrote a run.json."""
    schema = info.get("schema")
    return schema if isinstance(schema, int) else 1
