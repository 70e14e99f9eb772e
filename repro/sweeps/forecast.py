"""How long packs will take: iterations of packs like them are trained and timed here."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Generator, Sequence
from typing import cast

import torch

from repro.algorithms.iteration import Iteration
from repro.config.run import RunConfig
from repro.config.schema import Config
from repro.learning.packed_objectives import pack_family
from repro.sweeps.packs import Pack, makespan
from repro.training.loop import Training

LARGEST = 8  # learners of a timed pack: in larger packs, time is nearly proportional to them
ITERATIONS = 3  # that are timed, after a first one that is not
PATIENCE = 30.0  # seconds of timing; packs not timed by then are estimated from those that were
START_UP = 4.0  # seconds until the first step: two processes that load torch
SHARING = 1.13  # two workers are 1.77 times as fast as one (results/speed/scaling.json)


def seconds(plan: Sequence[Pack], processes: int) -> list[float]:
    """Estimated time of each pack, where so many train at the same time."""
    torch.set_num_threads(1)  # as in a sweep's workers
    sorts: dict[str, list[int]] = {}
    for index, pack in enumerate(plan):
        sorts.setdefault(_sort(pack.configs[0]), []).append(index)
    known: dict[int, float] = {}
    start = time.monotonic()
    for sort in sorted(sorts.values(), key=lambda sort: -sum(plan[i].cost for i in sort)):
        if known and time.monotonic() - start > PATIENCE:
            break
        each = _seconds_per_step(max((plan[i] for i in sort), key=lambda pack: len(pack.configs)))
        known |= {i: each * plan[i].steps for i in sort}
    scale = sum(known.values()) / sum(plan[i].cost for i in known)
    sharing = SHARING if processes > 1 else 1.0
    return [sharing * known.get(i, scale * pack.cost) for i, pack in enumerate(plan)]


def elapsed(costs: Sequence[float], processes: int) -> float:
    """From the start of all packs to the end of the last, start-up included."""
    return START_UP + makespan(costs, processes)


def _sort(config: RunConfig) -> str:
    """Equal for packs whose steps take equally long."""
    return config.pack_key + (pack_family(config.objective) if config.objective else "")


def _seconds_per_step(pack: Pack) -> float:
    """Of one environment step of one learner."""
    configs = [each for each in pack.configs[:LARGEST] if isinstance(each, Config)]
    # CPU time: what a core alone would take, however busy the machine is now.
    clock = time.process_time if configs[0].device == "cpu" else time.perf_counter
    ends: list[float] = []
    with contextlib.closing(cast(Generator[Iteration], iter(Training(configs)))) as training:
        begin = clock()
        for _ in itertools.islice(training, 1 + ITERATIONS):
            ends.append(clock())
    timed = (ends[-1] - ends[0]) / (len(ends) - 1) if len(ends) > 1 else ends[0] - begin
    return timed / (len(configs) * configs[0].batch_size)
