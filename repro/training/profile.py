"""Where the time of a pack went, by phase: `profile=true`."""

from __future__ import annotations

import time
from collections.abc import Mapping

MEANINGS = {
    "env": "environments: physics, observations, rewards",
    "forward": "policies: normalization, networks, sampling",
    "rollout": "responses of language models, and their scores",
    "update": "advantages, epochs of minibatches, metrics",
    "other": "bookkeeping of the rollout",
    "kept": "tables, checkpoints, loggers",
}


class Profile:
    """Adds up iterations' seconds by phase; the rest of the wall time counts as `kept`."""

    def __init__(self) -> None:
        """Start the clock."""
        self._start = time.perf_counter()
        self._seconds: dict[str, float] = {}

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add one iteration's seconds by phase."""
        for phase, spent in seconds.items():
            self._seconds[phase] = self._seconds.get(phase, 0.0) + spent

    def text(self, runs: int, steps: int) -> str:
        """A table for the terminal.

        Args:
            runs: of the pack.
            steps: environment steps of all runs together.
        """
        wall = time.perf_counter() - self._start
        seconds = self._seconds | {"kept": wall - sum(self._seconds.values())}
        rows = [
            f"  {phase:<8}{spent:9.2f} s {spent / wall:6.1%} {spent / steps * 1e6:9.1f} us a step"
            f"  {MEANINGS.get(phase, '')}"
            for phase, spent in seconds.items()
        ]
        title = f"Where {wall:.1f} s of {runs} run{'s' * (runs > 1)} went, {steps:,} steps:"
        return "\n".join([title, *rows])
