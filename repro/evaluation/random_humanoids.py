"""Measures random and untrained policies on the humanoid tasks, as a baseline for trained ones.

- `uniform`: uniform over the action box;
- `untrained`: a Gaussian around 0 with Table 4's first standard deviation, exp(-0.7), not clipped.
  A network before its first update is this policy but for its head's small weights.

    python -m repro.evaluation.random_humanoids --episodes 100 --out random_humanoids.csv
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from repro import envs
from repro.cli import Parser, at_least, finish
from repro.config.humanoid import BACKEND
from repro.console import say
from repro.envs.humanoid.measures import described, summarized
from repro.envs.humanoid.rules import ids
from repro.evaluation.episodes import PlayedEpisodes, play
from repro.evaluation.policies import Actions, Generators, Observations
from repro.rollouts.diagnosis import FLOAT32_MAX
from repro.runs.files import write_atomically

KINDS = ("uniform", "untrained")
FIRST_LOG_STD = -0.7  # Table 4
PARALLEL = 20


class RandomPolicy:
    """Actions that do not depend on the observation."""

    stochastic, largest = True, FLOAT32_MAX

    def __init__(self, kind: str, observation_shape: tuple[int, ...], actions: int) -> None:
        """Of one of `KINDS`."""
        self.observation_shape, self._kind, self._actions = observation_shape, kind, actions

    def act(self, observations: Observations, generators: Generators | None) -> Actions:
        """Float32 [N, A]."""
        assert generators is not None
        if self._kind == "uniform":
            drawn = [each.uniform(-1, 1, self._actions) for each in generators]
        else:
            std = np.exp(FIRST_LOG_STD)
            drawn = [std * each.standard_normal(self._actions) for each in generators]
        return np.array(drawn, np.float32)


def measure(task_id: str, kind: str, episodes: int, seed: int) -> PlayedEpisodes:
    """Play episodes 1 to E of a seed with a random policy."""
    env = envs.make(task_id, BACKEND, min(PARALLEL, episodes))
    shapes = env.single_observation_space.shape, env.single_action_space.shape
    assert shapes[0] is not None and shapes[1] is not None
    return play(RandomPolicy(kind, shapes[0], shapes[1][0]), env, episodes, seed)


def row(task_id: str, kind: str, played: PlayedEpisodes) -> dict[str, Any]:
    """A line of the table."""
    means = {"return": played.returns.mean(), "length": played.lengths.mean()}
    numbers = means | summarized(played.measures)
    return {"task": task_id, "policy": kind, "episodes": len(played.returns)} | {
        name: f"{value:.4g}" for name, value in numbers.items()
    }


def main() -> None:
    """The command."""
    sys.exit(finish(lambda: _run(sys.argv[1:])))


def _run(arguments: Sequence[str]) -> None:
    summary = (__doc__ or "").partition("\n")[0]
    parser = Parser(prog="python -m repro.evaluation.random_humanoids", description=summary)
    parser.add_argument("--episodes", type=at_least(1), default=100, help="a row (default 100)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="default 0")
    parser.add_argument("--out", type=Path, required=True, help="CSV file")
    options = parser.parse_args(arguments)
    rows = []
    for task_id in ids():
        for kind in KINDS:
            played = measure(task_id, kind, options.episodes, options.seed)
            rows.append(row(task_id, kind, played))
            shown = described(played.measures)
            say(f"{task_id} {kind}: return {played.returns.mean():.1f}, {shown}")
    text = io.StringIO()
    columns = list(dict.fromkeys(name for each in rows for name in each))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out, lambda file: file.write(text.getvalue().encode()))


if __name__ == "__main__":
    main()
