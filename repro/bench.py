"""Speed against physics and against Stable-Baselines3, side by side in one run, on one core.

    python -m repro.bench --env half_cheetah --population 1,33 --out bench.json

Every round measures each contender once, so that drift of the machine touches all of them; a
first, unmeasured iteration of each warms up. All figures are medians over rounds, in microseconds
of wall time per environment step. Physics alone is the simulator's own call, in a replay of the
actions that the largest pack took in the same round, from the same states.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from repro import envs, provenance, store
from repro.algorithms.ppo import PPO
from repro.compose import compose
from repro.config import CONF_DIR, Config
from repro.envs.mujoco import MujocoVectorEnv
from repro.errors import EXIT_BAD_INPUT, ConfigError

OBJECTIVES = sorted(path.stem for path in (CONF_DIR / "objective" / "table1").glob("*.yaml"))
PHASES = ("env", "forward", "update", "other")
Sample = dict[str, float]  # microseconds per environment step, by name


class Ours:
    """A pack of P learners: Table 1's settings in turn, with seeds 0, 1, 2, ..."""

    def __init__(self, env: str, population: int, overrides: Sequence[str]) -> None:
        """Build the pack and let it run its unmeasured iteration."""
        self.configs = [
            compose(
                f"env={env}",
                f"objective=table1/{OBJECTIVES[p % len(OBJECTIVES)]}",
                f"seed={p // len(OBJECTIVES)}",
                *overrides,
            )
            for p in range(population)
        ]
        config = self.configs[0]
        self.env = envs.make(config.env.id, config.env.backend, population * config.env.num_envs)
        self.learners = PPO(self.configs, self.env, torch.device("cpu"))
        self.learners.iterate()

    def measure(self) -> Sample:
        """One iteration."""
        start = time.perf_counter()
        record = self.learners.iterate()
        total = time.perf_counter() - start
        scale = 1e6 / (len(self.configs) * self.configs[0].batch_size)
        return {"total_us": total * scale} | {
            f"{phase}_us": record.seconds[phase] * scale for phase in PHASES
        }


class Physics:
    """The simulator alone, on what the pack did in its last iteration."""

    def __init__(self, pack: Ours) -> None:
        """Listen to the pack's environments."""
        assert isinstance(pack.env, MujocoVectorEnv)
        config = pack.configs[0]
        self._pack_env = pack.env
        self._twin = MujocoVectorEnv(config.env.id, pack.env.num_envs)
        self._actions: list[np.ndarray[Any, Any]] = []
        self._start: Any = pack.env.state()
        step = pack.env.step

        def listen(actions: np.ndarray[Any, Any]) -> Any:
            if len(self._actions) == config.algorithm.horizon:
                self._actions.clear()
            if not self._actions:
                self._start = pack.env.state()
            self._actions.append(actions.copy())
            return step(actions)

        pack.env.step = listen  # type: ignore[method-assign]

    def measure(self) -> Sample:
        """Replay, counting the time inside `simulate` only."""
        self._twin.set_state(self._start)
        simulate, seconds = MujocoVectorEnv.simulate, 0.0

        def timed(actions: np.ndarray[Any, Any]) -> None:
            nonlocal seconds
            start = time.perf_counter()
            simulate(self._twin, actions)
            seconds += time.perf_counter() - start

        self._twin.simulate = timed  # type: ignore[method-assign]
        for actions in self._actions:
            self._twin.step(actions)
        if not np.array_equal(self._twin.observations, self._pack_env.observations):
            raise AssertionError("the replay left the pack's trajectory")
        steps = len(self._actions) * self._twin.num_envs
        return {"total_us": seconds / steps * 1e6}


class StableBaselines3:
    """SB3's PPO with the same horizon, minibatch, epochs and number of environments."""

    def __init__(self, config: Config) -> None:
        """Build the model and let it run its unmeasured iteration.

        Raises:
            ConfigError: where Stable-Baselines3 is not installed.
        """
        try:
            from stable_baselines3 import PPO as SB3PPO
            from stable_baselines3.common.env_util import make_vec_env
            from stable_baselines3.common.logger import Logger
        except ModuleNotFoundError as error:
            raise ConfigError(
                "the comparison needs Stable-Baselines3: pip install -e .[baselines]"
            ) from error
        self.batch = config.batch_size
        self.model = SB3PPO(
            "MlpPolicy",
            make_vec_env(config.env.id, n_envs=config.env.num_envs, seed=0),
            n_steps=config.algorithm.horizon,
            batch_size=config.algorithm.minibatch_size,
            n_epochs=config.algorithm.epochs,
            device="cpu",
            seed=0,
        )
        self.model.set_logger(Logger(folder=None, output_formats=[]))
        self.measure()

    def measure(self) -> Sample:
        """One iteration."""
        start = time.perf_counter()
        self.model.learn(self.batch, reset_num_timesteps=False)
        return {"total_us": (time.perf_counter() - start) / self.batch * 1e6}


def measure(
    env: str, populations: Sequence[int], rounds: int, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Run the benchmark; the result is what `--out` holds."""
    torch.set_num_threads(1)
    packs = {p: Ours(env, p, overrides) for p in sorted(populations)}
    largest = packs[max(packs)]
    if not isinstance(largest.env, MujocoVectorEnv):
        raise ConfigError(f"--env {env} has no physics to compare with: choose a MuJoCo task.")
    physics = Physics(largest)
    contenders: dict[str, Callable[[], Sample]] = {
        "sb3": StableBaselines3(largest.configs[0]).measure,
        **{f"ours_{p}": pack.measure for p, pack in packs.items()},
        "physics": physics.measure,  # after the largest pack, which it replays
    }
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            samples[name].append(contender())
    return _report(env, list(packs), samples, overrides) | provenance.machine()


def _report(
    env: str, populations: list[int], samples: dict[str, list[Sample]], overrides: Sequence[str]
) -> dict[str, Any]:
    medians = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for name, rows in samples.items()
    }
    totals = {name: [row["total_us"] for row in rows] for name, rows in samples.items()}
    physics, sb3 = medians["physics"]["total_us"], medians["sb3"]["total_us"]
    ours = {str(p): medians[f"ours_{p}"] for p in populations}
    return {
        "unit": "microseconds per environment step, one core, one thread",
        "env": env,
        "overrides": list(overrides),
        "rounds": len(totals["physics"]),
        "physics_us": physics,
        "sb3_us": sb3,
        "ours": ours,
        "over_physics": {p: row["total_us"] / physics for p, row in ours.items()},
        "speedup_over_sb3": {p: sb3 / row["total_us"] for p, row in ours.items()},
        "spread": {name: {"min": min(x), "max": max(x)} for name, x in totals.items()},
    }


def table(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    lines = [
        f"{result['env']}: {result['unit']}; median of {result['rounds']} rounds",
        f"{'':>14}{'total':>9}" + "".join(f"{phase:>9}" for phase in PHASES)
        + f"{'/physics':>10}{'SB3/':>8}",
        f"{'physics alone':>14}{result['physics_us']:9.1f}",
    ]  # fmt: skip
    for p, row in result["ours"].items():
        phases = "".join(f"{row[f'{phase}_us']:9.1f}" for phase in PHASES)
        ratios = f"{result['over_physics'][p]:10.2f}{result['speedup_over_sb3'][p]:8.1f}"
        lines.append(f"{f'pack of {p}':>14}{row['total_us']:9.1f}{phases}{ratios}")
    lines.append(f"{'SB3 PPO':>14}{result['sb3_us']:9.1f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m repro.bench", description=__doc__)
    parser.add_argument("--env", default="half_cheetah", help="a task of conf/env")
    parser.add_argument("--population", default="1,33", help="sizes of packs, such as 1,33")
    parser.add_argument("--rounds", type=int, default=5, help="measured iterations of each")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    parser.add_argument("overrides", nargs="*", help="further configuration, such as recipe=sb3")
    options = parser.parse_args(arguments)
    try:
        populations = [int(p) for p in options.population.split(",")]
        if min(*populations, options.rounds, 1) < 1:
            raise ValueError
    except ValueError:
        parser.error("--population takes sizes such as 1,33 and --rounds a number, all above 0")
    try:
        result = measure(options.env, populations, options.rounds, options.overrides)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT
    print(table(result))
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        store.write_json(options.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
