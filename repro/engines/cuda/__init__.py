"""Recorded CUDA graphs: what a GPU has in place of compiled kernels.

The torch code is the definition. Each part also runs on a CPU, unrecorded, where tests compare it
with that code to the last bit; tests that need a GPU are marked `gpu`.
"""

from __future__ import annotations

from repro.engines.cuda.acting import Acting
from repro.engines.cuda.graphs import Repeated
from repro.engines.cuda.precision import accelerator, set_precision

__all__ = ["Acting", "Repeated", "accelerator", "set_precision"]
