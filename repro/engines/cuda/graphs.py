"""CUDA graphs: repeated work on one tensor is recorded once and replayed.

Small networks leave a GPU waiting for launches: a minibatch of PPO is about a hundred kernels of a
few microseconds each, and a replayed graph launches them all at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import torch
from torch import Tensor

Work = Callable[[Tensor], None]


class Repeated:
    """Calls a function that reads one tensor and writes others in place.

    With `records`, the first call runs directly and warms up (libraries allocate workspaces), the
    second is recorded, and it and all later calls replay the graph on a copy of their tensor. The
    graph lives as long as this object, so that whatever else the function reads must either lie
    where it lay at the recording or come from `hold`.

    Attributes:
        recordings: how often a graph has been recorded.
    """

    def __init__(self, *, records: bool) -> None:
        """Record nothing yet. `records` needs a CUDA device; without it, calls are direct."""
        self._records, self.recordings = records, 0
        self._held: dict[str, Tensor] = {}
        self._key: Hashable = None
        self._input: Tensor | None = None
        self._recorder: Recorder | None = None
        self._replay: Callable[[], None] | None = None

    @property
    def records(self) -> bool:
        """Whether calls are replayed."""
        return self._records

    def hold(self, name: str, x: Tensor) -> Tensor:
        """The values of `x` in memory that stays, which recorded functions may read.

        Without `records` it is `x` itself. Another shape or type makes the next call record again.
        """
        if not self._records:
            return x
        held = self._held.get(name)
        if held is None or held.shape != x.shape or held.dtype != x.dtype:
            self._held[name], self._replay = x.clone(), None
        else:
            held.copy_(x, non_blocking=True)
        return self._held[name]

    def depend_on(self, key: Hashable) -> None:
        """Record again if what the host decides in the function, `key`, is another than before."""
        if key != self._key:
            self._key, self._replay = key, None

    def __call__(self, function: Work, x: Tensor) -> None:
        """Call the function on `x`; only tensors of the first call's shape are replayed."""
        if not self._records:
            function(x)
        elif self._input is None or self._recorder is None:
            self._input = x.clone(memory_format=torch.contiguous_format)
            self._recorder = Recorder(x.device)
            self._recorder.run(function, self._input)
        elif x.shape != self._input.shape:
            function(x.contiguous())
        else:
            self._input.copy_(x, non_blocking=True)
            if self._replay is None:
                self._replay = self._recorder.record(function, self._input)
                self.recordings += 1
            self._replay()


class Recorder:
    """Records functions, one after the other, into one pool of memory and on one stream."""

    def __init__(self, device: torch.device) -> None:
        """Make the stream, since the default one cannot be recorded."""
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()
        self._graph: torch.cuda.CUDAGraph | None = None

    def run(self, function: Work, x: Tensor) -> None:
        """Call the function on the stream."""
        with self._aside():
            function(x)

    def record(self, function: Work, x: Tensor) -> Callable[[], None]:
        """Record a call, and return what replays it. The recording before can no more be used."""
        # Not `torch.cuda.graph`: it first waits for the device and empties the allocator's cache.
        graph = torch.cuda.CUDAGraph()
        with self._aside():
            graph.capture_begin(pool=self._pool)
            try:
                function(x)
            finally:
                graph.capture_end()
        if self._graph is not None:  # only now: a pool that no graph uses would be given up
            self._graph.reset()
        self._graph = graph
        return graph.replay

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            yield
        current.wait_stream(self._stream)
