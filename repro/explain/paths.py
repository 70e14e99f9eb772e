"""Figure 9: three algorithms on one landscape that can be drawn.

The policy balances InvertedPendulum with two gains: of the pole's angle and of its angular
velocity. Returns are measured on a grid of them, then each algorithm really climbs. What else the
policy has, a bias and a standard deviation, is set back after each update, the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from repro import envs
from repro.algorithms.base import Learners
from repro.explain import learners, tasks
from repro.explain.tables import SEEDS, Array, Table, mean_and_error

SIGMA = 0.37
_TASK = (
    *("env=gymnasium", f"env.id={tasks.TWO_GAINS}", "env.num_envs=8", "policy.hidden_sizes=[]"),
    *("recipe=paper", "recipe.observation_normalization=none"),
)
_VPG = (*_TASK, "algorithm=vpg", "algorithm.horizon=256", "algorithm.adaptive_step_size=false")
ALGORITHMS = {
    "vpg_0.1": (*_VPG, "algorithm.learning_rate=0.1"),
    "vpg_3": (*_VPG, "algorithm.learning_rate=3"),
    "trpo": (*_TASK, "algorithm=trpo", "algorithm.horizon=256", "algorithm.damping=0"),
    "ppo": (*_TASK, "algorithm=ppo", "algorithm.horizon=256", "algorithm.learning_rate=0.03"),
}
STARTS = {"flat": (0.0, 0.0), "cliff": (2.0, 4.0)}
ITERATIONS = 15
ANGLE_GAINS, VELOCITY_GAINS = np.linspace(-5, 30, 15), np.linspace(-1, 6, 15)
EPISODES = 8
EVALUATED = 32  # episodes at each point of a path


def measure(
    seeds: int = SEEDS,
    episodes: int = EPISODES,
    algorithms: Sequence[str] = tuple(ALGORITHMS),
    iterations: int = ITERATIONS,
) -> list[Table]:
    """`paths_grid`, the landscape, `paths`, the climbs, and `paths_seeds`, each of them."""
    lines = [
        line
        for start in STARTS
        for name in algorithms
        for line in climb(name, start, seeds, iterations)
    ]
    return [grid(episodes), table(lines), by_seed(lines)]


def table(lines: Sequence[Mapping[str, object]]) -> Table:
    """`paths`, from the rows of climbs."""
    units = {
        "start": f"gains before the first update: {STARTS}",
        "algorithm": "vpg_0.1, vpg_3: Adam with these step sizes; trpo: delta 0.01; "
        "ppo: epsilon 0.2",
        "iteration": "from 0, the start; one is 2,048 steps",
        "measure": f"angle_gain, velocity_gain; return: reward an episode of at most "
        f"{tasks.STEPS} steps; kl: nats, of the update",
        "value": "mean over seeds",
        "error": "standard error of value over seeds",
        "seeds": "count",
    }
    keys = ["start", "algorithm", "iteration", "measure"]
    return Table("paths", mean_and_error(pd.DataFrame(lines), keys), units)


def by_seed(lines: Sequence[Mapping[str, object]]) -> Table:
    """`paths_seeds`, the same rows without their mean."""
    units = {
        "start": "as in paths",
        "algorithm": "as in paths",
        "iteration": "as in paths",
        "seed": "of the policy",
        "measure": "as in paths",
        "value": "of the seed",
    }
    return Table("paths_seeds", pd.DataFrame(lines)[list(units)], units)


def grid(episodes: int) -> Table:
    """Mean return by gains."""
    task = envs.make(tasks.TWO_GAINS, "gymnasium", episodes)
    lines = []
    for angle in ANGLE_GAINS:
        for velocity in VELOCITY_GAINS:
            found = returns(task, (angle, velocity))
            error = found.std(ddof=1) / math.sqrt(episodes)
            row = {"angle_gain": angle, "velocity_gain": velocity, "value": found.mean()}
            lines.append(row | {"error": error, "episodes": episodes})
    task.close()
    units = {
        "angle_gain": "force per radian of the pole's angle",
        "velocity_gain": "force per radian a second",
        "value": f"mean reward of an episode of at most {tasks.STEPS} steps; actions have a "
        f"standard deviation of {SIGMA}",
        "error": "standard error of value",
        "episodes": "count",
    }
    return Table("paths_grid", pd.DataFrame(lines), units)


def returns(task: envs.VectorEnv, gains: tuple[float, float]) -> Array:
    """One episode in each environment, [N]."""
    rng = np.random.default_rng(0)
    observations, _ = task.reset(seed=0)
    done, total = np.zeros(task.num_envs, np.bool_), np.zeros(task.num_envs)
    while not done.all():
        noise = SIGMA * rng.standard_normal(task.num_envs)
        step = task.step((observations @ np.array(gains) + noise)[:, None])
        observations, reward, terminated, truncated, _ = step
        total += np.where(done, 0, reward)
        done |= terminated | truncated
    return total


def climb(name: str, start: str, seeds: int, iterations: int) -> list[dict[str, object]]:
    """Updates of one algorithm from one of `STARTS`."""
    made = learners.make(*ALGORITHMS[name], seeds=range(seeds))
    task = envs.make(tasks.TWO_GAINS, "gymnasium", EVALUATED)
    for seed in range(seeds):
        for place, gain in enumerate(STARTS[start]):
            made.views["policy.weight"][seed, place, 0] = gain
    _hold(made)
    lines: list[dict[str, object]] = []
    for iteration in range(iterations + 1):
        kl = made.iterate().metrics["kl"] if iteration else np.full(seeds, math.nan)
        _hold(made)
        for seed in range(seeds):
            angle, velocity = made.views["policy.weight"][seed, :2, 0].tolist()
            found = {"angle_gain": angle, "velocity_gain": velocity, "kl": float(kl[seed])}
            if iteration in (0, iterations):
                found["return"] = float(returns(task, (angle, velocity)).mean())
            row = {"start": start, "algorithm": name, "iteration": iteration, "seed": seed}
            lines += [
                row | {"measure": measure, "value": value}
                for measure, value in found.items()
                if not math.isnan(value)
            ]
    made.close()
    task.close()
    return lines


def _hold(made: Learners) -> None:
    """No bias, and the standard deviation of the landscape."""
    made.views["policy.bias"].zero_()
    made.views["log_std"].fill_(math.log(SIGMA))
