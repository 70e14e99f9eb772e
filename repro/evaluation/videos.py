"""Videos of a finished run's policy: the episodes that an evaluation with the same seed plays.

Tasks with flat observations are played in Gymnasium's own environment, which can draw itself; Atari
games in this project's environment, whose emulator has every frame in color.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from repro import envs
from repro.envs import user_code
from repro.evaluation import film
from repro.evaluation.episodes import MAX_STEPS, PlayedEpisodes, play, play_single
from repro.evaluation.policies import load_policy, one_thread
from repro.runs.finished import FinishedRun

ATARI_SCALE = 2  # of a game's 160 x 210 pixels


class Options(NamedTuple):
    """What a video shows.

    Attributes:
        episodes: E.
        seed: of the evaluation.
        deterministic: the most likely actions instead of sampled ones.
        width: in pixels; None for the task's default.
        height: likewise.
        max_steps: where an episode is cut off, which is said once.
        fps: images a second, at most; games of Atari have all of theirs.
    """

    episodes: int = 1
    seed: int = 0
    deterministic: bool = False
    width: int | None = None
    height: int | None = None
    max_steps: int = MAX_STEPS
    fps: int = film.MAX_FPS


def write_video(run: FinishedRun, path: Path, options: Options) -> PlayedEpisodes:
    """Play episodes 1 to E, and write a film of them.

    Args:
        run: the run to show.
        path: has passed `film.check_output`.
        options: what to show.

    Raises:
        ConfigError: the task is not available here or cannot be drawn.
        CorruptError: the run's files are damaged or were changed.
        StorageError: the video cannot be written.
    """
    with one_thread():
        if run.config.env.atari is None:
            return _film_task(run, path, options)
        return _film_game(run, path, options)


def _film_task(run: FinishedRun, path: Path, options: Options) -> PlayedEpisodes:
    task = run.config.env.id
    env = film.make_env(task, options.width, options.height, run.config.env.task_arguments)
    with user_code.naming(task, "reading its metadata"):
        rate = film.frame_rate(env, options.fps)

    def on_step(step: int) -> None:
        if step % rate.every == 0:
            video.add(film.render(env))

    try:
        policy = load_policy(run)
        played = (options.episodes, options.seed, options.deterministic)
        with film.Film(path, rate.fps) as video:
            return play_single(policy, env, *played, on_step, options.max_steps)
    finally:
        user_code.close(env, task)


def _film_game(run: FinishedRun, path: Path, options: Options) -> PlayedEpisodes:
    """Every frame is shown: many games draw moving objects on every other frame only."""
    from repro.envs.atari.game import FRAMES_PER_SECOND
    from repro.envs.atari.vector import AtariVectorEnv

    task = run.config.env
    policy = load_policy(run)
    env = envs.make(task.id, task.backend, 1, task.switches)
    assert isinstance(env, AtariVectorEnv)

    def on_frame(screen: film.Image) -> None:
        height, width = (ATARI_SCALE * pixels for pixels in screen.shape[:2])
        video.add(film.resize(screen, options.width or width, options.height or height))

    try:
        with film.Film(path, FRAMES_PER_SECOND) as video:
            env.show(on_frame)
            return play(policy, env, options.episodes, options.seed, options.deterministic)
    finally:
        env.close()
