"""What a GPU does otherwise than a CPU: recorded graphs instead of compiled kernels.

The torch code stays the definition. Each part also runs on a CPU, unrecorded, where the tests
compare it with that code to the last bit; what needs a device is marked `gpu`.
"""

from __future__ import annotations

from repro.engines.cuda.acting import Acting
from repro.engines.cuda.graphs import Repeated

__all__ = ["Acting", "Repeated"]
