"""One Atari game: an emulator with the paper's preprocessing, except frame stacks and clipping.

The emulator is an `ale_py.ALEInterface`. The order of the steps is that of Baselines' wrappers
(`atari_wrappers.py`, ppo2 at ea68f3b): no-op starts, frames skipped with the maximum of the last
two, a life as an episode, fire on reset, grey 84 x 84 frames.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

import ale_py
import cv2
import numpy as np
from ale_py import roms
from gymnasium.utils import seeding
from numpy.typing import NDArray

from repro.config.atari import AtariConfig
from repro.config.names import nearest
from repro.errors import ConfigError

FrameArray = NDArray[np.uint8]
NOOP, FIRE, AFTER_FIRE = 0, 1, 2  # indices into the game's minimal set of actions
WITHOUT_NOOP = ("backgammon", "video_checkers")
FRAMES_PER_SECOND = 60.0  # of the console's NTSC model

cv2.setNumThreads(1)  # a frame is small, and runs are spread over the cores


class Shades(Protocol):
    """The greys of color numbers, such as `repro.engines.native.Shades`."""

    def __call__(self, colors: FrameArray, out: FrameArray) -> bool:
        """Write a screen in grey; returns whether all of its colors are known."""

    def learn(self, colors: FrameArray, greys: FrameArray) -> None:
        """Remember the colors of a screen."""


class Game:
    """One emulator with its preprocessing.

    Attributes:
        actions: the game's minimal set of actions; the learner's actions are indices into it.
        screen: what the next frame is made from, uint8 of the emulator's size: the larger of the
            last two of the frames that were not skipped.
        lives: after the last action.
        last_action: index of the action of the last frame, which a sticky action repeats.
        over: whether the game, not only a life, has ended.
        score: of the current game, not clipped; rewards of no-op and fire steps count.
        length: of the current game, in steps of the learner.
        finished: (score, length) of a game that has ended, until `take_finished`.
        on_frame: called with every frame, in color.
        resize: makes a screen smaller by areas, from its first argument to its second.
        shades: turns color numbers to the emulator's greys; None: the emulator does.
        generator: of no-op starts and sticky actions.
    """

    def __init__(self, name: str, settings: AtariConfig) -> None:
        """Load a game.

        Raises:
            ConfigError: an unknown game.
        """
        self._settings, self._rom = settings, _rom(name)
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._ale = ale_py.ALEInterface()
        # Sticky actions are done here: the emulator's saved state does not include its last action.
        self._ale.setFloat("repeat_action_probability", 0.0)
        self._ale.setInt("max_num_frames_per_episode", settings.max_game_frames)
        self.seed(None)
        self.actions = self._ale.getMinimalActionSet()
        self._fires = settings.fire_reset and ale_py.Action.FIRE in self.actions
        self.screen: FrameArray = np.zeros(self._ale.getScreenDims(), np.uint8)
        self._screen_before, self._colors = np.zeros_like(self.screen), np.zeros_like(self.screen)
        self.lives, self.over, self.score, self.length = 0, False, 0.0, 0
        self.last_action = NOOP
        self.finished: tuple[float, int] | None = None
        self.on_frame: Callable[[FrameArray], None] | None = None
        self.resize: Callable[[FrameArray, FrameArray], None] = _resize
        self.shades: Shades | None = None

    def seed(self, seed: int | None) -> None:
        """Seed the emulator and the no-op starts as Gymnasium's `AtariEnv` does.

        The emulator takes a seed only when it loads a game.
        """
        own, emulator = np.random.SeedSequence(seed).generate_state(2)
        self.generator, _ = seeding.np_random(int(own))
        self._ale.setInt("random_seed", int(emulator.astype(np.int32)))
        self._ale.loadROM(self._rom)

    def new_game(self) -> None:
        """Start a game with no-op starts and fire; one that has finished is forgotten."""
        self._restart()
        self._fire()
        self.finished = None

    def next_episode(self) -> None:
        """Go on after the end of a life or of a game."""
        self._continue()
        self._fire()

    def step(self, action: int) -> tuple[float, bool, bool]:
        """Take one step of the learner.

        Returns:
            The reward, not clipped, termination and truncation.
        """
        self.length += 1
        return self._skip(action)

    def frame(self, out: FrameArray) -> None:
        """Write the current frame as the learner sees it, uint8 [H, W]."""
        self.resize(self.screen, out)

    def take_finished(self) -> tuple[float, int] | None:
        """(score, length) of the game that has ended since the last call, if one has."""
        finished, self.finished = self.finished, None
        return finished

    def save(self) -> bytes:
        """The emulator's whole state, its random generator included."""
        return bytes(self._ale.cloneState(include_rng=True).serialize())

    def load(self, system: bytes) -> None:
        """Put back what `save` returned."""
        self._ale.restoreState(ale_py.ALEState(system))

    def _restart(self) -> None:
        self._ale.reset_game()
        self.score, self.length, self.over, self.last_action = 0.0, 0, False, NOOP
        most = self._settings.noop_max
        for _ in range(self.generator.integers(1, most + 1) if most > 0 else 0):
            self._act(NOOP)
            if self._ale.game_over():
                self._ale.reset_game()
                self.score, self.last_action = 0.0, NOOP
        self._look(self.screen)
        self._screen_before.fill(0)
        self.lives = self._ale.lives()

    def _continue(self) -> None:
        """After the end of a life take a no-op step, after that of a game start another."""
        if not self.over:
            self._skip(NOOP)
        if self.over:
            self.finished = (self.score, self.length)
            self._restart()
        self.lives = self._ale.lives()

    def _fire(self) -> None:
        if not self._fires:
            return
        for action in (FIRE, AFTER_FIRE):
            _, terminated, truncated = self._skip(action)
            if terminated or truncated:
                self._continue()

    def _skip(self, action: int) -> tuple[float, bool, bool]:
        """Repeat an action for `frame_skip` frames; only the last one or two become the screen."""
        last = self._settings.frame_skip - 1
        pools = self._settings.pool_frames and last > 0
        reward = 0.0
        for t in range(last + 1):
            reward += self._act(action)
            self.over = self._ale.game_over()
            if self.over:
                break  # with the screen of an earlier frame, as Gymnasium's `AtariPreprocessing`
            if pools and t == last - 1:
                self._look(self._screen_before)
            elif t == last:
                self._look(self.screen)
        if pools:
            np.maximum(self.screen, self._screen_before, out=self.screen)
        return reward, *self._ends()

    def _look(self, out: FrameArray) -> None:
        """Write the emulator's screen in grey."""
        if self.shades is not None:
            self._ale.getScreen(self._colors)
            if self.shades(self._colors, out):
                return
        self._ale.getScreenGrayscale(out)
        if self.shades is not None:
            self.shades.learn(self._colors, out)

    def _act(self, action: int) -> float:
        sticky = self._settings.sticky_actions
        if not sticky or self.generator.random() >= sticky:
            self.last_action = action
        reward = float(self._ale.act(self.actions[self.last_action]))
        self.score += reward
        if self.on_frame is not None and self.finished is None:
            self.on_frame(self._ale.getScreenRGB())
        return reward

    def _ends(self) -> tuple[bool, bool]:
        """Termination (of the game or a life), and truncation."""
        terminated = self._ale.game_over(with_truncation=False)
        lives = self._ale.lives()
        # Some games go on for a few frames with no life left: Qbert according to Baselines'
        # EpisodicLifeEnv, and in this emulator Atlantis and Bank Heist.
        lost = self._settings.episodic_life and 0 < lives < self.lives
        self.lives = lives
        return terminated or lost, self._ale.game_truncated()


def _resize(screen: FrameArray, out: FrameArray) -> None:
    cv2.resize(screen, out.shape[::-1], dst=out, interpolation=cv2.INTER_AREA)


@functools.cache
def games() -> tuple[str, ...]:
    """Every game that ale-py ships for one player, except those without a NOOP action.

    ale-py ends the process when it loads any other game. Baselines' wrappers need NOOP.
    """
    supported = ale_py.ALEInterface.isSupportedROM
    names = (name for name in roms.get_all_rom_ids() if name not in WITHOUT_NOOP)
    return tuple(sorted(name for name in names if supported(_path(name))))


def _rom(name: str) -> Any:
    if name not in games():
        raise ConfigError(
            f"env.game={name} is not known{nearest(name.lower(), games())}: it can be any of the "
            f"{len(games())} that ale-py ships for one player, such as pong or space_invaders."
        )
    return _path(name)


def _path(name: str) -> Any:
    return roms.get_rom_path(name)
