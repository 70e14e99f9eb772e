"""Atari's preprocessing against the wrappers of Gymnasium and SB3; its state to the last bit."""

from __future__ import annotations

import copy
import json
from typing import Any

import ale_py
import gymnasium
import numpy as np
import pytest
from ale_py import roms

from repro.envs import make
from repro.envs.atari.game import WITHOUT_NOOP, games
from repro.envs.atari.vector import AtariVectorEnv
from repro.errors import ConfigError
from repro.runs import archive
from tests.helpers.atari_oracles import PLAIN, compare, settings

# Full games of random play, with five lives, with four and with one.
SHORT = [("breakout", 500), ("qbert", 400), ("pong", 250)]


@pytest.mark.parametrize(("game", "steps"), SHORT)
def test_frames_equal_gymnasiums(game: str, steps: int) -> None:
    ends, finished, _ = compare(game, settings(**PLAIN), steps)
    assert ends == finished and (ends or game == "pong")


@pytest.mark.parametrize(("game", "steps"), SHORT)
def test_lives_fire_and_clipping_equal_the_wrappers(game: str, steps: int) -> None:
    lives, finished, total = compare(game, settings(), steps)
    assert total != 0
    assert lives > finished > 0 or game == "pong"


@pytest.mark.parametrize(
    "changes",
    [
        {"frame_skip": 1},
        {"frame_skip": 2, "stack_padding": "zero", "frame_stack": 3},
        {"noop_max": 0, "sticky_actions": 0.25, "fire_reset": False},
        {"max_game_frames": 200, "clip_rewards": False},  # truncations
    ],
)
def test_every_switch_equals_the_wrappers(changes: dict[str, Any]) -> None:
    ends, _, _ = compare("breakout", settings(**changes), 150, num_envs=2)
    assert ends


@pytest.mark.parametrize("game", ["atlantis", "bank_heist"])
def test_the_last_episode_lasts_while_a_game_goes_on_without_a_life(game: str) -> None:
    """Baselines' EpisodicLifeEnv reports it of Qbert; in this emulator these two games do it."""
    env = AtariVectorEnv(game, 1, settings())
    env.reset(seed=0)
    rng, ended, without = np.random.default_rng(0), False, 0
    while not ended:
        action = rng.integers(env.single_action_space.n, size=1)
        _, _, terminated, _, infos = env.step(action)
        ended = "_episode" in infos
        if env.games[0]._ale.lives() == 0:
            assert not terminated[0]
            without += 1
    assert terminated[0] and without > 5


def test_a_game_that_goes_on_without_a_life_equals_the_wrappers() -> None:
    ends, finished, _ = compare("bank_heist", settings(), 800)
    assert ends >= finished > 0


@pytest.mark.slow
@pytest.mark.parametrize("game", ["breakout", "seaquest", "pong"])
@pytest.mark.parametrize("changes", [PLAIN, {}])
def test_5000_steps_equal_gymnasiums(game: str, changes: dict[str, Any]) -> None:
    _, finished, _ = compare(game, settings(**changes), 5000)
    assert finished > 0


def test_without_pooling_the_last_frame_is_shown() -> None:
    """Pong draws its ball on every other frame: pooling shows it, the last frame may not."""
    pooled, last = (AtariVectorEnv("pong", 1, settings(pool_frames=on)) for on in (True, False))
    differ = 0
    for env in (pooled, last):
        env.reset(seed=0)
    for _ in range(60):
        a, b = (env.step(np.zeros(1, np.int64))[0] for env in (pooled, last))
        differ += not np.array_equal(a, b)
    assert differ > 10
    screens = [env.games[0].screen for env in (pooled, last)]
    assert (screens[0] >= screens[1]).all()


def play(env: AtariVectorEnv, actions: np.ndarray) -> list[Any]:
    trace: list[Any] = []
    for row in actions:
        observations, *rest, infos = env.step(row)
        ended = infos.get("_final_obs", np.zeros(env.num_envs, bool))
        finals = infos["final_obs"][ended].copy() if ended.any() else None
        trace.append((observations.copy(), *map(np.copy, rest), finals, infos.get("episode")))
    return trace


def same(one: list[Any], other: list[Any]) -> bool:
    return all(
        repr(a) == repr(b) if isinstance(a, dict | None) else np.array_equal(a, b)
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


def test_a_restored_environment_goes_on_bit_for_bit() -> None:
    game, config = "breakout", settings(sticky_actions=0.7)
    env = AtariVectorEnv(game, 3, config)
    env.reset(seed=1)
    rng = np.random.default_rng(0)
    actions = rng.integers(env.single_action_space.n, size=(350, 3))
    play(env, actions[:150])
    state = env.state()
    arrays, values = archive.flatten(state)
    state = archive.unflatten(
        archive.unpack(archive.pack(arrays)) | json.loads(json.dumps(values))
    )  # as from a checkpoint
    expected = play(env, actions[150:])
    other = AtariVectorEnv(game, 3, config)
    other.reset(seed=99)
    play(other, actions[:40])
    other.set_state(state)
    np.testing.assert_array_equal(other.observations, state["observations"])
    assert same(play(other, actions[150:]), expected)
    assert any(step[5] is not None for step in expected), "no game ended"
    # Every part of the state matters: with that of another moment the steps differ.
    elsewhere = other.state() | {"actions": (state["actions"] + 1) % 4}
    for part in ("systems", "observations", "lives", "actions", "scores", "lengths", "generators"):
        changed = copy.deepcopy(state) | {part: elsewhere[part]}
        if part == "systems":
            changed["sizes"] = elsewhere["sizes"]
        other.set_state(changed)
        assert not same(play(other, actions[150:]), expected), part


def test_some_rows_can_be_saved_restored_and_restarted_alone() -> None:
    env = AtariVectorEnv("breakout", 4, settings())
    env.reset(seed=0)
    actions = np.random.default_rng(1).integers(4, size=(60, 4))
    play(env, actions)
    others = env.state(slice(2, 4))
    saved = env.state(slice(0, 2))
    env.restart(slice(0, 2), [5, 6])
    fresh = AtariVectorEnv("breakout", 2, settings())
    np.testing.assert_array_equal(fresh.reset(seed=[5, 6])[0], env.observations[:2])
    np.testing.assert_array_equal(env.observations[2:], others["observations"])
    env.set_state(saved, slice(2, 4))  # into other rows
    one = play(env, np.concatenate([actions[:30, :2]] * 2, axis=1))
    fresh.set_state(saved)
    two = play(fresh, actions[:30, :2])
    for both, alone in zip(one, two, strict=True):
        np.testing.assert_array_equal(both[0][2:], alone[0])


def test_another_games_state_is_refused() -> None:
    state = AtariVectorEnv("pong", 1, settings()).state()
    with pytest.raises(ConfigError, match="is of pong, but this environment is of breakout"):
        AtariVectorEnv("breakout", 1, settings()).set_state(state)
    with pytest.raises(ConfigError, match="frame_skip"):
        AtariVectorEnv("pong", 1, settings(frame_skip=2)).set_state(state)
    with pytest.raises(ConfigError, match="is of 1, but"):
        AtariVectorEnv("pong", 2, settings()).set_state(state)


@pytest.mark.slow
def test_every_game_has_the_actions_that_the_wrappers_need() -> None:
    """Baselines' NoopResetEnv and FireResetEnv use the first three actions."""
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    emulator = ale_py.ALEInterface()
    for game in (*games(), *WITHOUT_NOOP):
        emulator.loadROM(roms.get_rom_path(game))
        actions = emulator.getMinimalActionSet()
        assert (actions[0] == ale_py.Action.NOOP) == (game not in WITHOUT_NOOP), game
        if game in games() and ale_py.Action.FIRE in actions:
            assert actions[1] == ale_py.Action.FIRE and len(actions) > 2, game


def test_bad_requests_are_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"env.game=Breakot is not known .did you mean breakout"):
        make("Breakot", "atari", 1, settings())
    with pytest.raises(ConfigError, match=r"combat is not known.* for one player"):
        make("combat", "atari", 1, settings())
    with pytest.raises(ConfigError, match="num_envs is 0"):
        make("pong", "atari", 0, settings())
    with pytest.raises(ConfigError, match="pong on the atari backend needs its preprocessing"):
        make("pong", "atari", 1)
    env = make("pong", "atari", 2, settings())
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(2, np.int64))
    with pytest.raises(ConfigError, match="got 3 seeds for 2"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(ConfigError, match="no reset options"):
        env.reset(options={"level": 1})
