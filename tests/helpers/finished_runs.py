"""Runs that take a moment, and a second way to play them: one environment and plain torch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from repro import evaluate
from repro.envs.vector import FloatArray
from repro.evaluation import episodes
from repro.runs import store
from repro.runs.finished import FinishedRun, open_run
from repro.training import pack
from tests.helpers.configs import compose


def finish(runs_dir: Path, line: str) -> FinishedRun:
    """Train a run of a few iterations, unless it is there already."""
    config = compose("budget=smoke", f"runs_dir={runs_dir}", *line.split())
    (outcome,) = pack.run_pack([config])
    assert outcome.status in (store.DONE, pack.SKIPPED), outcome.error
    return open_run(outcome.directory)


class Oracle:
    """A run's policy by the textbook: what `parameters.npz` says, a layer after the other."""

    def __init__(self, run: FinishedRun) -> None:
        self.config = run.config
        with np.load(run.directory / "parameters.npz", allow_pickle=False) as archive:
            self.saved = {name: torch.from_numpy(archive[name]) for name in archive.files}

    def mean(self, observation: Any) -> torch.Tensor:
        """Means or logits."""
        x = self.normalized(torch.as_tensor(np.asarray(observation, np.float64))).float()
        tower = "shared" if self.config.policy.shared else "actor"
        activation = {"tanh": torch.tanh, "relu": torch.relu}[self.config.policy.activation]
        for layer in range(len(self.config.policy.hidden_sizes)):
            x = activation(self.layer(x, f"{tower}.{layer}"))
        return self.layer(x, "policy")

    def layer(self, x: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = self.saved[f"{name}.weight"], self.saved[f"{name}.bias"]
        return torch.nn.functional.linear(x, weight.T, bias[0])

    def normalized(self, x: torch.Tensor) -> torch.Tensor:
        recipe = self.config.recipe
        if recipe.observation_normalization == "none":
            return x
        variance = self.saved["observations.variance"].clamp(min=recipe.observation_variance_floor)
        x = (x - self.saved["observations.mean"]) / (variance + recipe.observation_epsilon).sqrt()
        limit = recipe.observation_clip
        return x if limit is None else x.clamp(-limit, limit)

    def action(self, env: Any, observation: Any, noise: np.random.Generator | None) -> Any:
        mean = self.mean(observation)
        if isinstance(env.action_space, gymnasium.spaces.Discrete):
            if noise is None:
                return int(mean.argmax())
            edges = torch.softmax(mean, 0).cumsum(0)[:-1].numpy()
            return int(np.searchsorted(edges, noise.random(dtype=np.float32), side="right"))
        action = mean.numpy()
        if noise is not None and "log_std" in self.saved:
            std = self.saved["log_std"][0].exp().numpy()
            action = action + std * noise.standard_normal(len(std), np.float32)
        if self.config.recipe.clip_actions:
            action = np.clip(action, env.action_space.low, env.action_space.high)
        return action

    def episode(self, seed: int, number: int, deterministic: bool) -> tuple[float, int]:
        """Return and length."""
        env_seed, noise = episodes.start(seed, number)
        env = single(self.config.env.id)
        observation, _ = env.reset(seed=env_seed)
        total, length, over = 0.0, 0, False
        while not over:
            action = self.action(env, observation, None if deterministic else noise)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, length, over = total + float(reward), length + 1, terminated or truncated
        return total, length

    def episodes(self, seed: int, episodes: int, deterministic: bool) -> tuple[FloatArray, Any]:
        """[E] each."""
        played = [self.episode(seed, k, deterministic) for k in range(1, episodes + 1)]
        return np.array([total for total, _ in played]), np.array([length for _, length in played])


def single(env_id: str, **settings: Any) -> gymnasium.Env[Any, Any]:
    """Gymnasium's own environment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return gymnasium.make(env_id, disable_env_checker=True, **settings)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Code and sentence of a `python -m repro.evaluate` that does nothing else."""
    capsys.readouterr()
    code = evaluate.run([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert not printed.out and printed.err.count("\n") == 1, printed
    return code, printed.err
