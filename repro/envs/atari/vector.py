"""N copies of one Atari game with the paper's preprocessing, whose state can be saved to the bit.

Each is an `ale_py.ALEInterface`. `ale_py.vector_env.AtariVectorEnv` does nearly the same in C++,
takes as long or longer (the emulator is four fifths of a step), and cannot hand out its state.

The order of the steps is that of Baselines' wrappers (`atari_wrappers.py`, ppo2 at ea68f3b): no-op
starts, frames skipped with the maximum of the last two, a life as an episode, fire on reset, grey
84 x 84 frames, clipped rewards, a stack of frames. Without lives and fire it is Gymnasium's
`AtariPreprocessing` and `FrameStackObservation`, frame by frame (`tests/envs/test_atari.py`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ale_py
import cv2
import gymnasium
import numpy as np
from ale_py import roms
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from repro.config.atari import AtariConfig
from repro.config.names import nearest
from repro.envs.vector import EVERYWHERE, BoolArray, FloatArray, Seeds, VectorEnv, spread_seeds
from repro.errors import ConfigError

FrameArray = NDArray[np.uint8]
NOOP, FIRE, AFTER_FIRE = 0, 1, 2  # places in the game's own set of actions
WITHOUT_NOOP = ("backgammon", "video_checkers")
FRAMES_PER_SECOND = 60.0  # of the console, as it was sold where television was NTSC
VERSIONS = f"ale-py {ale_py.__version__}, opencv {cv2.__version__}"

cv2.setNumThreads(1)  # a frame is small, and runs are spread over the cores


class AtariVectorEnv(VectorEnv):
    """N copies of a game: uint8 stacks [N, S, H, W], the newest frame last.

    The learner's episode and its rewards are what the preprocessing makes of them. Scores are of
    whole games and as the game counts them: `infos["episode"]` holds `r` [N] and `l` [N], the score
    and the number of the learner's steps, in the rows where `infos["_episode"]` [N] says that a
    game has ended.
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
        self._games = [_Game(game, settings) for _ in range(num_envs)]
        size, stack = settings.screen_size, settings.frame_stack
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = Box(0, 255, (stack, size, size), np.uint8)
        self.single_action_space = Discrete(len(self._games[0].actions))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observations: FrameArray = np.zeros((num_envs, stack, size, size), np.uint8)
        self._final = np.zeros_like(self.observations)
        self._started = False

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[FrameArray, dict[str, Any]]:
        """Begin a new game in every environment; there are no options."""
        if options:
            raise ConfigError(f"Atari games have no reset options, but got {sorted(options)}")
        for i, own_seed in enumerate(spread_seeds(seed, self.num_envs)):
            self._begin(i, own_seed)
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
        for i, game in enumerate(self._games):
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
                self._games[i].next_episode()
                self._fill(i)
            infos |= self._finished_games()
        return self.observations, rewards, terminated, truncated, infos

    def state(self, rows: slice = EVERYWHERE) -> dict[str, Any]:
        """Emulators, generators, frames, lives and scores."""
        games = self._games[rows]
        systems = [np.frombuffer(game.system(), np.uint8) for game in games]
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
            "actions": np.array([game.last for game in games]),
            "scores": np.array([game.score for game in games]),
            "lengths": np.array([game.length for game in games]),
            "generators": [dict(game.generator.bit_generator.state) for game in games],
        }

    def set_state(self, state: Mapping[str, Any], rows: slice = EVERYWHERE) -> None:
        """Put back what `state` returned.

        Raises:
            ConfigError: if it is of another game, preprocessing, number of environments or version.
        """
        games = self._games[rows]
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
            game.restore(state["systems"][i, : state["sizes"][i]].tobytes())
            game.screen[:] = state["screens"][i]
            game.lives, game.length = int(state["lives"][i]), int(state["lengths"][i])
            game.last = int(state["actions"][i])
            game.score, game.over = float(state["scores"][i]), False
            game.generator.bit_generator.state = state["generators"][i]
        self._started = True

    def restart(self, rows: slice, seeds: Sequence[int]) -> None:
        """Begin new games in some environments."""
        for i, seed in zip(range(self.num_envs)[rows], seeds, strict=True):
            self._begin(i, seed)

    def show(self, look: Callable[[FrameArray], None]) -> None:
        """Let somebody see every frame of the first environment's games, as a player would.

        A game that begins by itself where another has ended is shown from the next step on.

        Args:
            look: called with each frame, uint8 [210, 160, 3] (its size is the game's), RGB.
        """
        self._games[0].look = look

    def _begin(self, i: int, seed: int | None) -> None:
        if seed is not None:
            self._games[i].seed(seed)
        self._games[i].new_game()
        self._games[i].finished = None
        self._fill(i)

    def _push(self, i: int) -> None:
        """The current frame behind the others of its stack."""
        stack = self.observations[i]
        stack[:-1] = stack[1:]
        self._games[i].frame(out=stack[-1])

    def _fill(self, i: int) -> None:
        """A stack for the first frame of an episode."""
        stack = self.observations[i]
        self._games[i].frame(out=stack[-1])
        stack[:-1] = stack[-1] if self._settings.stack_padding == "reset" else 0

    def _finished_games(self) -> dict[str, Any]:
        finished = [game.finished for game in self._games]
        mask = np.array([each is not None for each in finished])
        if not mask.any():
            return {}
        scores, lengths = zip(*(each or (0.0, 0) for each in finished), strict=True)
        for game in self._games:
            game.finished = None
        return {"episode": {"r": np.array(scores), "l": np.array(lengths)}, "_episode": mask}


class _Game:
    """One emulator, and all of the preprocessing but the stack and the clipping.

    Attributes:
        screen: what the next frame is made of, uint8 of the emulator's size: the larger of the last
            two of the frames that were not skipped.
        lives: at the last look.
        last: the action of the last frame, which a sticky one repeats.
        over: whether the game, not only a life, has ended.
        score: of the game under way, unclipped; rewards of no-op and fire steps count.
        length: of the game under way, in steps of the learner.
        finished: (score, length) of a game that has ended and was not told yet.
        look: who sees every frame, in color.
    """

    def __init__(self, name: str, settings: AtariConfig) -> None:
        self._settings, self._rom = settings, _rom(name)
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._ale = ale_py.ALEInterface()
        # Actions are repeated here: what the emulator last did is in no state that it hands out.
        self._ale.setFloat("repeat_action_probability", 0.0)
        self._ale.setInt("max_num_frames_per_episode", settings.max_game_frames)
        self.seed(None)
        self.actions = self._ale.getMinimalActionSet()
        self._fires = settings.fire_reset and ale_py.Action.FIRE in self.actions
        self.screen: FrameArray = np.zeros(self._ale.getScreenDims(), np.uint8)
        self._before = np.zeros_like(self.screen)
        self.lives, self.over, self.score, self.length = 0, False, 0.0, 0
        self.last = NOOP
        self.finished: tuple[float, int] | None = None
        self.look: Callable[[FrameArray], None] | None = None

    def seed(self, seed: int | None) -> None:
        """Generators of the emulator and of the no-op starts, as Gymnasium's `AtariEnv` has them.

        The emulator takes a seed only when it loads a game.
        """
        own, emulator = np.random.SeedSequence(seed).generate_state(2)
        self.generator, _ = seeding.np_random(int(own))
        self._ale.setInt("random_seed", int(emulator.astype(np.int32)))
        self._ale.loadROM(self._rom)

    def new_game(self) -> None:
        """Start over, with the no-op starts, and fire."""
        self._restart()
        self._fire()

    def next_episode(self) -> None:
        """After the end of a life or a game: go on with the next."""
        self._continue()
        self._fire()

    def step(self, action: int) -> tuple[float, bool, bool]:
        """A step of the learner: its reward, not clipped, termination, truncation."""
        self.length += 1
        return self._skip(action)

    def frame(self, out: FrameArray) -> None:
        """The current screen as the learner sees it, uint8 [H, W]."""
        size = (self._settings.screen_size, self._settings.screen_size)
        cv2.resize(self.screen, size, dst=out, interpolation=cv2.INTER_AREA)

    def system(self) -> bytes:
        """The emulator's whole state, with its generator."""
        return bytes(self._ale.cloneState(include_rng=True).serialize())

    def restore(self, system: bytes) -> None:
        """Put back what `system` returned."""
        self._ale.restoreState(ale_py.ALEState(system))

    def _restart(self) -> None:
        self._ale.reset_game()
        self.score, self.length, self.over, self.last = 0.0, 0, False, NOOP
        most = self._settings.noop_max
        for _ in range(self.generator.integers(1, most + 1) if most > 0 else 0):
            self._act(NOOP)
            if self._ale.game_over():
                self._ale.reset_game()
                self.score, self.last = 0.0, NOOP
        self._ale.getScreenGrayscale(self.screen)
        self._before.fill(0)
        self.lives = self._ale.lives()

    def _continue(self) -> None:
        """From the end of a life with a step of no-op, from that of a game with a new one."""
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
        """The same action for some frames, of which the last ones are looked at."""
        last = self._settings.frame_skip - 1
        pools = self._settings.pool_frames and last > 0
        reward = 0.0
        for t in range(last + 1):
            reward += self._act(action)
            self.over = self._ale.game_over()
            if self.over:
                break  # the screen stays about as it was, as Gymnasium's does
            if pools and t == last - 1:
                self._ale.getScreenGrayscale(self._before)
            elif t == last:
                self._ale.getScreenGrayscale(self.screen)
        if pools:
            np.maximum(self.screen, self._before, out=self.screen)
        return reward, *self._ends()

    def _act(self, action: int) -> float:
        stuck = self._settings.sticky_actions
        if not stuck or self.generator.random() >= stuck:
            self.last = action
        reward = float(self._ale.act(self.actions[self.last]))
        self.score += reward
        if self.look is not None and self.finished is None:
            self.look(self._ale.getScreenRGB())
        return reward

    def _ends(self) -> tuple[bool, bool]:
        """Termination (the game's, or a life's), and truncation."""
        terminated = self._ale.game_over(with_truncation=False)
        lives = self._ale.lives()
        # Games go on for some frames without a life: Qbert, says Baselines' EpisodicLifeEnv, and in
        # today's emulator Atlantis and Bank Heist.
        lost = self._settings.episodic_life and 0 < lives < self.lives
        self.lives = lives
        return terminated or lost, self._ale.game_truncated()


@functools.cache
def games() -> tuple[str, ...]:
    """Every game that ale-py ships for one player: asked for another, it ends the process.

    Without those that have no NOOP, which Baselines' wrappers refuse as well.
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
