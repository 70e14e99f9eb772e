"""Plays whole episodes with a policy that no longer changes.

The start state and the action noise of episode k under seed s are drawn from (s, k). So a set of
episodes depends on the seed and their number, not on how many environments run at once, and
different runs meet the same starts. The episodes are chosen before any is played: taking those
that end first would favor short ones.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from repro.console import say
from repro.envs.randomness import Randomness
from repro.envs.user_code import naming
from repro.envs.vector import FloatArray, VectorEnv
from repro.errors import NumericalError
from repro.evaluation.policies import Policy
from repro.rollouts.diagnosis import FLOAT32_MAX, first_bad_value, usable

MAX_STEPS = 50_000  # of an episode; the longest game of Atari has 27,000
_PURPOSE = zlib.crc32(b"evaluation")  # differs from the first word of every training stream


class Start(NamedTuple):
    """The randomness of one episode.

    Attributes:
        env_seed: for the task's `reset`.
        generator: of the action noise.
    """

    env_seed: int
    generator: np.random.Generator


class PlayedEpisodes(NamedTuple):
    """Undiscounted returns and lengths of episodes 1, 2, ..., [E] each; on Atari of whole games.

    `measures` has what the task measures besides (`infos["measures"]`), by name, [E] each.
    """

    returns: FloatArray
    lengths: NDArray[np.int64]
    measures: dict[str, FloatArray]

    def measure(self, number: int, row: int, infos: Mapping[str, Any]) -> None:
        """Keep the measures of episode `number` that ended in row `row` of the environments."""
        for name, values in infos.get("measures", {}).items():
            column = self.measures.setdefault(name, np.full(len(self.returns), np.nan))
            column[number - 1] = values[row]


def unplayed(episodes: int) -> PlayedEpisodes:
    """E episodes of which nothing is known yet."""
    return PlayedEpisodes(np.zeros(episodes), np.zeros(episodes, np.int64), {})


def start(seed: int, episode: int) -> Start:
    """The randomness of an episode.

    Args:
        seed: of the evaluation.
        episode: from 1.
    """
    env, noise = np.random.SeedSequence((_PURPOSE, seed), spawn_key=(episode,)).spawn(2)
    return Start(int(env.generate_state(1)[0]), np.random.default_rng(noise))


def play(
    policy: Policy,
    envs: VectorEnv,
    episodes: int,
    seed: int,
    deterministic: bool = False,
    max_steps: int = MAX_STEPS,
) -> PlayedEpisodes:
    """Play episodes 1 to E: environment i of N plays episodes 1 + i, 1 + i + N, and so on.

    Args:
        policy: chooses the actions.
        envs: N environments, at most E.
        episodes: E.
        seed: of the evaluation.
        deterministic: the most likely actions instead of sampled ones.
        max_steps: where an episode is cut off, which is said once. Games of Atari have an end.

    Raises:
        NumericalError: the task returned a value that is not finite, or too large for float32.
    """
    n = envs.num_envs
    numbers = np.arange(1, n + 1)  # of the episodes under way, by environment
    starts = [start(seed, int(number)) for number in numbers]
    envs.reset(seed=[each.env_seed for each in starts])
    played = unplayed(episodes)
    limit = _Limit(envs.spec.id if envs.spec else "the task", max_steps)
    while (running := numbers <= episodes).any():
        _check(np.zeros(n), envs.observations, policy, numbers, running)
        generators = None if deterministic else [each.generator for each in starts]
        actions = policy.act(envs.observations, generators)
        _, rewards, terminated, truncated, infos = envs.step(actions)
        rows = numbers[running] - 1
        played.returns[rows] += rewards[running]
        played.lengths[rows] += 1
        _check(rewards, envs.observations, policy, numbers, running)
        ended = terminated | truncated
        if envs.keeps_scores:  # an episode is a whole game, and its return the game's score
            ended = infos.get("_episode", np.zeros(n, np.bool_))
        else:
            ended[running] |= limit.reached(numbers[running], played.lengths[rows], ended[running])
        for i in np.flatnonzero(running & ended):
            if envs.keeps_scores:
                played.returns[numbers[i] - 1] = infos["episode"]["r"][i]
                played.lengths[numbers[i] - 1] = infos["episode"]["l"][i]
            played.measure(int(numbers[i]), int(i), infos)
            numbers[i] += n
            if numbers[i] <= episodes:
                starts[i] = start(seed, int(numbers[i]))
                envs.restart(slice(i, i + 1), [starts[i].env_seed])
    return played


def play_single(
    policy: Policy,
    env: gymnasium.Env[Any, Any],
    episodes: int,
    seed: int,
    deterministic: bool = False,
    on_step: Callable[[int], None] = lambda step: None,
    max_steps: int = MAX_STEPS,
) -> PlayedEpisodes:
    """Play episodes 1 to E in one environment of Gymnasium's: the same episodes as `play`.

    Args:
        policy: chooses the actions.
        env: a task with flat observations.
        episodes: E.
        seed: of the evaluation.
        deterministic: the most likely actions instead of sampled ones.
        on_step: called with 0 at each start, and after each step with its number in the episode.
        max_steps: where an episode is cut off, which is said once.

    Raises:
        ConfigError: the task raised.
    """
    name = env.spec.id if env.spec else "the task"
    randomness, limit = Randomness([env]), _Limit(name, max_steps)
    played = unplayed(episodes)
    for k in range(episodes):
        env_seed, generator = start(seed, k + 1)
        generators = None if deterministic else [generator]
        randomness.seed(0, env_seed)
        with naming(name, "its reset"), randomness:
            randomness.enter(0)
            observation, _ = env.reset(seed=env_seed)
            randomness.leave(0)
        on_step(0)
        ended = False
        while not ended:
            (action,) = policy.act(np.asarray(observation, np.float64)[None], generators)
            with naming(name, "its step"), randomness:
                randomness.enter(0)
                observation, reward, terminated, truncated, _ = env.step(action)
                randomness.leave(0)
            played.returns[k] += float(reward)
            played.lengths[k] += 1
            on_step(int(played.lengths[k]))
            ended = terminated or truncated
            cut = limit.reached(np.array([k + 1]), played.lengths[k : k + 1], np.array([ended]))
            ended = ended or bool(cut[0])
    return played


class _Limit:
    """The longest episode of an evaluation."""

    def __init__(self, task: str, steps: int) -> None:
        self._task, self._steps, self._told = task, steps, False

    def reached(
        self, numbers: NDArray[Any], lengths: NDArray[Any], ended: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Which episodes are cut off now, [N]; the first one is reported."""
        cut = np.asarray((lengths >= self._steps) & ~ended)
        if cut.any() and not self._told:
            self._told = True
            say(
                f"{self._task}: episode {numbers[cut].min()} has not ended after {self._steps:,} "
                "steps. It is cut off there, and so are others (--max-steps).",
                sys.stderr,
            )
        return cut


def _check(
    rewards: FloatArray,
    observations: NDArray[Any],
    policy: Policy,
    numbers: NDArray[Any],
    running: NDArray[Any],
) -> None:
    """Raise a NumericalError for what training refuses, too."""
    flat = observations.reshape(len(observations), -1)
    good = usable(rewards, FLOAT32_MAX) & usable(flat, policy.largest).all(1)
    broken = np.flatnonzero(running & ~good)
    if not len(broken):
        return
    i = broken[np.argmin(numbers[broken])]
    values = np.stack([np.zeros_like(flat[i]), flat[i]])[:, None]
    found = first_bad_value(rewards[None, i : i + 1], values[1:, :, :0], values, policy.largest)
    raise NumericalError(
        f"episode {numbers[i]}: the task returned a value that is {found.complaint}: its "
        f"{found.field}."
    )
