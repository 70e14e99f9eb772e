"""Single files: atomic writes, JSON and YAML of limited size and depth, tables with checksums.

Files are not trusted. Each has a size and a depth beyond which it cannot be what this project
writes; it is then refused before it costs time or memory.
"""

from __future__ import annotations

import hashlib
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
import yaml

from repro.errors import CorruptError

if TYPE_CHECKING:  # a run writes tables and reads none: it need not load pandas
    import pandas as pd

REMEDY = "run that configuration again"
JSON_BYTES = 256 << 20  # a sweep.json of 50,000 runs
YAML_BYTES = 1 << 20  # a configuration has 4 kB
TABLE_BYTES = 4 << 30
TABLE_VALUES = 1 << 29  # rows times columns: 100 million episodes
DEPTH = 32  # of lists and dictionaries in one another; a configuration has 4


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


def read_json(path: Path, remedy: str = "remove it and run again") -> dict[str, Any]:
    """A JSON object.

    Args:
        path: the file.
        remedy: what to do when it is damaged, for the message.

    Raises:
        CorruptError: naming the file, when it holds anything else, or is too large or too deep.
        FileNotFoundError: when there is no file.
    """
    return _object(path, JSON_BYTES, json.loads, "JSON object", remedy)


def read_yaml(path: Path, remedy: str = REMEDY) -> dict[str, Any]:
    """A YAML mapping of plain values. Aliases are refused: a few lines of them can mean terabytes.

    Args:
        path: the file.
        remedy: what to do when it is damaged, for the message.

    Raises:
        CorruptError: naming the file, when it holds anything else, or is too large or too deep.
        FileNotFoundError: when there is no file.
    """
    return _object(path, YAML_BYTES, _load_yaml, "configuration", remedy)


class _WithoutAliases(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases")
        return super().compose_node(parent, index)


def _load_yaml(text: str) -> Any:
    loader = _WithoutAliases(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _object(
    path: Path, largest: int, parse: Callable[[str], Any], kind: str, remedy: str
) -> dict[str, Any]:
    try:
        values = parse(read_bytes(path, largest, remedy).decode("utf-8"))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        if isinstance(error, CorruptError):
            raise
        cause = "it is too deep" if isinstance(error, RecursionError) else error
        raise CorruptError(f"{path} is damaged ({cause}): {remedy}.") from error
    if not isinstance(values, dict):
        raise CorruptError(f"{path} holds no {kind}: {remedy}.")
    if complaint := _complaint(values):
        raise CorruptError(f"{path} is damaged ({complaint}): {remedy}.")
    return values


def _complaint(values: dict[str, Any]) -> str | None:
    """What JSON could not say, or says too deep."""
    level: list[Any] = [values]
    for _ in range(DEPTH):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                if not all(isinstance(key, str) for key in each):
                    return "it has keys that are no text"
                inner += each.values()
            elif isinstance(each, list):
                inner += each
            elif not isinstance(each, str | int | float | None):
                return f"it holds a {type(each).__name__}"
        level = inner
        if not level:
            return None
    return "it is too deep"


def read_bytes(path: Path, largest: int, remedy: str = REMEDY) -> bytes:
    """A whole file.

    Raises:
        CorruptError: naming the file, when it has more than `largest` bytes.
        FileNotFoundError: when there is no file.
    """
    with path.open("rb") as file:
        found = os.fstat(file.fileno()).st_size
        content = file.read(largest + 1) if found <= largest else b""
    if max(found, len(content)) > largest:
        raise CorruptError(f"{path} is damaged (it is too large): {remedy}.")
    return content


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


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


def read_table(path: Path, remedy: str = REMEDY) -> pd.DataFrame:
    """A table, with its page checksums verified.

    Args:
        path: the file.
        remedy: what to do when it is damaged, for the message.

    Raises:
        CorruptError: naming the file, when it is damaged.
        FileNotFoundError: when there is no file.
    """
    return parse_table(path, read_bytes(path, TABLE_BYTES, remedy), remedy)


def parse_table(path: Path, content: bytes, remedy: str = REMEDY) -> pd.DataFrame:
    """The table in the bytes of a file; arguments and errors as in `read_table`."""
    frame: pd.DataFrame = _parse(path, content, remedy).to_pandas()
    return frame


def parse_numbers(path: Path, content: bytes, column: str) -> np.ndarray[Any, Any]:
    """One column of the table in the bytes of a file, without pandas; null becomes NaN."""
    values = _parse(path, content, REMEDY).column(column)
    return np.array([math.nan if each is None else each for each in values.to_pylist()])


def _parse(path: Path, content: bytes, remedy: str) -> Any:
    try:
        # In Arrow's own memory: its threads may let go of Python's after Python has ended, which
        # aborts the process.
        copy = pa.BufferOutputStream()
        copy.write(content)
        file = pq.ParquetFile(pa.BufferReader(copy.getvalue()), page_checksum_verification=True)
        if file.metadata.num_rows * file.metadata.num_columns > TABLE_VALUES:
            raise CorruptError(f"{path} is damaged (it is too large): {remedy}.")
        return file.read()
    except (pa.ArrowException, OSError) as error:
        raise CorruptError(f"{path} is damaged ({error}): {remedy}.") from error
