"""Speed on a GPU, beside this machine's processor and Stable-Baselines3 on both.

    python -m repro.bench gpu --minutes 15 --out results/speed/gpu

What matters most is measured first, each in a process of its own and in a file
of its own, so that all that is done when the time is over is kept. Packs have a
horizon of 1024 steps. The files are those of `python -m repro.bench speed` and
`atari`, and `python -m analysis gpu` makes a table and a figure of them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from repro.cli import Parser, at_least
from repro.console import say
from repro.errors import ConfigError
from repro.training.devices import gpus

PACKS = "speed --env half_cheetah algorithm.horizon=1024"
# In the order of their importance; each on the GPU and on the processor.
PLAN = {
    "pack-33": f"{PACKS} --baselines none --population 33 --rounds 3",
    "pack-1": f"{PACKS} --baselines sb3 --population 1 --rounds 3",
    "atari-nature": "atari --game breakout --policy cnn_nature --baselines sb3 --rounds 3",
    "pack-256": f"{PACKS} --baselines none --population 256 --rounds 2",
    "atari-a3c": "atari --game breakout --policy cnn_a3c --baselines sb3 --rounds 3",
    "humanoid": "speed --env humanoid --baselines none --population 1,33 --rounds 2 "
    "policy=mlp_zoo env.num_envs=1 algorithm.horizon=1024 algorithm.minibatch_size=1024",
    "pack-1024": f"{PACKS} --baselines none --population 1024 --rounds 1",
}


class Measurement(NamedTuple):
    """One of the plan's on one device: where its file goes, and the benchmark's arguments."""

    path: Path
    arguments: list[str]


def measurements(out: Path, devices: Sequence[str], chosen: Sequence[str]) -> list[Measurement]:
    """In their order: each of `chosen` on all devices before the next."""
    found = []
    for name in [name for name in PLAN if name in chosen]:
        words = PLAN[name].split()
        options = [word for word in words if "=" not in word]
        overrides = [word for word in words if "=" in word]
        for device in devices:
            path = out / f"{name}-{device.replace(':', '')}.json"
            arguments = [*options, "--out", str(path), *overrides, f"device={device}"]
            found.append(Measurement(path, arguments))
    return found


def measure(plan: Sequence[Measurement], minutes: float) -> Iterator[tuple[Measurement, str]]:
    """Each measurement, with why it failed, or an empty text; none starts after the end."""
    end = time.monotonic() + 60 * minutes
    for each in plan:
        left = end - time.monotonic()
        yield each, "the time was over" if left <= 0 else _run(each.arguments, left)


def _run(arguments: Sequence[str], seconds: float) -> str:
    command = [sys.executable, "-m", "repro.bench", *arguments]
    try:
        done = subprocess.run(command, timeout=seconds, capture_output=True, text=True, check=False)
    except subprocess.TimeoutExpired:
        return "the time was over"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return ""


def run(arguments: Sequence[str]) -> None:
    """The command.

    Raises:
        ConfigError: no GPU, a wrong option, or nothing could be measured.
    """
    parser = Parser(
        prog="python -m repro.bench gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="only whether there is a GPU")
    parser.add_argument("--devices", default="cuda,cpu", help="to measure on, with commas")
    parser.add_argument("--only", default=",".join(PLAN), help=f"of {', '.join(PLAN)}, with commas")
    parser.add_argument("--minutes", type=at_least(1), default=15, help="for all of it")
    parser.add_argument("--out", type=Path, default=Path("results/speed/gpu"), help="a directory")
    options = parser.parse_args(arguments)
    devices, chosen = options.devices.split(","), options.only.split(",")
    if unknown := set(chosen) - set(PLAN):
        parser.error(f"--only {','.join(sorted(unknown))}: it takes {', '.join(PLAN)}")
    for device in devices:
        gpus(device)
    if options.check:
        return
    plan = measurements(options.out, devices, chosen)
    failed = 0
    for each, why in measure(plan, options.minutes):
        say(f"{each.path.stem}: {'not measured: ' + why if why else 'measured'}")
        failed += bool(why)
    if failed == len(plan):
        raise ConfigError("nothing could be measured: the lines above say why.")
