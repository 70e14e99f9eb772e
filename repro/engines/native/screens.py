"""Screens in grey as the emulator's, and made smaller as by OpenCV's INTER_AREA: by screens.cpp."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from repro.engines.native.kernels import check_layout, library, pointer

BLOCK, WINDOW = 16, 32  # `kBlock` and `kWindow` of screens.cpp
Array = np.ndarray[Any, Any]


class _Resize(ctypes.Structure):
    """`Resize` of screens.cpp, field by field; `check_layout` compares the sizes."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("sources", "weights", "firsts")),
        *((name, ctypes.c_void_p) for name in ("row_sources", "row_targets", "row_weights")),
        *((name, ctypes.c_int64) for name in ("taps", "width", "size", "row_entries")),
    ]


class Shades:
    """The grey of each color number of a console, learned from screens that the emulator shaded."""

    def __init__(self) -> None:
        """No color is known."""
        self._shades, self._known = np.zeros((2, 256), np.uint8)
        self._tables = pointer(self._shades, "uint8"), pointer(self._known, "uint8")
        self._kernel = library().shade_screen

    def __call__(self, colors: Array, out: Array) -> bool:
        """Write a screen in grey; returns whether all of its colors are known. Both uint8."""
        return bool(
            self._kernel(
                *(*self._tables, pointer(colors, "uint8")), colors.size, pointer(out, "uint8")
            )
        )

    def learn(self, colors: Array, greys: Array) -> None:
        """Remember the colors of a screen."""
        self._shades[colors], self._known[colors] = greys, 128


class AreaResize:
    """Of screens of one size, which is larger than the result's, to [size, size], both uint8."""

    @staticmethod
    def covers(height: int, width: int, size: int) -> bool:
        """Whether OpenCV does as here: not where both ratios are whole, nor to larger screens."""
        return size <= min(height, width) and bool(height % size or width % size)

    def __init__(self, height: int, width: int, size: int) -> None:
        """Compute which pixels make a pixel."""
        check_layout(_Resize, library().resize_size())
        self._shapes = (height, width), (size, size)
        columns, rows = area_weights(width, size), area_weights(height, size)
        taps, padded = max(map(len, columns)), -(-size // BLOCK) * BLOCK
        sources, weights = np.zeros((taps, padded), np.int32), np.zeros((taps, padded), np.float32)
        firsts = np.zeros(padded // BLOCK, np.int64)
        for block in range(len(firsts)):
            own = columns[block * BLOCK : (block + 1) * BLOCK]
            first, last = own[0][0][0], own[-1][-1][0]
            firsts[block] = first if last - first < WINDOW else -first - 1
            for i, entries in enumerate(own, start=block * BLOCK):
                for tap, (source, weight) in enumerate(entries):
                    sources[tap, i], weights[tap, i] = source - first, weight
        row_entries = [(s, t, w) for t, entries in enumerate(rows) for s, w in entries]
        row_sources, row_targets, row_weights = zip(*row_entries, strict=True)
        self._arrays: dict[str, Array] = {
            "sources": sources,
            "weights": weights,
            "firsts": firsts,
            "row_sources": np.array(row_sources, np.int64),
            "row_targets": np.array(row_targets, np.int64),
            "row_weights": np.array(row_weights, np.float32),
        }
        addresses = {name: pointer(x, str(x.dtype)) for name, x in self._arrays.items()}
        sizes = {"taps": taps, "width": width, "size": size, "row_entries": len(row_entries)}
        self._struct = _Resize(**addresses, **sizes)
        self._address, self._kernel = ctypes.addressof(self._struct), library().resize_screen

    def __call__(self, screen: Array, out: Array) -> None:
        """Write `screen` [height, width], made smaller, to `out` [size, size]."""
        assert (screen.shape, out.shape) == self._shapes
        self._kernel(self._address, pointer(screen, "uint8"), pointer(out, "uint8"))


def area_weights(source: int, size: int) -> list[list[tuple[int, float]]]:
    """Which of `source` pixels make each of `size` pixels: (index, weight), as in OpenCV.

    `computeResizeAreaTab` of its imgproc/src/resize.cpp leaves out what is below a thousandth.
    """
    scale = 1 / (size / source)
    table = []
    for i in range(size):
        start, end = i * scale, i * scale + scale
        extent = min(scale, source - start)
        last = min(math.floor(end), source - 1)
        first = min(math.ceil(start), last)
        entries = [(first - 1, (first - start) / extent)] if first - start > 1e-3 else []
        entries += [(j, 1 / extent) for j in range(first, last)]
        if end - last > 1e-3:
            entries.append((last, min(end - last, 1.0, extent) / extent))
        table.append(entries)
    return table
