"""Wall time of whole commands: one run from the shell to its end, and a sweep.

    python -m repro.bench scaling --workers 1,2 --rounds 3 --out scaling.json

Every round runs each command once, in fresh directories, so that a drift of
the machine's speed affects all of them; a first, unmeasured run warms the file
caches and compiles the kernels. The sweep is a slice of Table 1 by default.
Its runs must have the same bits for every number of workers; otherwise there
is no result.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repro.bench.rows import save
from repro.cli import Parser, at_least
from repro.errors import ConfigError
from repro.runs import store

SINGLE = ("env=half_cheetah", "total_timesteps=2048")  # one iteration, and everything before it
SWEEP = ("+experiment=table1", "total_timesteps=20480")
Measured = dict[str, Any]


def measure(workers: Sequence[int], rounds: int, sweep: Sequence[str] = SWEEP) -> Measured:
    """Measure the seconds of wall time of each command in each round.

    Args:
        workers: numbers of workers to compare; the first is the reference.
        rounds: how often each command is run.
        sweep: its overrides.

    Returns:
        `start_up_s` and `start_up_all_s`: median and list of one run's seconds; `runs` and `steps`
        of the sweep; `sweep`: for each number of workers the median, the list, and `speedup`, the
        median over rounds of the reference's time over this one's.

    Raises:
        ConfigError: a command fails, or the runs' bits depend on the workers.
    """
    _command(*SINGLE)
    single: list[float] = []
    sweeps: dict[int, list[float]] = {count: [] for count in workers}
    digests: list[dict[str, Any]] = []
    steps = 0
    for _ in range(rounds):
        single.append(_command(*SINGLE).seconds)
        for count, times in sweeps.items():
            done = _command("-m", *sweep, f"hydra.launcher.workers={count}")
            times.append(done.seconds)
            digests.append(done.digests)
            steps = done.steps
    if any(other != digests[0] for other in digests):
        raise ConfigError("the sweep's runs differ with the number of workers: please report it.")
    first = sweeps[workers[0]]
    return {
        "start_up_s": statistics.median(single),
        "start_up_all_s": single,
        "runs": len(digests[0]),
        "steps": steps,
        "sweep": [
            {
                "workers": count,
                "seconds": statistics.median(times),
                "all_seconds": times,
                "speedup": statistics.median(a / b for a, b in zip(first, times, strict=True)),
            }
            for count, times in sweeps.items()
        ],
    }


class _Done:
    """A command that has succeeded: its seconds, and its runs' digests and steps."""

    def __init__(self, seconds: float, runs_dir: Path) -> None:
        self.seconds = seconds
        runs = [store.read_run(directory) for directory in store.run_directories(runs_dir)]
        self.digests = {run["run_id"]: run["digest"] for run in runs}
        tables = [
            store.read_run_table(path, "progress") for path in store.run_directories(runs_dir)
        ]
        self.steps = sum(int(table["step"].iloc[-1]) for table in tables)


def _command(*arguments: str) -> _Done:
    with tempfile.TemporaryDirectory() as folder:
        runs_dir = Path(folder) / "runs"
        command = [sys.executable, "-m", "repro", *arguments, f"runs_dir={runs_dir}"]
        start = time.perf_counter()
        done = subprocess.run([*command, "progress=false"], capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            raise ConfigError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
        return _Done(seconds, runs_dir)


def text(result: Measured) -> str:
    """The result as lines of text."""
    lines = [f"One run of one iteration, from the shell to its end: {result['start_up_s']:.1f} s"]
    lines.append(f"A sweep of {result['runs']} runs, {result['steps']:,} steps:")
    for row in result["sweep"]:
        lines.append(
            f"  {row['workers']} at a time: {row['seconds']:.1f} s, "
            f"{row['speedup']:.2f} times as fast"
        )
    return "\n".join(lines)


def run(arguments: Sequence[str]) -> None:
    """The command.

    Raises:
        ConfigError: a wrong option, or what `measure` refuses.
    """
    parser = Parser(
        prog="python -m repro.bench scaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", default="1,2", help="numbers of workers, with commas")
    parser.add_argument("--rounds", type=at_least(1), default=3, help="measurements of each")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    parser.add_argument("sweep", nargs="*", help=f"the sweep, by default {' '.join(SWEEP)}")
    options = parser.parse_args(arguments)
    try:
        workers = [at_least(1)(count) for count in options.workers.split(",")]
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument --workers: {error}, such as 1,2")
    sweep = options.sweep or SWEEP
    result = measure(workers, options.rounds, sweep)
    print(text(result))
    if options.out is not None:
        save(options.out, "scaling", arguments, {"swept": " ".join(sweep)} | result)
