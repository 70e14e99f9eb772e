"""How a GPU computes: set once, and recorded, since the bits of a result depend on it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

DRIVER = Path("/proc/driver/nvidia/version")  # the kernel module's own words, on Linux


def prepare(device: torch.device) -> None:
    """Make a GPU the current one; float32 products without TF32, deterministic convolutions.

    cuBLAS reads its own switch, CUBLAS_WORKSPACE_CONFIG, when it starts.
    """
    if device.type != "cuda":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.cuda.set_device(device)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def accelerator(device: torch.device) -> dict[str, str | None]:
    """Whatever of a GPU the bits of a result depend on, by name; empty for a CPU."""
    if device.type != "cuda":
        return {}
    return {
        "gpu": torch.cuda.get_device_name(device),
        "compute_capability": "{}.{}".format(*torch.cuda.get_device_capability(device)),
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
        "tf32": str(torch.backends.cudnn.allow_tf32),
        "deterministic": str(torch.backends.cudnn.deterministic),
    }


def deterministic(device: torch.device, discrete: bool) -> bool:
    """Whether two runs of the same algorithm have the same bits, as far as torch promises it.

    Discrete actions are drawn by `torch.cumsum`, and differentiated by `torch.gather`: torch
    promises of neither that it is deterministic on a GPU ("torch.use_deterministic_algorithms").
    """
    return device.type == "cpu" or not discrete


def _driver() -> str | None:
    """The driver's version, such as 570.86.15; None where it is not told."""
    try:
        found = re.search(r"\b\d+\.\d+(\.\d+)?\b", DRIVER.read_text(encoding="utf-8"))
    except OSError:
        return None
    return None if found is None else found[0]
