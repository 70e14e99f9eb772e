"""How long whole commands take: one run from the shell to its end, and a sweep by its workers.

    python -m repro.bench.scaling --workers 1,2 --rounds 3 --out scaling.json

Every round runs each command once, in fresh directories, so that drift of the machine touches all
of them; a first, unmeasured start warms the file caches and compiles the kernels. The sweep is a
slice of Table 1 unless told otherwise. Its runs must end with the same bits whoever trained them,
or there is no result.
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

from repro.errors import EXIT_BAD_INPUT, ConfigError
from repro.runs import provenance, store

SINGLE = ("env=half_cheetah", "total_timesteps=2048")  # one iteration: all that comes first, and it
SWEEP = ("+experiment=table1", "total_timesteps=20480")
Measured = dict[str, Any]


def measure(workers: Sequence[int], rounds: int, sweep: Sequence[str] = SWEEP) -> Measured:
    """Seconds of wall time of each command in each round, and what they say.

    Returns:
        `start_up_s`, median and list of one run's seconds; `sweep`: by number of workers, the
        median, the list, and `speedup`, the median over rounds of the first number's time over
        this one's; `runs` and `steps` of the sweep.

    Raises:
        ConfigError: a command that fails, or runs whose bits depend on the workers.
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
        raise ConfigError("the sweep's runs differ with the number of workers: report this.")
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
    """A command that has ended well: how long it took, and what its runs came to."""

    def __init__(self, seconds: float, runs_dir: Path) -> None:
        self.seconds = seconds
        runs = [store.read_run(directory) for directory in store.run_directories(runs_dir)]
        self.digests = {run["run_id"]: run["digest"] for run in runs}
        tables = [
            store.read_table(path / "progress.parquet") for path in store.run_directories(runs_dir)
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
    """For people."""
    lines = [f"One run of one iteration, from the shell to its end: {result['start_up_s']:.1f} s"]
    lines.append(f"A sweep of {result['runs']} runs, {result['steps']:,} steps:")
    for row in result["sweep"]:
        lines.append(
            f"  {row['workers']} at a time: {row['seconds']:.1f} s, "
            f"{row['speedup']:.2f} times as fast"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m repro.bench.scaling", description=__doc__)
    parser.add_argument("--workers", default="1,2", help="numbers of workers, with commas")
    parser.add_argument("--rounds", type=int, default=3, help="how often each command is run")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    parser.add_argument("sweep", nargs="*", help=f"what is swept, by default {' '.join(SWEEP)}")
    options = parser.parse_args(given)
    try:
        workers = [int(count) for count in options.workers.split(",")]
        if min(*workers, options.rounds, 1) < 1:
            raise ValueError
    except ValueError:
        parser.error("--workers takes numbers such as 1,2 and --rounds a number, all above 0")
    try:
        result = measure(workers, options.rounds, options.sweep or SWEEP)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT
    print(text(result))
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        about = {"command": "python -m repro.bench.scaling " + " ".join(given)}
        about["swept"] = " ".join(options.sweep or SWEEP)
        store.write_json(options.out, about | provenance.machine() | result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
