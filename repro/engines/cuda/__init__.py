"""Recorded CUDA graphs: what a GPU has in place of compiled kernels.

The torch code is the definition. Each part also runs on a CPU, unrecorded, where tests compare it
with that code to the last bit; tests that need a GPU are marked `gpu`.
"""

from __future__ import annotations

from repro.engines.cuda.acting import Acting, FrameActing
from repro.engines.cuda.graphs import Repeated
from repro.engines.cuda.precision import accelerator, deterministic, prepare
from repro.engines.cuda.transfers import fetched, sent

__all__ = [
    "Acting",
    "FrameActing",
    "Repeated",
    "accelerator",
    "deterministic",
    "fetched",
    "prepare",
    "sent",
]
