"""`evaluate` and `watch` on Atari: whole games, their scores, and their screens."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from repro.algorithms.sb3 import policy as sb3_policy
from repro.evaluation import episodes
from repro.evaluation.evaluations import evaluate
from repro.runs import store
from repro.runs.finished import FinishedRun
from tests.helpers.atari_oracles import gymnasium_game, scores
from tests.helpers.films import decode, show
from tests.helpers.finished_runs import finish

# Nearly random policies do not get stuck; few steps and a limit of frames keep the games short.
SHORT = "env=atari total_timesteps=64 algorithm.learning_rate=1e-5"
QBERT = f"{SHORT} env.game=qbert env.atari.max_game_frames=800"
RUNS = {
    "ppo": QBERT,
    "sb3_ppo": f"{QBERT} algorithm=sb3_ppo policy=cnn_nature",
    "sb3_a2c": f"{SHORT} env.game=breakout algorithm=sb3_a2c env.atari.max_game_frames=900",
}


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


class Game(NamedTuple):
    """One game: its score, the learner's steps, the emulator's frames, and its last screen."""

    score: float
    length: int
    frames: int
    screen: Any


class Oracle:
    """A run's policy: plain torch on `parameters.npz`, or SB3's own."""

    def __init__(self, run: FinishedRun) -> None:
        self.strides = [stride for _, _, stride in run.config.policy.convolutions or ()]
        self.sb3 = None
        if run.config.algorithm.is_sb3:
            self.sb3 = sb3_policy.load(run).policy
        parameters = store.read_parameters(run.directory)
        self.saved = {name: torch.from_numpy(array) for name, array in parameters.items()}

    def act(self, observation: Any, noise: np.random.Generator | None) -> int:
        """From one stack of frames."""
        if self.sb3 is not None:
            if noise is not None:
                torch.manual_seed(int(noise.integers(1 << 63)))
            return int(self.sb3.predict(observation, deterministic=noise is None)[0])
        logits = self.logits(torch.from_numpy(observation)[None].float() / 255)
        if noise is None:
            return int(logits.argmax())
        edges = torch.softmax(logits, 0).cumsum(0)[:-1].numpy()
        return int(np.searchsorted(edges, noise.random(dtype=np.float32), side="right"))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """[1, S, H, W] -> [A]."""
        for layer, stride in enumerate(self.strides):
            weight, bias = (self.saved[f"conv.{layer}.{part}"] for part in ("weight", "bias"))
            x = F.conv2d(x, weight, bias, stride).relu()
        x = x.permute(0, 2, 3, 1).flatten(1)  # this project's networks flatten pixel by pixel
        x = (x @ self.saved["shared.0.weight"] + self.saved["shared.0.bias"]).relu()
        return (x @ self.saved["policy.weight"] + self.saved["policy.bias"])[0]


def play(run: FinishedRun, seed: int, number: int, deterministic: bool = False) -> Game:
    """A whole game through Gymnasium's wrappers, over all its lives."""
    env_seed, noise = episodes.start(seed, number)
    assert run.config.env.atari is not None
    policy = Oracle(run)
    env = gymnasium_game(run.config.env.id, run.config.env.atari)
    observation, _ = env.reset(seed=env_seed)
    length = 0
    while True:
        action = policy.act(np.asarray(observation), None if deterministic else noise)
        observation, _, terminated, truncated, info = env.step(action)
        length += 1
        if scores(env).scores:
            ale = env.unwrapped.ale
            return Game(scores(env).scores[0], length, info["episode_frame_number"],
                        ale.getScreenRGB())  # fmt: skip
        if terminated or truncated:
            observation, _ = env.reset()


@pytest.mark.parametrize("name", RUNS)
def test_episodes_are_whole_games_whatever_the_number_of_environments(
    runs_dir: Path, name: str
) -> None:
    run = finish(runs_dir, RUNS[name])
    done = evaluate(run, 3, 5, num_envs=2)
    alone = evaluate(run, 3, 5, num_envs=1)
    np.testing.assert_array_equal(done.returns, alone.returns)
    np.testing.assert_array_equal(done.lengths, alone.lengths)
    game = play(run, 5, 3)
    assert (done.returns[2], done.lengths[2]) == (game.score, game.length)
    assert len(set(done.lengths)) > 1 and done.returns.any()
    if "qbert" in RUNS[name]:  # whose rewards are multiples of 25
        assert (done.returns % 25 == 0).all() and done.returns.max() >= 100


@pytest.mark.parametrize("name", ["ppo", "sb3_ppo"])
def test_without_noise(runs_dir: Path, name: str) -> None:
    run = finish(runs_dir, RUNS[name])
    done = evaluate(run, 1, 1, deterministic=True)
    game = play(run, 1, 1, deterministic=True)
    assert (done.returns[0], done.lengths[0]) == (game.score, game.length)


def test_a_video_has_every_frame_of_the_same_games(
    runs_dir: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    run = finish(runs_dir, RUNS["sb3_a2c"])
    out = tmp_path / "game.mp4"
    code, said, wrong = show(capsys, run.directory, "--episodes", 2, "--seed", 5, "--out", out)
    assert (code, wrong) == (0, "")
    done = evaluate(run, 2, 5)
    assert said.splitlines() == [
        *(
            f"episode {number}: return {total:,.2f} in {length} steps"
            for number, (total, length) in enumerate(
                zip(done.returns, done.lengths, strict=True), 1
            )
        ),
        f"done: {out}",
    ]
    facts, pictures = decode(out)
    assert facts["size"] == (320, 420) and facts["fps"] == 60
    games = [play(run, 5, number) for number in (1, 2)]
    assert len(pictures) == sum(game.frames for game in games)
    for game, last in zip(games, (games[0].frames - 1, -1), strict=True):
        shown = game.screen.repeat(2, 0).repeat(2, 1).astype(int)
        assert np.abs(shown - pictures[last]).mean() < 5  # the error of compression
        assert np.abs(shown - pictures[last - 60]).mean() > np.abs(shown - pictures[last]).mean()


def test_a_video_has_the_requested_size(
    runs_dir: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    run = finish(runs_dir, f"{SHORT} env.game=qbert env.atari.max_game_frames=100")
    out = tmp_path / "game.mp4"
    size = ("--width", 120, "--height", 64)
    code, said, _ = show(capsys, run.directory, "--out", out, *size)
    (length,) = evaluate(run, 1).lengths
    assert code == 0 and f" in {length} steps" in said
    facts, pictures = decode(out)
    assert facts["size"] == (120, 64) and len(pictures) == 100
