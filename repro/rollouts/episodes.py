"""Returns and lengths of the episodes that are under way, until they are rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass
class Episodes:
    """Finished training episodes of a learner in an iteration; columns as in `store.EPISODES`."""

    iteration: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    actor: list[int] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    length: list[int] = field(default_factory=list)

    def add(self, iteration: int, step: int, actor: int, total: float, length: int) -> None:
        """One more row; `total` is its return."""
        self.iteration.append(iteration)
        self.step.append(step)
        self.actor.append(actor)
        self.returns.append(total)
        self.length.append(length)

    def columns(self) -> dict[str, list[Any]]:
        """By the names of the table."""
        return {
            "iteration": self.iteration,
            "step": self.step,
            "actor": self.actor,
            "return": self.returns,
            "length": self.length,
        }


class Tally:
    """Counts for P learners with N environments each. Where these keep scores, theirs count.

    Attributes:
        returns: of each episode so far, [P, N].
        lengths: in steps, [P, N].
        finished_steps: [P], of the learner's episodes that ended: on Atari lives, where what is
            written are games. Whoever reads it sets it back.
    """

    def __init__(self, shape: tuple[int, int], keeps_scores: bool) -> None:
        """Begin episodes.

        Args:
            shape: (P, N).
            keeps_scores: whether the environments tell the returns of their own episodes, as
                Atari's do, whose games outlast the learner's episodes.
        """
        self._keeps_scores = keeps_scores
        self.returns = np.zeros(shape)
        self.lengths = np.zeros(shape, np.int64)
        self.finished_steps = np.zeros(shape[0], np.int64)

    def add(self, rewards: Array) -> None:
        """A step's rewards, [P, N]."""
        self.returns += rewards
        self.lengths += 1

    def record_ends(
        self,
        ends: Array,
        infos: Mapping[str, Any],
        iteration: int,
        step: int,
        episodes: Sequence[Episodes],
    ) -> None:
        """Write the episodes that are over to `episodes`, [P], and begin others.

        Args:
            ends: where the learner's episodes ended, [P, N].
            infos: of that step, with the scores of environments that keep them.
            iteration: the number of this one.
            step: of one learner so far, all its actors together.
            episodes: of this iteration.
        """
        told, returns, lengths = ends, self.returns, self.lengths
        if self._keeps_scores:
            told, returns, lengths = self._scores(infos)
        for p, n in np.argwhere(told):
            episodes[p].add(iteration, step, int(n), float(returns[p, n]), int(lengths[p, n]))
        self.finished_steps += np.where(ends, self.lengths, 0).sum(1)
        self.returns[ends] = 0
        self.lengths[ends] = 0

    def _scores(self, infos: Mapping[str, Any]) -> tuple[Array, Array, Array]:
        """Which episodes ended by the environments' own account, their returns, their lengths."""
        shape = self.returns.shape
        if "_episode" not in infos:
            return np.zeros(shape, np.bool_), self.returns, self.lengths
        told = (infos["_episode"], infos["episode"]["r"], infos["episode"]["l"])
        ended, returns, lengths = (each.reshape(shape) for each in told)
        return ended, returns, lengths

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """What one learner's coming rows, and ends that are counted in steps, depend on."""
        returns, lengths = self.returns[learner].copy(), self.lengths[learner].copy()
        return {"episodes": {"return": returns, "length": lengths}}

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        self.returns[learner] = state["episodes"]["return"]
        self.lengths[learner] = state["episodes"]["length"]

    def restart(self, learner: int) -> None:
        """Begin all episodes of one learner anew."""
        self.returns[learner], self.lengths[learner] = 0, 0
