"""Speed against physics and against Stable-Baselines3, side by side in one run, on one core.

    python -m repro.bench.speed --env half_cheetah,hopper --population 1,33 --out bench.json
    python -m repro.bench.speed --algorithm ppo,a2c,trpo --out bench.json

Every round measures each contender once, so that drift of the machine touches all of them; a
first, unmeasured round warms up. A round is one iteration, or as many as make 1,000 steps. Times
are microseconds of wall time per environment step, medians over rounds; ratios are medians of a
round's ratios. Physics alone is the simulator's own call, in a replay of what the largest pack did
in the same round, from the same states.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from repro.bench.contenders import COMPARED, PHASES, Ours, Physics, Sample, StableBaselines3
from repro.envs.mujoco.vector import MujocoVectorEnv
from repro.errors import EXIT_BAD_INPUT, ConfigError
from repro.runs import provenance, store

BASELINES = ("physics", "sb3")
Row = dict[str, Any]


def measure(
    env: str,
    populations: Sequence[int],
    rounds: int,
    overrides: Sequence[str] = (),
    baselines: Sequence[str] = BASELINES,
    algorithm: str = "ppo",
) -> list[Row]:
    """One task and algorithm: a row for each contender.

    Rows hold `env`, `algorithm`, `contender` (physics, sb3, ours), `population`, `total_us` with
    `low_us` and `high_us` over the rounds, the phases' `<phase>_us`, `over_physics`, `over_sb3`
    (how many times as fast) and `memory_mib`; None where something does not apply.

    Raises:
        ConfigError: no such task, no physics to compare with, or Stable-Baselines3 not installed.
    """
    torch.set_num_threads(1)
    packs = {p: Ours(env, p, overrides, algorithm) for p in sorted(populations)}
    largest = packs[max(packs)]
    contenders: dict[str, Callable[[], Sample]] = {}
    if "sb3" in baselines:
        contenders["sb3"] = StableBaselines3(largest.configs[0]).measure
    contenders |= {f"ours {p}": pack.measure for p, pack in packs.items()}
    if "physics" in baselines:
        if not isinstance(largest.env, MujocoVectorEnv):
            raise ConfigError(f"--env {env} has no physics to compare with: say --baselines sb3.")
        contenders["physics"] = Physics(largest).measure  # after the largest pack, which it replays
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            samples[name].append(contender())
    return [
        {"env": env, "algorithm": algorithm}
        | _row(name, samples)
        | {"memory_mib": _memory(name, packs)}
        for name in contenders
    ]


def _row(name: str, samples: dict[str, list[Sample]]) -> Row:
    kind, _, population = name.partition(" ")
    times = [sample["total_us"] for sample in samples[name]]
    row: Row = {
        "contender": kind,
        "population": int(population) if population else None,
        "total_us": statistics.median(times),
        "low_us": min(times),
        "high_us": max(times),
    }
    for phase in PHASES:
        key = f"{phase}_us"
        parts = [sample[key] for sample in samples[name] if key in sample]
        row[key] = statistics.median(parts) if parts else None
    row["over_physics"] = _ratio(times, samples.get("physics"))
    slowdown = _ratio(times, samples.get("sb3"))
    row["over_sb3"] = None if slowdown is None else 1 / slowdown
    return row


def _ratio(times: list[float], others: list[Sample] | None) -> float | None:
    """Median over the rounds of this contender's time over another's in the same round."""
    if others is None:
        return None
    return statistics.median(
        own / other["total_us"] for own, other in zip(times, others, strict=True)
    )


def _memory(name: str, packs: dict[int, Ours]) -> float | None:
    kind, _, population = name.partition(" ")
    return packs[int(population)].memory_mib if kind == "ours" else None


def table(rows: Sequence[Row]) -> str:
    """Rows as lines of text."""
    titles = ("total", *PHASES, "/physics", "x SB3", "MiB")
    lines = [f"{'':>45}" + "".join(f"{title:>10}" for title in titles)]
    for row in rows:
        name = row["contender"] if row["population"] is None else f"pack of {row['population']}"
        keys = ("total_us", *(f"{phase}_us" for phase in PHASES))
        cells = [_cell(row[key], 1) for key in keys]
        cells += [_cell(row["over_physics"], 2), _cell(row["over_sb3"], 1)]
        cells.append(_cell(row["memory_mib"], 0))
        lines.append(
            f"{row['env']:>26}{row['algorithm']:>7}{name:>12}"
            + "".join(f"{cell:>10}" for cell in cells)
        )
    return "\n".join(lines)


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m repro.bench.speed", description=__doc__)
    parser.add_argument("--env", default="half_cheetah", help="tasks of conf/env, with commas")
    parser.add_argument("--algorithm", default="ppo", help="of ppo,a2c,trpo, with commas")
    parser.add_argument("--population", default="1,33", help="sizes of packs, such as 1,33")
    parser.add_argument("--baselines", default="physics,sb3", help="of physics,sb3; or none")
    parser.add_argument("--rounds", type=int, default=5, help="measured iterations of each")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    parser.add_argument("overrides", nargs="*", help="further configuration, such as recipe=sb3")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    options = parser.parse_args(given)
    try:
        populations = [int(p) for p in options.population.split(",")]
        if min(*populations, options.rounds, 1) < 1:
            raise ValueError
    except ValueError:
        parser.error("--population takes sizes such as 1,33 and --rounds a number, all above 0")
    baselines = [] if options.baselines == "none" else options.baselines.split(",")
    if not set(baselines) <= set(BASELINES):
        parser.error("--baselines takes physics, sb3, both with a comma, or none")
    algorithms = options.algorithm.split(",")
    if not set(algorithms) <= set(COMPARED):
        parser.error(f"--algorithm takes {', '.join(COMPARED)}, several with commas")
    rows: list[Row] = []
    try:
        further = (options.rounds, options.overrides, baselines)
        for algorithm in algorithms:
            for env in options.env.split(","):
                rows += measure(env, populations, *further, algorithm)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT
    print("Microseconds per environment step, one core, one thread; "
          f"medians of {options.rounds} rounds")  # fmt: skip
    print(table(rows))
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        about = {
            "command": "python -m repro.bench.speed " + " ".join(given),
            "rounds": options.rounds,
        }
        about |= {"overrides": options.overrides, "unit": "microseconds per environment step"}
        store.write_json(options.out, about | provenance.machine() | {"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
