"""How the runs of a sweep are grouped into packs, and which pack starts first: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repro.config.run import RunConfig
from repro.config.schema import Config
from repro.learning.packed_objectives import pack_family

# A pack of P runs takes about P + 1 shares of time: the overhead of an iteration, which does not
# depend on P, is about that of one run's simulation.
FIXED_SHARES = 1.0
# How long a step takes in a pack, in microseconds (speed/tasks_avx2.json): only ratios matter.
STEP_TIMES = {
    "HalfCheetah": 67,
    "Hopper": 149,
    "InvertedDoublePendulum": 107,
    "InvertedPendulum": 42,
    "Reacher": 50,
    "Swimmer": 110,
    "Walker2d": 177,
}
UNKNOWN_STEP_TIME = 100
SB3_STEP_TIME = 1200  # Stable-Baselines3's, whatever the task


@dataclass(frozen=True)
class Pack:
    """Runs that train in lockstep.

    Attributes:
        pause: the iteration after which they are left for now; None: they are trained to their end.
    """

    configs: tuple[RunConfig, ...]
    pause: int | None = None

    @property
    def steps(self) -> int:
        """Environment steps of all runs together."""
        return sum(
            min(config.updates, self.pause or config.updates) * config.batch_size
            for config in self.configs
        )

    @property
    def cost(self) -> float:
        """Estimated time, in microseconds."""
        first, step_time = self.configs[0], UNKNOWN_STEP_TIME
        if isinstance(first, Config):
            if first.algorithm.is_sb3:
                return float(self.steps * SB3_STEP_TIME)
            step_time = STEP_TIMES.get(first.env.id.rpartition("-v")[0], UNKNOWN_STEP_TIME)
        return self.steps * step_time * (1 + FIXED_SHARES / len(self.configs))

    @property
    def device(self) -> str:
        """Its runs' `device`, the same for all."""
        return self.configs[0].device


def plan(configs: Sequence[RunConfig], workers: int, max_pack: int | None = None) -> list[Pack]:
    """Packs in the order in which they should start.

    Every group of compatible runs is cut into the same number of equal packs, the one (up to
    `workers`) that is estimated to end first when each worker, once free, takes the longest
    pack left. Larger packs win a tie.

    Args:
        configs: of any number of groups, but not none.
        workers: packs that can train at the same time.
        max_pack: runs in a pack at most.
    """
    groups = [[configs[i] for i in indices] for indices in group(configs)]
    most = min(workers, max(map(len, groups)))
    plans = [_cut(groups, parts, max_pack) for parts in range(1, most + 1)]
    return min(plans, key=lambda packs: makespan([pack.cost for pack in packs], workers))


def makespan(costs: Sequence[float], workers: int) -> float:
    """When the last of `workers` ends that take the next of `costs` whenever they are free."""
    ends = [0.0] * workers
    for cost in costs:
        first = ends.index(min(ends))
        ends[first] += cost
    return max(ends)


def _cut(groups: Sequence[Sequence[RunConfig]], parts: int, max_pack: int | None) -> list[Pack]:
    packs = []
    for group in groups:
        least = -(-len(group) // max_pack) if max_pack else 1
        packs += [Pack(tuple(part)) for part in _split(group, max(parts, least))]
    return sorted(packs, key=lambda pack: -pack.cost)


def _split(group: Sequence[RunConfig], parts: int) -> list[Sequence[RunConfig]]:
    """Consecutive pieces whose sizes differ by one at most, none of them empty."""
    parts = min(parts, len(group))
    size, larger = divmod(len(group), parts)
    pieces, start = [], 0
    for i in range(parts):
        end = start + size + (i < larger)
        pieces.append(group[start:end])
        start = end
    return pieces


def group(configs: Sequence[RunConfig]) -> list[list[int]]:
    """Indices of configurations that may train together, in order of first appearance.

    Runs of Stable-Baselines3 are packs of their own.
    """
    packs: dict[str, list[int]] = {}
    for index, config in enumerate(configs):
        family = pack_family(config.objective) if config.objective else ""
        alone = isinstance(config, Config) and config.algorithm.is_sb3
        key = config.pack_key + family + (str(index) if alone else "")
        packs.setdefault(key, []).append(index)
    return list(packs.values())
