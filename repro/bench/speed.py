"""Speed against physics and Stable-Baselines3, in one process, on one core.

    python -m repro.bench speed --env hopper,reacher --out bench.json
    python -m repro.bench speed --algorithm ppo,a2c,trpo --out bench.json

Every round measures each contender once, so that a drift of the machine's
speed affects all of them; a first, unmeasured round warms up. A round is one
iteration, or as many as make 1,000 steps. Times are microseconds of wall time
per environment step, medians over rounds; ratios are medians of the rounds'
ratios. Physics alone is the simulator's own call, in a replay of what the
largest pack did in the same round, from the same states.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from repro.bench.contenders import (
    COMPARED,
    TIMED,
    WITH_PHYSICS,
    Pack,
    Physics,
    StableBaselines3,
)
from repro.bench.rows import Row, Sample, ratio, save, speedup, summarize, table
from repro.cli import Parser, at_least
from repro.engines import cuda
from repro.errors import ConfigError

BASELINES = ("physics", "sb3")


def measure(
    env: str,
    populations: Sequence[int],
    rounds: int,
    overrides: Sequence[str] = (),
    baselines: Sequence[str] = BASELINES,
    algorithm: str = "ppo",
) -> list[Row]:
    """Measure one task and algorithm.

    Args:
        env: option of conf/env.
        populations: sizes P of the packs.
        rounds: how often each contender is measured.
        overrides: further configuration.
        baselines: of BASELINES.
        algorithm: of TIMED; those outside of COMPARED have no peer in SB3.

    Returns:
        A row for each contender: `env`, `algorithm`, `contender` (physics, sb3, ours),
        `population`, `total_us` with `low_us` and `high_us` over the rounds, `<phase>_us`,
        `over_physics` (ratio of times), `over_sb3` (how many times as fast), `memory_mib` and
        `device`. What does not apply is None.

    Raises:
        ConfigError: no such task, no physics to compare with, or Stable-Baselines3 not installed.
    """
    torch.set_num_threads(1)
    packs = {p: Pack(env, p, overrides, algorithm) for p in sorted(populations)}
    largest = packs[max(packs)]
    contenders: dict[str, Callable[[], Sample]] = {}
    if "sb3" in baselines and algorithm in COMPARED:
        contenders["sb3"] = StableBaselines3(largest.configs[0]).measure
    contenders |= {f"ours {p}": pack.measure for p, pack in packs.items()}
    if "physics" in baselines:
        if not isinstance(largest.env, WITH_PHYSICS):
            raise ConfigError(f"--env {env} has no physics to compare with: say --baselines sb3.")
        contenders["physics"] = Physics(largest).measure  # after the largest pack, which it replays
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            samples[name].append(contender())
    about = {"env": env, "algorithm": algorithm}
    device = {"device": str(largest.learners.device)}
    return [about | _row(name, samples) | _memory(name, packs) | device for name in contenders]


def _row(name: str, samples: dict[str, list[Sample]]) -> Row:
    contender, _, population = name.partition(" ")
    return {
        "contender": contender,
        "population": int(population) if population else None,
        **summarize(samples[name]),
        "over_physics": ratio(samples[name], samples.get("physics")),
        "over_sb3": speedup(samples[name], samples.get("sb3")),
    }


def _memory(name: str, packs: dict[int, Pack]) -> Row:
    contender, _, population = name.partition(" ")
    return {"memory_mib": packs[int(population)].memory_mib if contender == "ours" else None}


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m repro.bench speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--env", default="half_cheetah", help="options of conf/env, with commas")
    parser.add_argument("--algorithm", default="ppo", help=f"of {','.join(TIMED)}, with commas")
    parser.add_argument("--population", default="1,33", help="sizes of packs, with commas")
    parser.add_argument("--baselines", default="physics,sb3", help="of physics,sb3; or none")
    parser.add_argument("--rounds", type=at_least(1), default=5, help="measurements of each")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    parser.add_argument("overrides", nargs="*", help="further configuration, such as recipe=sb3")
    return parser


def run(arguments: Sequence[str]) -> None:
    """The command.

    Raises:
        ConfigError: a wrong option, or what `measure` refuses.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        populations = [at_least(1)(size) for size in options.population.split(",")]
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument --population: {error}, such as 1,33")
    baselines = [] if options.baselines == "none" else options.baselines.split(",")
    if not set(baselines) <= set(BASELINES):
        parser.error("--baselines takes physics, sb3, both with a comma, or none")
    algorithms = options.algorithm.split(",")
    if not set(algorithms) <= set(TIMED):
        parser.error(f"--algorithm takes {', '.join(TIMED)}, several with commas")
    rows = [
        row
        for algorithm in algorithms
        for env in options.env.split(",")
        for row in measure(
            env, populations, options.rounds, options.overrides, baselines, algorithm
        )
    ]
    unit = "microseconds per environment step"
    where = "one core, one thread" if rows[0]["device"] == "cpu" else rows[0]["device"]
    print(f"{unit.capitalize()}, {where}; medians of {options.rounds} rounds")
    print(table(rows))
    if options.out is not None:
        about = {"rounds": options.rounds, "overrides": options.overrides, "unit": unit}
        about |= cuda.accelerator(torch.device(rows[0]["device"]))
        save(options.out, "speed", arguments, about | {"rows": rows})
