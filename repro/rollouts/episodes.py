"""Returns and lengths of training episodes: of those that are running, and of those that ended.

Axes: P learners, N environments of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Episodes:
    """Finished training episodes of a learner in an iteration; columns as in `store.EPISODES`."""

    iteration: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    actor: list[int] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    length: list[int] = field(default_factory=list)

    def add(
        self, iteration: int, step: int, actor: int, episode_return: float, length: int
    ) -> None:
        """Add a row."""
        self.iteration.append(iteration)
        self.step.append(step)
        self.actor.append(actor)
        self.returns.append(episode_return)
        self.length.append(length)

    def columns(self) -> dict[str, list[Any]]:
        """The columns of the table by name."""
        return {
            "iteration": self.iteration,
            "step": self.step,
            "actor": self.actor,
            "return": self.returns,
            "length": self.length,
        }


class EpisodeStatistics:
    """Running returns and lengths of the episodes of P learners with N environments each.

    Attributes:
        returns: of each episode so far, undiscounted, [P, N].
        lengths: of each episode so far, in steps, [P, N].
        finished_steps: steps of the learner's episodes that have ended, [P]. On Atari these are
            lives, while the rows of the table are games. The caller sets it back to 0.
    """

    def __init__(self, shape: tuple[int, int], keeps_scores: bool) -> None:
        """Start at zero.

        Args:
            shape: (P, N).
            keeps_scores: `VectorEnv.keeps_scores`: the table gets the returns and lengths that the
                environments report, as on Atari, where a game lasts longer than the learner's
                episodes.
        """
        self._keeps_scores = keeps_scores
        self.returns = np.zeros(shape)
        self.lengths = np.zeros(shape, np.int64)
        self.finished_steps = np.zeros(shape[0], np.int64)

    def add_step(self, rewards: NDArray[Any]) -> None:
        """Add the rewards of one step, [P, N]."""
        self.returns += rewards
        self.lengths += 1

    def record_ends(
        self,
        ends: NDArray[np.bool_],
        infos: Mapping[str, Any],
        iteration: int,
        step: int,
        episodes: Sequence[Episodes],
    ) -> None:
        """Add the episodes that ended to `episodes`, and start the next ones at zero.

        Args:
            ends: where the learner's episodes ended, [P, N].
            infos: of that step, with the scores of environments that keep them.
            iteration: the current one.
            step: steps of one learner so far, in all its environments together.
            episodes: of each learner in this iteration, [P].
        """
        finished, returns, lengths = ends, self.returns, self.lengths
        if self._keeps_scores:
            finished, returns, lengths = self._reported(infos)
        for p, n in np.argwhere(finished):
            episodes[p].add(iteration, step, int(n), float(returns[p, n]), int(lengths[p, n]))
        self.finished_steps += np.where(ends, self.lengths, 0).sum(1)
        self.returns[ends] = 0
        self.lengths[ends] = 0

    def _reported(self, infos: Mapping[str, Any]) -> tuple[NDArray[Any], ...]:
        """Which episodes the environments report as ended, with returns and lengths, [P, N]."""
        shape = self.returns.shape
        if "_episode" not in infos:
            return np.zeros(shape, np.bool_), self.returns, self.lengths
        episode = infos["episode"]
        return tuple(
            each.reshape(shape) for each in (infos["_episode"], episode["r"], episode["l"])
        )

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """The state of one learner's running episodes."""
        returns, lengths = self.returns[learner].copy(), self.lengths[learner].copy()
        return {"episodes": {"return": returns, "length": lengths}}

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        self.returns[learner] = state["episodes"]["return"]
        self.lengths[learner] = state["episodes"]["length"]

    def restart(self, learner: int) -> None:
        """Set all running episodes of one learner back to zero."""
        self.returns[learner], self.lengths[learner] = 0, 0
