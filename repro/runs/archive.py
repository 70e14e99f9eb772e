"""A nested state as one `.npz` archive and one JSON object, and back, without trusting the bytes.

A state is a dictionary of dictionaries whose leaves are NumPy arrays or JSON values. Its leaves are
named by their path, `adam/mean`. Reading allocates nothing that the file does not hold, unpickles
nothing, and takes numbers only.
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
            raise ValueError(f"{name!r} cannot name a part of a state: it holds a {SEPARATOR}")
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
    """Refuse a state that holds NaN or an infinity.

    Raises:
        NumericalError: naming the array.
    """
    for path, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NumericalError(f"{path} is not finite")


def pack(arrays: Mapping[str, Array]) -> bytes:
    """Arrays by path as an uncompressed `.npz`; the same arrays give the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            # A ZipInfo without a date has that of 1980; the bytes must not hang on the clock.
            archive.writestr(zipfile.ZipInfo(path + SUFFIX), member.getvalue())
    return file.getvalue()


def unpack(content: bytes) -> dict[str, Array]:
    """What `pack` was given.

    Raises:
        CorruptError: anything else, an array of Python objects among it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {_path(member): _read(archive, member) for member in archive.infolist()}
    except CorruptError:
        raise
    except Exception as error:  # whatever a parser stumbles over, the file is at fault
        raise CorruptError(f"no archive of arrays ({type(error).__name__}: {error})") from error


def _path(member: zipfile.ZipInfo) -> str:
    if member.compress_type != zipfile.ZIP_STORED or not member.filename.endswith(SUFFIX):
        raise CorruptError(f"{member.filename!r} is no uncompressed array")
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
        raise CorruptError(f"{member.filename!r} holds another number of values than it says")
    flat = np.frombuffer(body, dtype)
    return flat.reshape(shape, order="F" if by_columns else "C").copy()
