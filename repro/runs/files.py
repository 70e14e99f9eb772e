"""Single files: atomic writes, JSON objects, and tables with checksums."""

from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from repro.errors import CorruptError


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file next to `path`, then rename it.

    Readers see the old file or the new one, never a part of either.
    """
    temporary = path.with_name(f"{path.name}.tmp-{uuid.uuid4().hex[:8]}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Indented JSON, atomically."""
    text = json.dumps(values, indent=2, default=str) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        CorruptError: naming the file, when it holds anything else.
        FileNotFoundError: when there is no file.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptError(f"{path} is damaged ({error}): remove it and run again.") from error
    if not isinstance(values, dict):
        raise CorruptError(f"{path} holds no JSON object: remove it and run again.")
    return values


def write_table(
    path: Path, columns: Mapping[str, Any], schema: Mapping[str, tuple[str, str]]
) -> None:
    """Write arrays by column name as parquet with page checksums, atomically. NaN becomes null."""
    content = table_bytes(columns, schema)
    write_atomically(path, lambda file: file.write(content))


def table_bytes(
    columns: Mapping[str, Any], schema: Mapping[str, tuple[str, str]], compact: bool = False
) -> bytes:
    """The bytes that `write_table` writes.

    Args:
        columns: arrays by name.
        schema: name -> (type, meaning).
        compact: choose the smallest encoding, which takes longer to write.
    """
    types = {name: pa.type_for_alias(kind) for name, (kind, _) in schema.items()}
    arrays = [pa.array(columns[name], type=kind, from_pandas=True) for name, kind in types.items()]
    table = pa.Table.from_arrays(arrays, names=list(schema))
    buffer = io.BytesIO()
    options = _compact(types) if compact else {}
    pq.write_table(table, buffer, write_page_checksum=True, compression="zstd", **options)
    return buffer.getvalue()


def _compact(types: Mapping[str, Any]) -> dict[str, Any]:
    """Parquet's options for long numeric columns: a third smaller than dictionary encoding."""
    integers = {
        name: "DELTA_BINARY_PACKED" for name, kind in types.items() if pa.types.is_integer(kind)
    }
    floats = {
        name: "BYTE_STREAM_SPLIT" for name, kind in types.items() if pa.types.is_floating(kind)
    }
    return {
        "column_encoding": integers | floats,
        "use_dictionary": [name for name in types if name not in integers | floats],
        "compression_level": 12,
    }


def read_table(path: Path, remedy: str = "run that configuration again") -> pd.DataFrame:
    """A table, with its page checksums verified.

    Args:
        path: the file.
        remedy: what to do when it is damaged, for the message.

    Raises:
        CorruptError: naming the file, when it is damaged.
        FileNotFoundError: when there is no file.
    """
    try:
        table = pq.read_table(path, page_checksum_verification=True, partitioning=None)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise CorruptError(f"{path} is damaged ({error}): {remedy}.") from error
    frame: pd.DataFrame = table.to_pandas()
    return frame
