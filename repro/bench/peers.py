"""Whole programs side by side: this project, and what others use for the same tasks.

    make peers                                       # their environment, .venv-peers
    python -m repro.bench peers --env half_cheetah,hopper --cores 1,2 --out peers.json
    python -m repro.bench peers --cleanrl DIR ...    # CleanRL, from a checkout
    python -m repro.bench peers --env Acrobot-v1 --envs 1,8 --peers ours_step,dummy_vec_env

A program is a process that has a core of its own. Programs take turns: all but one are stopped
(SIGSTOP), and one runs a few iterations, whose wall time counts. So a drift of the machine's speed
affects all of them. With `--cores 2` two copies of a program run at once, each on a core.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import selectors
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from repro.bench import programs
from repro.bench.rows import Row, save
from repro.cli import Parser, at_least
from repro.config.compose import compose
from repro.config.names import check_choice
from repro.errors import ConfigError

PYTHON = Path(".venv-peers/bin/python")
CLEANRL_PYTHON = Path(".venv-cleanrl/bin/python")
FOLDER = Path(programs.__file__).parent
ENVS, STEPS = 32, 3200  # of a simulation; its programs divide the steps among the environments
WARM_UP = 2  # iterations of a program that are not measured: its compilations
MARK = b"SPS:"  # how the line begins that ends an iteration


@dataclass(frozen=True)
class Peer:
    """A program.

    Attributes:
        what: training or simulation.
        command: in which {own}, {peers}, {cleanrl_python}, {folder}, {cleanrl}, {task}, {id} and
            {envs} are replaced.
        steps: of the environment, in an iteration; of all of a simulation's together.
    """

    what: str
    command: str
    steps: int


_SIMULATORS = "{peers} {folder}/simulators.py"
PEERS = {
    "ours": Peer("training", "{own} -m repro.bench.programs.ours train {task} 1", 2048),
    "ours_33": Peer("training", "{own} -m repro.bench.programs.ours train {task} 33", 33 * 2048),
    "sb3": Peer("training", "{peers} {folder}/stable_baselines.py sb3 {id}", 2048),
    "sbx": Peer("training", "{peers} {folder}/stable_baselines.py sbx {id}", 2048),
    "cleanrl": Peer(
        "training",
        "{cleanrl_python} {cleanrl}/cleanrl/ppo_continuous_action.py --env-id {id} --no-cuda "
        "--total-timesteps 1000000000",
        2048,
    ),
    "ours_step": Peer("simulation", "{own} -m repro.bench.programs.ours step {task} {envs}", STEPS),
    "envpool": Peer("simulation", f"{_SIMULATORS} envpool {{id}} {{envs}}", STEPS),
    "gymnasium": Peer("simulation", f"{_SIMULATORS} gymnasium {{id}} {{envs}}", STEPS),
    "dummy_vec_env": Peer("simulation", f"{_SIMULATORS} dummy_vec_env {{id}} {{envs}}", STEPS),
}
BASELINES = {"training": "sb3", "simulation": "dummy_vec_env"}  # what others are compared with


@dataclass
class Program:
    """A running program, stopped except in its turns.

    Attributes:
        name: of PEERS.
        process: it.
        log: what it complains.
        ends: when each iteration of the turn ended, by `time.perf_counter`.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    ends: list[float] = field(default_factory=list)
    _text: bytes = b""

    def read(self) -> None:
        """Take what it has printed.

        Raises:
            ConfigError: it has ended.
        """
        assert self.process.stdout is not None
        text = os.read(self.process.stdout.fileno(), 1 << 16)
        now = time.perf_counter()
        if not text:
            said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = said[-1] if said else "it said nothing"
            raise ConfigError(f"{self.name} ended instead of running on ({last}).")
        *lines, self._text = (self._text + text).split(b"\n")
        self.ends += [now for line in lines if line.startswith(MARK)]

    def turn(self, begin: bool) -> None:
        """Let it run, or stop it; what it printed while it was being stopped does not count."""
        self.process.send_signal(signal.SIGCONT if begin else signal.SIGSTOP)
        with selectors.DefaultSelector() as selector:
            assert self.process.stdout is not None
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not begin and selector.select(0):
                self.read()
        self.ends.clear()


def take_turn(copies: Sequence[Program], iterations: int) -> float:
    """Iterations a second of all copies together, while all of them run.

    Args:
        copies: of one program, each on a core of its own.
        iterations: that each runs at least, after the one in which it was stopped.
    """
    with selectors.DefaultSelector() as selector:
        for copy in copies:
            copy.turn(begin=True)
            assert copy.process.stdout is not None
            selector.register(copy.process.stdout, selectors.EVENT_READ, copy)
        while any(len(copy.ends) <= iterations for copy in copies):
            for key, _ in selector.select():
                key.data.read()
        rates = [(len(copy.ends) - 1) / (copy.ends[-1] - copy.ends[0]) for copy in copies]
    for copy in copies:
        copy.turn(begin=False)
    return sum(rates)


@contextlib.contextmanager
def running(names: Sequence[str], values: Mapping[str, str], cores: int) -> Iterator[
    dict[str, list[Program]]
]:  # fmt: skip
    """The programs, each as many times as there are cores; ended afterwards.

    Raises:
        ConfigError: one is not installed.
    """
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment |= {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(Path(programs.__file__).parents[3])}
    started: dict[str, list[Program]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name in names:
                words = [word.format_map(values) for word in shlex.split(PEERS[name].command)]
                for number, core in enumerate(allowed):
                    log = Path(folder, f"{name}.{number}")
                    with log.open("wb") as errors:
                        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors,
                                                   cwd=folder, env=environment)  # fmt: skip
                    os.sched_setaffinity(process.pid, {core})
                    started[name].append(Program(name, process, log))
                take_turn(started[name], WARM_UP)
            yield started
        except FileNotFoundError as error:
            raise ConfigError(f"{name} needs {error.filename}: make peers installs it.") from error
        finally:
            for program in (program for copies in started.values() for program in copies):
                program.process.kill()
                program.process.communicate()


def measure(
    task: Sequence[str],
    names: Sequence[str],
    cores: int,
    rounds: int,
    iterations: int,
    values: Mapping[str, str],
    envs: int = ENVS,
) -> list[Row]:
    """Measure one task.

    Args:
        task: its overrides.
        names: of PEERS.
        cores: copies of each program, and cores.
        rounds: turns of each program.
        iterations: in a turn.
        values: of the places in the commands.
        envs: environments of a simulation.

    Returns:
        A row for each program: `env`, `contender`, `what`, `cores`, `envs` (None in training),
        `steps_per_second` (median over rounds of all copies together), `low`, `high`, and
        `over_baseline`, the median of the rounds' ratios to SB3 (training) or its DummyVecEnv
        (simulation).

    Raises:
        ConfigError: a program is not installed, or ends.
    """
    env = compose(*task).env
    values = {**values, "task": " ".join(task), "id": env.id, "envs": str(envs)}
    rates: dict[str, list[float]] = {name: [] for name in names}
    simulated = {name: envs if PEERS[name].what == "simulation" else None for name in names}
    steps = {name: PEERS[name].steps - PEERS[name].steps % (simulated[name] or 1) for name in names}
    with running(names, values, cores) as started:
        for _ in range(rounds):
            for name, copies in started.items():
                rates[name].append(take_turn(copies, iterations) * steps[name])
    return [
        {
            "env": env.name if env.name != "gymnasium" else env.id,
            "contender": name,
            "what": PEERS[name].what,
            "cores": cores,
            "envs": simulated[name],
            "steps_per_second": statistics.median(rates[name]),
            "low": min(rates[name]),
            "high": max(rates[name]),
            "over_baseline": _over(rates[name], rates.get(BASELINES[PEERS[name].what])),
        }
        for name in names
    ]


def _over(rates: Sequence[float], others: Sequence[float] | None) -> float | None:
    if others is None:
        return None
    return statistics.median(one / other for one, other in zip(rates, others, strict=True))


def table(rows: Sequence[Row]) -> str:
    """Rows as lines of text."""
    lines = [
        f"{'':>22}{'':>15}{'cores':>6}{'envs':>5}{'steps/s':>10}{'low':>10}{'high':>10}{'ratio':>7}"
    ]
    for row in rows:
        ratio = row["over_baseline"]
        lines.append(
            f"{row['env']:>22}{row['contender']:>15}{row['cores']:>6}{row['envs'] or '':>5}"
            + "".join(f"{row[key]:>10.0f}" for key in ("steps_per_second", "low", "high"))
            + ("" if ratio is None else f"{ratio:>7.2f}")
        )
    return "\n".join(lines)


def _counts(text: str) -> list[int]:
    return [at_least(1, STEPS + 1)(each) for each in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m repro.bench peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--env", default="half_cheetah",
        help="options of conf/env, or ids that Gymnasium knows, with commas",
    )  # fmt: skip
    parser.add_argument("--peers", help=f"of {','.join(PEERS)}; all that there are if left out")
    parser.add_argument("--cores", type=_counts, default=[1], help="1, 2, or both with a comma")
    parser.add_argument(
        "--envs", type=_counts, default=[ENVS],
        help="environments of a simulation; several with commas",
    )  # fmt: skip
    parser.add_argument("--rounds", type=at_least(1), default=5, help="turns of each program")
    parser.add_argument("--iterations", type=at_least(1), default=3, help="in a turn")
    parser.add_argument("--python", type=Path, default=PYTHON, help="of the peers' environment")
    parser.add_argument("--cleanrl", type=Path, help="a checkout of CleanRL")
    parser.add_argument(
        "--cleanrl-python", type=Path, default=CLEANRL_PYTHON, help="of CleanRL's environment"
    )
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    return parser


def run(arguments: Sequence[str]) -> None:
    """The command.

    Raises:
        ConfigError: a wrong option, a program that is not installed, or one that ends.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise ConfigError("python -m repro.bench peers gives programs a core: it needs Linux.")
    options = _parser().parse_args(arguments)
    names = options.peers.split(",") if options.peers else [*PEERS]
    if not options.peers and options.cleanrl is None:
        names.remove("cleanrl")
    for name in names:
        check_choice("--peers", name, tuple(PEERS))
    values = {
        "own": sys.executable,
        # not resolved: a link in an environment is what makes it one
        "peers": str(options.python.absolute()),
        "cleanrl_python": str(options.cleanrl_python.absolute()),
        "cleanrl": str((options.cleanrl or Path()).absolute()),
        "folder": str(FOLDER),
    }
    rows = [
        row
        for cores in options.cores
        for env in options.env.split(",")
        for number, envs in enumerate(options.envs)
        for row in measure(
            _task(env),
            [name for name in names if number == 0 or PEERS[name].what == "simulation"],
            *(cores, options.rounds, options.iterations, values, envs),
        )
    ]
    print(f"Environment steps a second, medians of {options.rounds} rounds")
    print(table(rows))
    if options.out is not None:
        save(options.out, "peers", arguments, {"rounds": options.rounds, "rows": rows})


def _task(env: str) -> list[str]:
    return [f"env={env}"] if "-v" not in env else ["env=gymnasium", f"env.id={env}"]
