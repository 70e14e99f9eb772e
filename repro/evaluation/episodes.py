"""Whole episodes of a policy that no longer changes.

Episode k of seed s starts from a state and takes action noise of its own, both drawn from (s, k).
So a set of episodes depends on the seed and their number, and not on how many run at once; and
different runs meet the same starts. All episodes that are begun are counted, and which they are is
settled before: taking the first to end would favor short ones.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from repro.envs.vector import FloatArray, VectorEnv
from repro.errors import NumericalError
from repro.evaluation.policies import Policy

_PURPOSE = zlib.crc32(b"evaluation")  # no stream of a training run begins with this word


class Start(NamedTuple):
    """What an episode begins with.

    Attributes:
        env_seed: for the task's `reset`.
        noise: of its actions.
    """

    env_seed: int
    noise: np.random.Generator


class Trials(NamedTuple):
    """Undiscounted returns and lengths of episodes 1, 2, ..., [E] each; of Atari, whole games'."""

    returns: FloatArray
    lengths: NDArray[np.int64]


def start(seed: int, episode: int) -> Start:
    """Of an episode of a seed; episodes count from 1."""
    env, noise = np.random.SeedSequence((_PURPOSE, seed), spawn_key=(episode,)).spawn(2)
    return Start(int(env.generate_state(1)[0]), np.random.default_rng(noise))


def play(
    policy: Policy, envs: VectorEnv, episodes: int, seed: int, deterministic: bool = False
) -> Trials:
    """Play episodes 1 to E: environment i of N those numbered 1 + i, 1 + i + N, and so on.

    Args:
        policy: what acts.
        envs: N of them, at most E.
        episodes: E.
        seed: of them all.
        deterministic: the likeliest actions instead of drawn ones.

    Raises:
        NumericalError: the task returned a value that is not finite.
    """
    n = envs.num_envs
    under_way = np.arange(1, n + 1)  # its number, environment by environment
    starts = [start(seed, int(number)) for number in under_way]
    envs.reset(seed=[each.env_seed for each in starts])
    trials = Trials(np.zeros(episodes), np.zeros(episodes, np.int64))
    while (running := under_way <= episodes).any():
        noise = None if deterministic else [each.noise for each in starts]
        _, rewards, terminated, truncated, infos = envs.step(policy.act(envs.observations, noise))
        rows = under_way[running] - 1
        trials.returns[rows] += rewards[running]
        trials.lengths[rows] += 1
        _check_finite(rewards, envs.observations, under_way, running)
        over = terminated | truncated
        if envs.keeps_scores:  # its episodes are games, its returns their scores
            over = infos.get("_episode", np.zeros(n, np.bool_))
        for i in np.flatnonzero(running & over):
            if envs.keeps_scores:
                trials.returns[under_way[i] - 1] = infos["episode"]["r"][i]
                trials.lengths[under_way[i] - 1] = infos["episode"]["l"][i]
            under_way[i] += n
            if under_way[i] <= episodes:
                starts[i] = start(seed, int(under_way[i]))
                envs.restart(slice(i, i + 1), [starts[i].env_seed])
    return trials


def _check_finite(
    rewards: FloatArray, observations: NDArray[Any], under_way: NDArray[Any], running: NDArray[Any]
) -> None:
    flat = observations.reshape(len(observations), -1)
    broken = running & ~(np.isfinite(rewards) & np.isfinite(flat).all(1))
    if broken.any():
        number = under_way[broken].min()
        raise NumericalError(f"episode {number}: the task returned a value that is not finite.")
