"""Single files: atomic writes, JSON objects, and tables with checksums."""

from __future__ import annotations

import io
import json
import math
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from repro.errors import CorruptError

if TYPE_CHECKING:  # a run writes tables and reads none: it need not load pandas
    import pandas as pd


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
    arrays = [_column(columns[name], kind) for name, kind in types.items()]
    table = pa.Table.from_arrays(arrays, names=list(schema))
    buffer = io.BytesIO()
    options = _compact(types) if compact else {}
    pq.write_table(table, buffer, write_page_checksum=True, compression="zstd", **options)
    return buffer.getvalue()


def _column(values: Any, kind: Any) -> Any:
    """A column of an Arrow table; NaN becomes null."""
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if not (numeric and isinstance(values, np.ndarray)):
        return pa.array(values, type=kind, from_pandas=True)
    # What `pa.array` would do, which loads pandas to see whether `values` is a series of it.
    data = np.ascontiguousarray(values, kind.to_pandas_dtype())
    present = ~np.isnan(data)
    bitmap = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(kind, len(data), [bitmap, pa.py_buffer(data)])


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
    frame: pd.DataFrame = _read(path, remedy).to_pandas()
    return frame


def read_numbers(path: Path, column: str) -> np.ndarray[Any, Any]:
    """One column of a table that `read_table` would read, without pandas; null becomes NaN."""
    values = _read(path, "run that configuration again").column(column)
    return np.array([math.nan if each is None else each for each in values.to_pylist()])


def _read(path: Path, remedy: str) -> Any:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read()
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise CorruptError(f"{path} is damaged ({error}): {remedy}.") from error
