"""N copies of one Atari game with the paper's preprocessing, whose state can be saved exactly.

`repro.envs.atari.game` plays one game; here rewards are clipped and frames stacked. Without lives
and fire the result is Gymnasium's `AtariPreprocessing` and `FrameStackObservation`, frame by frame
(`tests/envs/test_atari.py`). `ale_py.vector_env.AtariVectorEnv` does nearly the same in C++, but is
no faster (the emulator is four fifths of a step) and cannot save its state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ale_py
import cv2
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from repro.config.atari import AtariConfig
from repro.envs.atari.game import FrameArray, Game
from repro.envs.vector import EVERYWHERE, BoolArray, FloatArray, Seeds, VectorEnv, spread_seeds
from repro.errors import ConfigError

VERSIONS = f"ale-py {ale_py.__version__}, opencv {cv2.__version__}"


class AtariVectorEnv(VectorEnv):
    """N copies of a game: uint8 stacks [N, S, H, W], the newest frame last.

    An episode that the learner sees may be a life, and its rewards are clipped. Scores are of whole
    games and not clipped: `infos["episode"]` holds `r` [N], the score, and `l` [N], the number of
    the learner's steps, in the rows where `infos["_episode"]` [N] says that a game has ended.

    Attributes:
        games: [N].
    """

    keeps_scores = True

    def __init__(self, game: str, num_envs: int, settings: AtariConfig) -> None:
        """Load the game N times.

        Args:
            game: the ROM's name, such as "pong".
            num_envs: N, at least 1.
            settings: the preprocessing.

        Raises:
            ConfigError: an unknown game.
        """
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        self._game, self._settings = game, settings
        self.games = [Game(game, settings) for _ in range(num_envs)]
        size, stack = settings.screen_size, settings.frame_stack
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = Box(0, 255, (stack, size, size), np.uint8)
        self.single_action_space = Discrete(len(self.games[0].actions))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observations: FrameArray = np.zeros((num_envs, stack, size, size), np.uint8)
        self._final = np.zeros_like(self.observations)
        self._started = False

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[FrameArray, dict[str, Any]]:
        """Start a new game in every environment; there are no options."""
        if options:
            raise ConfigError(f"Atari games have no reset options, but got {sorted(options)}")
        for i, own_seed in enumerate(spread_seeds(seed, self.num_envs)):
            self._start(i, own_seed)
        self._started = True
        return self.observations, {}

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[FrameArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Take one step in every environment, and start a new episode where one ended."""
        if not self._started:
            raise gymnasium.error.ResetNeeded("call reset before step")
        rewards = np.zeros(self.num_envs)
        terminated, truncated = np.zeros((2, self.num_envs), np.bool_)
        for i, game in enumerate(self.games):
            rewards[i], terminated[i], truncated[i] = game.step(int(actions[i]))
            self._push(i)
        if self._settings.clip_rewards:
            rewards = np.sign(rewards)
        ends = terminated | truncated
        infos: dict[str, Any] = {}
        if ends.any():
            self._final[ends] = self.observations[ends]
            infos = {"final_obs": self._final, "_final_obs": ends}
            for i in map(int, np.flatnonzero(ends)):
                self.games[i].next_episode()
                self._fill(i)
            infos |= self._finished_games()
        return self.observations, rewards, terminated, truncated, infos

    def state(self, rows: slice = EVERYWHERE) -> dict[str, Any]:
        """Emulators, generators, frames, lives and scores."""
        games = self.games[rows]
        systems = [np.frombuffer(game.save(), np.uint8) for game in games]
        padded = np.zeros((len(games), max(map(len, systems))), np.uint8)
        for row, system in zip(padded, systems, strict=True):
            row[: len(system)] = system
        return {
            "game": self._game,
            "preprocessing": dataclasses.asdict(self._settings),
            "versions": VERSIONS,
            "systems": padded,
            "sizes": np.array([len(system) for system in systems]),
            "screens": np.stack([game.screen for game in games]),
            "observations": self.observations[rows].copy(),
            "lives": np.array([game.lives for game in games]),
            "actions": np.array([game.last_action for game in games]),
            "scores": np.array([game.score for game in games]),
            "lengths": np.array([game.length for game in games]),
            "generators": [dict(game.generator.bit_generator.state) for game in games],
        }

    def set_state(self, state: Mapping[str, Any], rows: slice = EVERYWHERE) -> None:
        """Put back what `state` returned.

        Raises:
            ConfigError: if it is of another game, preprocessing, number of environments or version.
        """
        games = self.games[rows]
        own = (self._game, dataclasses.asdict(self._settings), VERSIONS, len(games))
        saved = (state["game"], state["preprocessing"], state["versions"], len(state["sizes"]))
        for found, expected in zip(saved, own, strict=True):
            if found != expected:
                raise ConfigError(
                    f"the saved environment state is of {found}, but this environment is of "
                    f"{expected}: restore it into one made the same way"
                )
        self.observations[rows] = state["observations"]
        for i, game in enumerate(games):
            game.load(state["systems"][i, : state["sizes"][i]].tobytes())
            game.screen[:] = state["screens"][i]
            game.lives, game.length = int(state["lives"][i]), int(state["lengths"][i])
            game.last_action = int(state["actions"][i])
            game.score, game.over = float(state["scores"][i]), False
            game.generator.bit_generator.state = state["generators"][i]
        self._started = True

    def restart(self, rows: slice, seeds: Sequence[int]) -> None:
        """Start new games in some environments."""
        for i, seed in zip(range(self.num_envs)[rows], seeds, strict=True):
            self._start(i, seed)

    def show(self, on_frame: Callable[[FrameArray], None]) -> None:
        """Pass on every frame of the first environment's games, skipped ones included.

        A game that starts because another has ended is shown from the next step on.

        Args:
            on_frame: called with each frame, RGB, uint8 [210, 160, 3] (some games' size differs).
        """
        self.games[0].on_frame = on_frame

    def _start(self, i: int, seed: int | None) -> None:
        if seed is not None:
            self.games[i].seed(seed)
        self.games[i].new_game()
        self._fill(i)

    def _push(self, i: int) -> None:
        """Append the current frame to its stack."""
        stack = self.observations[i]
        stack[:-1] = stack[1:]
        self.games[i].frame(out=stack[-1])

    def _fill(self, i: int) -> None:
        """Make the stack of an episode's first frame."""
        stack = self.observations[i]
        self.games[i].frame(out=stack[-1])
        stack[:-1] = stack[-1] if self._settings.stack_padding == "reset" else 0

    def _finished_games(self) -> dict[str, Any]:
        finished = [game.take_finished() for game in self.games]
        mask = np.array([each is not None for each in finished])
        if not mask.any():
            return {}
        scores, lengths = zip(*(each or (0.0, 0) for each in finished), strict=True)
        return {"episode": {"r": np.array(scores), "l": np.array(lengths)}, "_episode": mask}
