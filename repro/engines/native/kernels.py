"""Builds and loads the kernels: at first use, with this machine's compiler for its processor."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parent
SOURCES = tuple(
    f"{name}.cpp" for name in ("estimates", "frames", "ppo", "rollout", "screens", "trpo")
)
HEADERS = (
    *("acting.h", "collect.h", "convolution.h", "dense.h", "distributions.h", "forces.h"),
    *("matrix.h", "moments.h", "network.h", "recording.h", "task.h", "update.h"),
)
# The compiler may change no bits: matrix.h says where multiply-adds are fused.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-shared",
    "-fPIC",
)
COMPILERS = ("c++", "g++", "clang++")


class KernelsUnavailableError(RuntimeError):
    """Why this machine has no compiled kernels."""


@functools.cache
def library() -> ctypes.CDLL:
    """The kernels, compiled on the first call on a machine (about 2 s) and kept in its cache.

    Raises:
        KernelsUnavailableError: no compiler, or one that fails.
    """
    compiler = next((path for name in COMPILERS if (path := shutil.which(name))), None)
    if compiler is None:
        raise KernelsUnavailableError("there is no C++ compiler here (on Debian: apt install g++)")
    target = _cache_folder() / f"kernels-{_fingerprint(compiler)}.so"
    try:
        if not target.exists():
            _compile(compiler, target)
        return _declared(ctypes.CDLL(str(target)))
    except OSError as error:
        raise KernelsUnavailableError(str(error)) from error


def _declared(kernels: ctypes.CDLL) -> ctypes.CDLL:
    address, number = ctypes.c_void_p, ctypes.c_int64
    kernels.ppo_update.argtypes = [address]
    kernels.act.argtypes = [address, number, address, address]
    kernels.record_step.argtypes = [address, number, *[address] * 4]
    kernels.mlp_forward.argtypes = [
        *(address, number, number, number), *(address, number, address, address)
    ]  # fmt: skip
    kernels.run_task.argtypes = [
        *(address, number, number), *(address, number, number, number, address)
    ]  # fmt: skip
    kernels.gae.argtypes = [number] * 3 + [address] * 7
    for function in (kernels.value_rollout, kernels.renormalize):
        function.argtypes, function.restype = [address], None
    kernels.gae.restype = None
    for function in (kernels.pull_back, kernels.fisher_product):
        function.argtypes, function.restype = [address, address, address], None
    shade = kernels.shade_screen
    shade.argtypes, shade.restype = [address, address, address, number, address], number
    kernels.resize_screen.argtypes, kernels.resize_screen.restype = [address] * 3, None
    for function in (kernels.trunk_forward, kernels.trunk_backward):
        function.argtypes, function.restype = [address], None
    for function in (kernels.ppo_update, kernels.mlp_forward, kernels.run_task):
        function.restype = None
    for function in (kernels.act, kernels.record_step):
        function.restype = number
    kernels.collect.argtypes, kernels.collect.restype = [address, number, number], number
    structures = (
        *("update", "acting", "policy", "recording", "collection", "trunk", "resize"),
        *("valuation", "renormalization"),
    )
    for function in (kernels.lanes, *(getattr(kernels, f"{name}_size") for name in structures)):
        function.argtypes, function.restype = [], number
    return kernels


def check_layout(structure: type[ctypes.Structure], size: int) -> None:
    """Compare the size of a ctypes structure with that of its C++ original.

    Raises:
        RuntimeError: they differ, so that the kernels would read other memory.
    """
    if ctypes.sizeof(structure) != size:
        raise RuntimeError(
            f"{structure.__name__} has {ctypes.sizeof(structure)} bytes in Python and {size} in "
            "C++: give both the same fields in the same order."
        )


def pointer(array: np.ndarray[Any, Any] | Tensor | None, dtype: str = "float32") -> int | None:
    """The address of a contiguous array. The caller must keep the array alive.

    Args:
        array: None for the null pointer.
        dtype: the type that the kernel reads.

    Raises:
        TypeError: the array has another type, so that the kernel would misread it.
    """
    if array is None:
        return None
    found = _name(array.dtype)
    if found != dtype:
        raise TypeError(f"the kernel reads {dtype}, but the array is of {found}: convert it first.")
    if isinstance(array, Tensor):
        assert array.is_contiguous()
        return array.data_ptr()
    assert array.flags.c_contiguous
    return array.ctypes.data


@functools.cache
def _name(dtype: np.dtype[Any] | torch.dtype) -> str:
    """As NumPy and torch both have it: `float32`."""
    return str(dtype).removeprefix("torch.")


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ppo-repro"


def _fingerprint(compiler: str) -> str:
    """A hash of all that the binary depends on: machines of several kinds may share a home."""
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    texts = [(FOLDER / name).read_text(encoding="utf-8") for name in (*SOURCES, *HEADERS)]
    parts = [version.stdout, *FLAGS, _processor(), *texts]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return platform.machine() + features


def _compile(compiler: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder) / target.name
        sources = [str(FOLDER / name) for name in SOURCES]
        command = [compiler, *FLAGS, *sources, "-o", str(built)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise KernelsUnavailableError(f"{compiler} fails: {done.stderr.strip()[-300:]}")
        os.replace(built, target)
