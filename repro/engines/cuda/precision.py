"""How a GPU computes: set once, and recorded, since the bits of a result depend on it."""

from __future__ import annotations

import os

import torch


def set_precision(device: torch.device) -> None:
    """On a GPU, float32 products without TF32 and convolutions by deterministic kernels.

    cuBLAS reads its own switch, CUBLAS_WORKSPACE_CONFIG, when it starts.
    """
    if device.type != "cuda":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
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
        "cuda": torch.version.cuda,
        "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
        "tf32": str(torch.backends.cudnn.allow_tf32),
        "deterministic": str(torch.backends.cudnn.deterministic),
    }
