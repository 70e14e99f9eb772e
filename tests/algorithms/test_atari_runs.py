"""Runs of Atari from the command line to their tables: whole, in pieces, and in packs."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from repro.config.schema import Config
from repro.errors import ConfigError
from repro.runs import checkpoint, store
from repro.training.pack import run_pack
from tests.helpers import cli as process
from tests.helpers.atari_oracles import gymnasium_game, scores, settings
from tests.helpers.bits import assert_equal_bits
from tests.helpers.cli import Cli
from tests.helpers.configs import compose
from tests.helpers.learners import make_learners
from tests.helpers.tiny import directory, result, train
from tests.helpers.waiting import wait_for

# 6 iterations of 32 steps
SMALL = [
    *("env=atari", "env.game=breakout", "env.num_envs=2", "env.atari.screen_size=44"),
    *("policy.hidden_sizes=[16]", "algorithm.horizon=16", "total_timesteps=192"),
    *("checkpoint.every_seconds=0", "checkpoint.max_share=1", "progress=false"),
]
ATTEMPTS = 5
SMALL_PPO = ["algorithm.minibatch_size=16", "algorithm.epochs=2"]


def small(runs_dir: Path, *overrides: str) -> Config:
    return compose(*SMALL, f"runs_dir={runs_dir}", *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        [*SMALL_PPO, "recipe=ppo2"],
        [*SMALL_PPO, "env.atari.sticky_actions=0.25", "env.atari.stack_padding=zero"],
        ["algorithm=a2c"],
        ["algorithm=a2c_tr"],
    ],
)
def test_a_run_in_pieces_is_the_run(tmp_path: Path, overrides: list[str]) -> None:
    pack = [small(tmp_path / "pieces", *overrides, f"seed={seed}") for seed in (3, 4)]
    outcomes = train(pack, 1, 4)
    (alone,) = run_pack([small(tmp_path / "whole", *overrides, "seed=4")])
    assert_equal_bits(result(outcomes[1].directory), result(alone.directory))
    run = store.read_run(outcomes[1].directory)
    assert run["resumable"] == "exact" and all(each["exact"] for each in run["resumed"])
    assert run["engine"] == "torch"


def test_a_killed_run_ends_with_the_bits_of_one_that_was_not(tmp_path: Path) -> None:
    line = [*SMALL, *SMALL_PPO, "total_timesteps=960", "seed=8", "progress=false"]
    config = compose(*line, f"runs_dir={tmp_path / 'runs'}")
    for _ in range(ATTEMPTS):  # on a crowded machine it may have ended before it is killed
        shutil.rmtree(directory(config), ignore_errors=True)
        child = process.start(tmp_path, *line, "runs_dir=runs")
        wait_for(
            lambda: checkpoint.iterations(directory(config)) or store.is_done(directory(config))
        )
        child.send_signal(signal.SIGKILL)
        child.communicate()
        if store.read_run(directory(config))["status"] == store.RUNNING:
            break
    assert 0 < checkpoint.iterations(directory(config))[0] < config.updates
    again = process.finish(process.start(tmp_path, *line, "runs_dir=runs"))
    assert again.code == 0, again.err
    (whole,) = run_pack([compose(*line, f"runs_dir={tmp_path / 'whole'}")])
    assert_equal_bits(result(directory(config)), result(whole.directory))


def test_ends_that_are_counted_in_episodes_count_lives(tmp_path: Path) -> None:
    """As Baselines' ppo1 does, whose segments know of no games; also when gone on with."""
    line = (*SMALL_PPO, "recipe=ppo1", "algorithm.horizon=16", "total_timesteps=320")
    ppo = make_learners([small(tmp_path, *line)])
    finished = played = lives = 0
    for iteration in range(1, 29):
        rollout = ppo.collector.collect(iteration)
        finished += int(rollout.finished_steps[0])
        played += rollout.rewards[0].numel()
        lives += int(rollout.terminated.sum())
        assert finished + int(ppo.collector._episode_statistics.lengths.sum()) == played
    games = ppo.collector.envs.num_envs
    assert lives > 4 * games and finished > 0
    (outcome,) = train([small(tmp_path, *line, "recipe.epsilon_schedule=linear")], 2, 3)
    (whole,) = run_pack([small(tmp_path / "w", *line, "recipe.epsilon_schedule=linear")])
    assert_equal_bits(result(outcome.directory), result(whole.directory))


def test_tables_hold_whole_games_and_their_own_scores(tmp_path: Path) -> None:
    """Replayed through Gymnasium's and SB3's wrappers with the actions that the run took."""
    own = small(
        tmp_path,
        *SMALL_PPO,
        "env.atari.screen_size=84",
        "algorithm.horizon=400",
        "total_timesteps=800",
    )
    ppo = make_learners([own])
    taken: list[np.ndarray] = []
    step = ppo.collector.envs.step

    def listen(actions: np.ndarray) -> object:
        taken.append(actions.copy())
        return step(actions)

    ppo.collector.envs.step = listen
    found = ppo.collector.collect(1).episodes[0]
    for actor, seed in enumerate(ppo.streams[0].env_seeds(2)):
        assert own.env.atari is not None
        env = gymnasium_game(own.env.id, own.env.atari)
        env.reset(seed=seed)
        ends, played = [], len(scores(env).scores)
        for t, actions in enumerate(taken):
            _, _, terminated, truncated, _ = env.step(actions[actor])
            if terminated or truncated:
                env.reset()
            if len(scores(env).scores) > played:
                played = len(scores(env).scores)
                ends.append((2 * (t + 1), scores(env).scores[-1]))
        ours = [
            (step, score)
            for step, score, who in zip(found.step, found.returns, found.actor, strict=True)
            if who == actor
        ]
        assert ours == ends and ends
    lengths = np.array(found.length)
    assert lengths.sum() <= 800 and (lengths > 20).all(), "games, not lives"


def test_a_sweep_over_games_and_algorithms(cli: Cli) -> None:
    games = "env.game=pong,ms_pacman"
    small_net = ["policy.hidden_sizes=[16]", "env.atari.screen_size=44", "hydra.launcher.workers=1"]
    done = cli("-m", "env=atari", games, "algorithm=ppo,a2c", "budget=smoke", *small_net)
    assert done.code == 0, done.err
    infos = [store.read_run(path) for path in store.run_directories(Path("runs"))]
    assert [info["status"] for info in infos] == ["DONE"] * 4
    assert {info["env_id"] for info in infos} == {"pong", "ms_pacman"}
    assert {info["objective_label"] for info in infos} == {"clip_0.1", "a2c"}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("env=atari", "env.game has no value: choose a game, such as env.game=pong."),
        ("env=atari env.game=breakot", "env.game=breakot is not known (did you mean breakout?)"),
        ("env=hopper env.game=pong", "env.game and env.atari are for env.backend=atari, not for"),
        ("env=atari env.game=pong env.atari.nop_max=3", "did you mean env.atari.noop_max?"),
        ("env=atari env.game=pong env.atari.frame_skip=0", "frame_skip=0 must be above 0"),
        ("env=atari env.game=pong env.atari.stack_padding=zeros", "did you mean zero?"),
        ("env=atari env.game=pong algorithm=trpo", "say algorithm=ppo or a2c"),
        ("env=atari env.game=pong policy=mlp", "policy=cnn_a3c or cnn_nature"),
        ("env=atari env.game=pong policy.shared=false", "say policy.shared=true"),
        ("env=hopper policy=cnn_nature", "policy=cnn_nature takes frames"),
        ("env=atari env.game=pong env.atari.screen_size=9", "raise env.atari.screen_size"),
        ("env=atari env.game=pong policy.convolutions=[[16,8]]", "[channels, kernel, stride]"),
        (
            "env=atari env.game=pong recipe.observation_normalization=step",
            "for Atari say recipe.observation_normalization=none",
        ),
        ("env=hopper tuned/budget=atari/quick", "tuned/budget is not a key"),
    ],
)
def test_mistakes_are_one_sentence(cli: Cli, line: str, sentence: str) -> None:
    done = cli(*line.split())
    assert done.code == 2
    assert sentence in done.err and done.err.count("\n") == 1


def test_gymnasium_users_get_the_same_game() -> None:
    import gymnasium

    from repro.envs.atari.vector import AtariVectorEnv

    vector = AtariVectorEnv("breakout", 1, settings())
    env = gymnasium.make(
        "repro.envs.atari.single:repro/Atari-v0", game="breakout", settings=settings()
    )
    seen, _ = env.reset(seed=3)
    np.testing.assert_array_equal(seen, vector.reset(seed=3)[0][0])
    rng, ends, told = np.random.default_rng(0), 0, []
    for _ in range(300):
        action = rng.integers(4)
        seen, reward, terminated, truncated, info = env.step(action)
        following, rewards, *_, infos = vector.step(np.array([action]))
        assert reward == rewards[0]
        if terminated or truncated:
            ends += 1
            np.testing.assert_array_equal(seen, infos["final_obs"][0])
            seen, _ = env.reset()
            told += [info["episode"]["r"]] if "episode" in info else []
        np.testing.assert_array_equal(seen, following[0])
    assert ends > len(told) > 0
    again, _ = env.reset(seed=3)
    np.testing.assert_array_equal(again, vector.reset(seed=3)[0][0])
    with pytest.raises(ConfigError, match=r"env\.game=breakot"):
        gymnasium.make("repro/Atari-v0", game="breakot", settings=settings())
