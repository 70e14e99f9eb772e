"""Replay of segments: the last K rollouts of T steps, with each observation stored once.

Observations of an actor lie in a ring, one row a step. Segment i is rows i T to i T + T - 1, and
the observation after it is the first row of segment i + 1. An observation is a vector, or a frame:
the stack of S frames at a row is made of the rows before it, as far as the episode reaches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from repro.networks.distributions import Categorical
from repro.rollouts.rollout import Rollout
from repro.runs.appended import Appended, Saved

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Observation:
    """What a row of the ring holds, and how the networks read it.

    Attributes:
        shape: of one row: [D], or [H, W].
        dtype: float64, or uint8.
        stack: S, the rows of an input; 1 for vectors.
        zeros: whether stacks are padded with zeros at the start of an episode, or with copies of
            its first frame.
    """

    shape: tuple[int, ...]
    dtype: type[np.generic]
    stack: int = 1
    zeros: bool = False


@dataclass(frozen=True)
class Segments:
    """T steps of each of P N actors.

    Attributes:
        observations: x_0 to x_T, as environments returned them: [P, (T + 1) N, D], time-major, or
            stacks [P, (T + 1) N, S, H, W].
        actions: int64 [P, T, N].
        rewards: float32 [P, T, N].
        logits: of the policy that acted, float32 [P, T, N, A].
        terminated: [P, T, N] bool.
        truncated: [P, T, N] bool.
    """

    observations: Array
    actions: Array
    rewards: Array
    logits: Array
    terminated: Array
    truncated: Array


class Replay:
    """The last `capacity` segments of P learners, in lockstep.

    Attributes:
        count: segments added so far.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        actions: int,
        capacity: int,
        observation: Observation,
        generators: Sequence[np.random.Generator],
    ) -> None:
        """Reserve the memory; pages are touched as they fill.

        Args:
            shape: (P, T, N).
            actions: A.
            capacity: K, at least 1.
            observation: what environments return.
            generators: of the draws, [P].
        """
        learners, horizon, num_envs = self._shape = shape
        self.capacity, self._kind, self._generators = capacity, observation, generators
        # Segments before the oldest one that its stacks reach into. One more follows the newest: it
        # begins with x_T. What `checkpoint` refers to stays whole until the second `add` after it.
        self._before = -(-(observation.stack - 1) // horizon)
        slots = capacity + self._before + 1
        self._rows = slots * horizon
        self._arrays: dict[str, Array] = {
            name: np.zeros((learners, self._rows, num_envs, *size), dtype)
            for name, size, dtype in (
                ("observations", observation.shape, observation.dtype),
                ("ages", (), np.uint8),  # steps since the episode began, up to S - 1
                ("actions", (), np.int32),
                ("rewards", (), np.float32),
                ("logits", (actions,), np.float32),
                ("terminated", (), np.bool_),
                ("truncated", (), np.bool_),
            )
        }
        self.count = 0
        self._saved: list[list[Saved]] = [[] for _ in range(learners)]

    @property
    def size(self) -> int:
        """Segments that can be drawn."""
        return min(self.count, self.capacity)

    @property
    def nbytes(self) -> int:
        """Memory of one learner when the replay is full."""
        return sum(array.nbytes for array in self._arrays.values()) // self._shape[0]

    def add(self, rollout: Rollout, observations: Array) -> None:
        """Add a segment.

        Args:
            rollout: its actions, rewards, ends, and the distribution that acted.
            observations: x_0 to x_T, the newest frame of each stack, [P, T + 1, N, ...].
        """
        learners, horizon, num_envs = self._shape
        assert isinstance(rollout.old, Categorical)
        shape = (learners, horizon, num_envs)
        new = {
            "actions": rollout.actions.cpu().numpy().reshape(shape),
            "rewards": rollout.rewards.cpu().numpy(),
            "logits": rollout.old.logits.cpu().numpy().reshape(*shape, -1),
            "terminated": rollout.terminated.cpu().numpy(),
            "truncated": rollout.truncated.cpu().numpy(),
        }
        rows = self._of(self.count)
        for name, values in new.items():
            self._arrays[name][:, rows] = values
        following = np.append(rows, (rows[-1] + 1) % self._rows)
        self._arrays["observations"][:, following] = observations
        ages, ends = self._arrays["ages"], new["terminated"] | new["truncated"]
        for t in range(horizon):
            older = np.minimum(ages[:, rows[t]] + 1, self._kind.stack - 1)
            ages[:, following[t + 1]] = np.where(ends[:, t], 0, older)
        self.count += 1

    def draw(self, learner: int, ratio: float) -> Array:
        """Numbers of segments for n ~ Poisson(ratio) replays, one for each actor, [n, N]."""
        generator = self._generators[learner]
        times = int(generator.poisson(ratio))
        numbers = (self.count - self.size, self.count)
        return generator.integers(*numbers, (times, self._shape[2]))

    def take(self, segments: Array) -> Segments:
        """Segments by number, one for each actor, [P, N]: from `count` - `size` to `count` - 1."""
        _, horizon, num_envs = self._shape
        rows = segments[:, None] * horizon + np.arange(horizon + 1)[:, None]  # [P, T + 1, N]
        p, n = np.arange(len(rows))[:, None, None], np.arange(num_envs)
        taken = {
            name: array[p, rows[:, :-1] % self._rows, n]
            for name, array in self._arrays.items()
            if name not in ("observations", "ages")
        }
        taken["actions"] = taken["actions"].astype(np.int64)
        return Segments(self._inputs(p, rows, n), **taken)

    def _inputs(self, p: Array, rows: Array, n: Array) -> Array:
        observations, stack = self._arrays["observations"], self._kind.stack
        if stack == 1 and len(self._kind.shape) == 1:
            inputs = observations[p, rows % self._rows, n]
        else:
            back = np.arange(stack - 1, -1, -1)
            age = self._arrays["ages"][p, rows % self._rows, n][..., None]
            found = (rows[..., None] - np.minimum(back, age)) % self._rows
            inputs = observations[p[..., None], found, n[:, None]]
            if self._kind.zeros:
                inputs[back > age] = 0
        flat: Array = inputs.reshape(len(inputs), -1, *inputs.shape[3:])
        return flat

    def _of(self, segment: int) -> Array:
        """The rows of a segment."""
        horizon = self._shape[1]
        return (segment * horizon + np.arange(horizon)) % self._rows

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """What a learner's next draws, after another `add`, depend on.

        Segments are read when they are saved: at most one `add` later.
        """
        return {
            "generator": [self._generators[learner].bit_generator.state],
            "count": self.count,
            "next_age": self._arrays["ages"][learner, self._of(self.count)[0]].copy(),
            "segments": Appended(
                max(0, self.count + 1 - self.capacity - self._before),
                self.count,
                lambda i: {name: x[learner, self._of(i)] for name, x in self._arrays.items()},
                self._saved[learner],
            ),
        }

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned; without segments the replay stays empty."""
        (self._generators[learner].bit_generator.state,) = state["generator"]
        if "segments" not in state:
            return
        segments: Appended = state["segments"]
        self.count = state["count"]
        for i in range(segments.first, segments.end):
            for name, values in segments.read(i).items():
                self._arrays[name][learner, self._of(i)] = values
        self._arrays["ages"][learner, self._of(self.count)[0]] = state["next_age"]
        self._saved[learner] = segments.saved
