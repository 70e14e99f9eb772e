"""`python -m repro.watch RUN_DIR`: a video of a finished run's policy.

It shows episodes 1, 2, ... of `python -m repro.evaluate` with the same seed: same starts, same
noise. They are played in Gymnasium's own environment, which can draw itself; games of Atari in
ours, whose emulator has every frame in color.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np

from repro import envs
from repro.cli import Parser, at_least, finish
from repro.console import say
from repro.evaluation import film as filming
from repro.runs.finished import FinishedRun, open_run

if TYPE_CHECKING:
    from repro.evaluation.policies import Policy

LARGEST = 4097  # pixels, exclusive
ENLARGED = 2  # pictures of a game's 160 x 210 pixels
HELP = """\
Write an mp4 of whole episodes of a finished run: those that python -m repro.evaluate plays with
the same seed. MuJoCo draws off-screen by EGL or OSMesa, the first that works, or as MUJOCO_GL says.
Of Atari it shows whole games, each frame as it was on the screen.
"""


class Watched(NamedTuple):
    """One episode of the video."""

    total: float
    length: int


def main() -> None:
    """The command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code."""
    return finish(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> None:
    parser = Parser(prog="python -m repro.watch", description=HELP)
    parser.add_argument("directory", metavar="RUN_DIR", type=Path)
    parser.add_argument("--out", type=Path, metavar="FILE.mp4", help="default RUN_DIR/video.mp4")
    parser.add_argument("--episodes", type=at_least(1), default=1, help="default 1")
    parser.add_argument("--seed", type=at_least(0), default=0, help="default 0")
    parser.add_argument("--deterministic", action="store_true", help="actions without noise")
    parser.add_argument("--width", type=at_least(16, LARGEST), help="pixels; default the task's")
    parser.add_argument("--height", type=at_least(16, LARGEST), help="likewise")
    options = parser.parse_args(arguments)
    finished = open_run(options.directory)
    out = options.out or options.directory / "video.mp4"
    filming.check_out(out)
    film = _film_task if finished.config.env.atari is None else _film_games
    episodes = film(finished, out, options)
    for number, episode in enumerate(episodes, 1):
        say(f"episode {number}: return {episode.total:,.2f} in {episode.length} steps")
    say(f"done: {out}")


def _film_task(run: FinishedRun, out: Path, options: argparse.Namespace) -> list[Watched]:
    env = filming.make(run.config.env.id, options.width, options.height)
    pace = filming.pace(env)

    def look(step: int) -> None:
        if step % pace.every == 0:
            film.add(filming.picture(env))

    try:
        with filming.Film(out, pace.fps) as film:
            settings = options.episodes, options.seed, options.deterministic
            return watch(run, env, *settings, look)
    finally:
        env.close()


def _film_games(run: FinishedRun, out: Path, options: argparse.Namespace) -> list[Watched]:
    """Every frame: many games draw what moves on every other one only."""
    import torch

    from repro.envs.atari.game import FRAMES_PER_SECOND
    from repro.envs.atari.vector import AtariVectorEnv
    from repro.evaluation import episodes as trials
    from repro.evaluation import policies

    torch.set_num_threads(1)
    task = run.config.env
    vector = envs.make(task.id, task.backend, 1, task.atari)
    assert isinstance(vector, AtariVectorEnv)

    def look(screen: filming.Picture) -> None:
        height, width = (ENLARGED * pixels for pixels in screen.shape[:2])
        film.add(filming.scaled(screen, options.width or width, options.height or height))

    try:
        policy = policies.policy_of(run, vector)
        with filming.Film(out, FRAMES_PER_SECOND) as film:
            vector.show(look)
            settings = options.episodes, options.seed, options.deterministic
            played = trials.play(policy, vector, *settings)
    finally:
        vector.close()
    return [Watched(float(total), int(length)) for total, length in zip(*played, strict=True)]


def watch(
    run: FinishedRun,
    env: gymnasium.Env[Any, Any],
    episodes: int,
    seed: int,
    deterministic: bool,
    look: Callable[[int], None],
) -> list[Watched]:
    """Play episodes 1 to E of a seed in one environment.

    Args:
        run: whose policy.
        env: its task.
        episodes: E.
        seed: as that of an evaluation.
        deterministic: the likeliest action each time.
        look: called with 0 at each start, and after each step with its number in the episode.
    """
    import torch  # only now: what is refused is refused in a moment

    from repro.evaluation import policies

    torch.set_num_threads(1)
    task = run.config.env
    vector = envs.make(task.id, task.backend, 1)  # whose spaces the policy was made for
    try:
        policy = policies.policy_of(run, vector)
    finally:
        vector.close()
    return [_episode(policy, env, seed, k, deterministic, look) for k in range(1, episodes + 1)]


def _episode(
    policy: Policy,
    env: gymnasium.Env[Any, Any],
    seed: int,
    number: int,
    deterministic: bool,
    look: Callable[[int], None],
) -> Watched:
    from repro.evaluation import episodes as trials

    start = trials.start(seed, number)
    noise = None if deterministic else [start.noise]
    observation, _ = env.reset(seed=start.env_seed)
    look(0)
    total, length, over = 0.0, 0, False
    while not over:
        (action,) = policy.act(np.asarray(observation, np.float64)[None], noise)
        observation, reward, terminated, truncated, _ = env.step(action)
        total, length = total + float(reward), length + 1
        look(length)
        over = terminated or truncated
    return Watched(total, length)


if __name__ == "__main__":
    main()
