"""Converts a nested state to one `.npz` archive and one JSON object, and back.

A state is a dictionary of dictionaries whose leaves are NumPy arrays or JSON values. Each leaf is
named by its path, as `adam/mean`. Files are not trusted: reading allocates no more memory than the
file has bytes, unpickles nothing, and accepts arrays of numbers only.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from repro.errors import CorruptError, NumericalError

Array = np.ndarray[Any, Any]
SEPARATOR = "/"
SUFFIX = ".npy"


def flatten(state: Mapping[str, Any]) -> tuple[dict[str, Array], dict[str, Any]]:
    """A state's arrays and its JSON values, each by path."""
    arrays: dict[str, Array] = {}
    values: dict[str, Any] = {}
    for name, leaf in state.items():
        if SEPARATOR in name:
            raise ValueError(f"{name!r} cannot name a part of a state: it contains {SEPARATOR}")
        if isinstance(leaf, Mapping):
            inner_arrays, inner_values = flatten(leaf)
            arrays |= {f"{name}{SEPARATOR}{path}": array for path, array in inner_arrays.items()}
            values |= {f"{name}{SEPARATOR}{path}": value for path, value in inner_values.items()}
        elif isinstance(leaf, np.ndarray | np.generic):
            arrays[name] = np.asarray(leaf)
        else:
            values[name] = leaf
    return arrays, values


def unflatten(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves by path -> nested dictionaries."""
    state: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *parents, name = path.split(SEPARATOR)
        node = state
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
    return state


def check_finite(arrays: Mapping[str, Array]) -> None:
    """Refuse arrays with NaN or infinite values.

    Raises:
        NumericalError: naming the array.
    """
    for path, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NumericalError(f"{path} is not finite")


def pack(arrays: Mapping[str, Array]) -> bytes:
    """Arrays by path as an uncompressed `.npz`. Equal arrays give equal bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            # A ZipInfo without a date gets that of 1980: the bytes must not depend on the clock.
            archive.writestr(zipfile.ZipInfo(path + SUFFIX), member.getvalue())
    return file.getvalue()


def unpack(content: bytes) -> dict[str, Array]:
    """The arrays that `pack` was given, by path.

    Raises:
        CorruptError: the bytes are anything else, such as an array of Python objects.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {_path(member): _read(archive, member) for member in archive.infolist()}
    except CorruptError:
        raise
    except Exception as error:  # any error of a parser means that the file is damaged
        raise CorruptError(f"not an archive of arrays ({type(error).__name__}: {error})") from error


def _path(member: zipfile.ZipInfo) -> str:
    if member.compress_type != zipfile.ZIP_STORED or not member.filename.endswith(SUFFIX):
        raise CorruptError(f"{member.filename!r} is not an uncompressed array")
    return member.filename.removesuffix(SUFFIX)


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    data = archive.read(member)
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise CorruptError(f"{member.filename!r} has an unknown format")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    body = data[stream.tell() :]
    if dtype.hasobject or dtype.kind not in "biuf":
        raise CorruptError(f"{member.filename!r} holds {dtype}, not numbers")
    if math.prod(shape) * dtype.itemsize != len(body):
        raise CorruptError(f"{member.filename!r} does not have as many values as its shape says")
    flat = np.frombuffer(body, dtype)
    return flat.reshape(shape, order="F" if by_columns else "C").copy()
