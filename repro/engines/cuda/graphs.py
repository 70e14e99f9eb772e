"""CUDA graphs: repeated work on one tensor is recorded once and replayed.

Small networks leave a GPU waiting for launches: a minibatch of PPO is about a hundred kernels of a
few microseconds each, and a replayed graph launches them all at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor


class Repeated:
    """Calls a function that reads one tensor and writes others in place.

    With `records`, the first call runs directly and warms up (libraries allocate workspaces), the
    second is recorded, and it and all later calls replay the graph on a copy of their tensor. Host
    code in the function runs in the first two calls only, and the memory of all other tensors that
    it uses must not move.
    """

    def __init__(self, function: Callable[[Tensor], None], *, records: bool) -> None:
        """Record nothing yet. `records` needs a CUDA device; without it, calls are direct."""
        self._function, self._records = function, records
        self._input: Tensor | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._aside: Any = None

    def __call__(self, x: Tensor) -> None:
        """Call the function on `x`; only tensors of the first call's shape are replayed."""
        if not self._records or (self._input is not None and x.shape != self._input.shape):
            self._function(x)
        elif self._input is None:
            self._warm_up(x)
        else:
            self._input.copy_(x, non_blocking=True)
            if self._graph is None:
                self._graph = self._record(self._input)
            self._graph.replay()

    def _warm_up(self, x: Tensor) -> None:
        self._input = torch.empty_like(x, memory_format=torch.contiguous_format)
        self._aside = torch.cuda.Stream(x.device)  # type: ignore[no-untyped-call]
        with self._on_a_stream_of_its_own():
            self._function(x)

    def _record(self, x: Tensor) -> torch.cuda.CUDAGraph:
        # Not `torch.cuda.graph`: it first waits for the device and empties the allocator's cache.
        graph = torch.cuda.CUDAGraph()
        with self._on_a_stream_of_its_own():
            graph.capture_begin()
            try:
                self._function(x)
            finally:
                graph.capture_end()
        return graph

    @contextlib.contextmanager
    def _on_a_stream_of_its_own(self) -> Iterator[None]:
        """The default stream cannot be recorded."""
        current = torch.cuda.current_stream(self._aside.device)
        self._aside.wait_stream(current)
        with torch.cuda.stream(self._aside):
            yield
        current.wait_stream(self._aside)
