"""Runs of Stable-Baselines3: its own training to the last bit, and our tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from sb3_contrib import TRPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecNormalize

from repro.algorithms.sb3 import algorithm
from repro.algorithms.sb3 import mapping as sb3_mapping
from repro.runs import store
from repro.sweeps import packs
from repro.training.pack import run_pack
from tests.helpers.cli import ROOT, Cli, environment
from tests.helpers.configs import compose
from tests.helpers.sb3_runs import CARTPOLE, FILTER, NAMES, POLE, SMALL, small

CPU = torch.device("cpu")


def tables(run: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return store.read_table(run / "episodes.parquet"), store.read_table(run / "progress.parquet")


# -- it is Stable-Baselines3 -----------------------------------------------------------------------


def by_hand(name: str, envs: Any) -> OnPolicyAlgorithm:
    """What the documentation of Stable-Baselines3 would write, its defaults left unsaid."""
    common: dict[str, Any] = {"seed": 3, "device": "cpu"}
    if name == "sb3_ppo":
        return PPO("MlpPolicy", envs, n_steps=64, batch_size=32, n_epochs=2, **common)
    if name == "sb3_a2c":
        return A2C("MlpPolicy", envs, n_steps=16, **common)
    dimensions = envs.action_space.shape[0]
    return TRPO(
        "MlpPolicy",
        envs,
        n_steps=64,
        batch_size=32,
        n_critic_updates=2,
        gae_lambda=0.98,
        cg_max_steps=10,
        cg_damping=0.1 / dimensions,
        target_kl=0.01 / dimensions,
        line_search_shrinking_factor=0.5,
        **common,
    )


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_its_own_learn(name: str, filtered: bool) -> None:
    """To the last bit, and with the defaults of its classes where nothing is said."""
    plain = "algorithm.rmsprop=torch algorithm.learning_rate_schedule=constant"
    further = [plain if name == "sb3_a2c" else "", FILTER if filtered else ""]
    config = small(name, "env=reacher seed=3 env.num_envs=2", *further)
    ours = algorithm.StableBaselines3(config, CPU)
    records = list(ours.train())
    assert [record.number for record in records] == list(range(1, config.updates + 1))
    envs = make_vec_env("Reacher-v4", n_envs=2)
    theirs = by_hand(name, VecNormalize(envs) if filtered else envs)
    start = algorithm.policy_state(theirs.policy)
    theirs.learn(config.total_timesteps)
    expected = algorithm.policy_state(theirs.policy) | algorithm.normalizer_state(
        theirs.get_vec_normalize_env()
    )
    state = ours.state(0)
    assert sorted(state) == sorted(expected)
    for key, array in expected.items():
        np.testing.assert_array_equal(state[key], array, err_msg=key)
    assert any((state[key] != array).any() for key, array in start.items())
    # Its buffer has the returns, rounded to six digits.
    found = [r for record in records for r in record.episodes[0].returns]
    np.testing.assert_allclose(found, [e["r"] for e in theirs.ep_info_buffer], atol=1e-6)


@pytest.mark.parametrize("name", ["sb3_ppo", "sb3_a2c"])
def test_schedules_are_those_of_ours(name: str, tmp_path: Path) -> None:
    """Also where the last iteration goes beyond the steps that were asked for."""
    linear = "algorithm.learning_rate_schedule=linear"
    if name == "sb3_ppo":
        linear = "recipe.learning_rate_schedule=linear recipe.epsilon_schedule=linear"
    line = f"{POLE} recipe=sb3 {linear} total_timesteps=300 runs_dir={tmp_path}"
    theirs, ours = (
        tables(run_pack([config])[0].directory)[1]
        for config in (
            small(name, line),
            compose(*f"algorithm={name[4:]} {SMALL[name]} {line}".split()),
        )
    )
    assert len(theirs) == len(ours) > 3
    for column in ("step", "learning_rate", "epsilon", "minibatches"):
        np.testing.assert_allclose(theirs[column], ours[column], rtol=1e-6, err_msg=column)
    assert theirs["learning_rate"].is_monotonic_decreasing and theirs["learning_rate"].min() > 0


# -- its tables ------------------------------------------------------------------------------------


class Log(gymnasium.Wrapper):
    """Writes down every reward and end, below the `Monitor`."""

    everything: list[list[tuple[float, bool]]]

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.steps: list[tuple[float, bool]] = []
        Log.everything.append(self.steps)

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.steps.append((float(reward), terminated or truncated))
        return observation, reward, terminated, truncated, info


def episodes_of(logs: list[list[tuple[float, bool]]], batch: int) -> list[tuple[Any, ...]]:
    """(iteration, step, actor, return, length), as our tables count them."""
    found, count = [], len(logs)
    totals, lengths = [0.0] * count, [0] * count
    for t, steps in enumerate(zip(*logs, strict=True)):
        for actor, (reward, end) in enumerate(steps):
            totals[actor] += reward
            lengths[actor] += 1
            if end:
                step = (t + 1) * count
                row = (-(-step // batch), step, actor, totals[actor], lengths[actor])
                found.append(row)
                totals[actor], lengths[actor] = 0.0, 0
    return found


@pytest.mark.parametrize("filtered", ["", FILTER])
@pytest.mark.parametrize("name", NAMES)
def test_episodes_are_those_that_the_tasks_had(
    name: str, filtered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Log.everything = []
    make = sb3_mapping.make_env
    monkeypatch.setattr(sb3_mapping, "make_env", lambda *task: Monitor(Log(make(*task).env)))
    config = small(name, f"{POLE} env.num_envs=3 runs_dir={tmp_path}", filtered)
    (outcome,) = run_pack([config])
    assert outcome.status == store.DONE
    episodes, progress = tables(outcome.directory)
    assert list(episodes) == list(store.EPISODES) and list(progress) == list(store.PROGRESS)
    expected = episodes_of(Log.everything, config.batch_size)
    assert [tuple(row) for row in episodes.itertuples(index=False)] == expected
    assert len(expected) > 5
    counts = episodes.groupby("iteration").size().reindex(progress["iteration"], fill_value=0)
    assert progress["episodes"].tolist() == counts.tolist()
    assert episodes["length"].sum() <= progress["step"].iloc[-1]
    assert progress["step"].tolist() == [config.batch_size * i for i in progress["iteration"]]
    means = episodes.groupby("iteration")["return"].mean()
    np.testing.assert_allclose(progress.set_index("iteration")["return_mean"].dropna(), means)


@pytest.mark.parametrize("task", [POLE, CARTPOLE])
@pytest.mark.parametrize("name", NAMES)
def test_columns_are_what_they_are_called(name: str, task: str) -> None:
    """Against the definitions, in float64, from the parameters before and after an update."""
    far = {"sb3_ppo": "algorithm.learning_rate=0.01", "sb3_a2c": "algorithm.learning_rate=5"}
    line = f"{task} algorithm.gae_lambda=0.9 {far.get(name, '')}"
    run = algorithm.StableBaselines3(small(name, line), CPU)
    policy, buffer = run.model.policy, run.model.rollout_buffer
    old = algorithm.policy_state(policy)
    row = next(run.train())
    new = algorithm.policy_state(policy)
    observations = buffer.observations.reshape(-1, *buffer.observations.shape[-1:])
    returns = buffer.returns.flatten().astype(float)
    values = network(new, "value_net", observations)[:, 0]
    expected = {
        "value_loss": np.square(values - returns).mean(),
        "explained_variance": explained_variance(buffer.values.flatten(), returns),
        **statistics(old, new, observations),
    }
    for column, value in expected.items():
        found = row.metrics[column][0]
        np.testing.assert_allclose(found, value, rtol=2e-4, atol=1e-6, err_msg=column)
    assert row.metrics["kl"][0] > 1e-4
    seconds = row.seconds
    assert all(value > 0 for value in seconds.values()) and "forward" in seconds
    assert np.isnan(row.metrics["beta"]) and np.isnan(row.metrics["gradient_norm"])
    steps = {"sb3_ppo": 2 * 2, "sb3_a2c": 1, "sb3_trpo": row.metrics["minibatches"][0]}
    assert row.metrics["minibatches"][0] == steps[name]
    if name == "sb3_ppo":
        actions, log_prob = buffer.actions.flatten(), buffer.log_probs.flatten()
        ratio = np.exp(log_probs(new, observations, actions) - log_prob)
        clipped = np.clip(ratio, 0.8, 1.2)
        terms = np.minimum(ratio * buffer.advantages.ravel(), clipped * buffer.advantages.ravel())
        np.testing.assert_allclose(row.metrics["clip_fraction"][0], (ratio != clipped).mean())
        np.testing.assert_allclose(row.metrics["surrogate"][0], terms.mean(), rtol=1e-3, atol=1e-5)


def network(state: dict[str, Any], head: str, x: np.ndarray) -> np.ndarray:
    tower = "policy_net" if head == "action_net" else head
    for layer in (f"mlp_extractor.{tower}.0", f"mlp_extractor.{tower}.2"):
        x = np.tanh(x @ state[f"{layer}.weight"].T.astype(float) + state[f"{layer}.bias"])
    return np.asarray(x @ state[f"{head}.weight"].T.astype(float) + state[f"{head}.bias"])


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def log_probs(state: dict[str, Any], observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    out = network(state, "action_net", observations)
    if "log_std" not in state:
        return log_softmax(out)[np.arange(len(out)), actions.astype(int)]
    std = np.exp(state["log_std"].astype(float))
    return -0.5 * ((actions - out[:, 0]) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)


def statistics(
    old: dict[str, Any], new: dict[str, Any], observations: np.ndarray
) -> dict[str, float]:
    p, q = (network(state, "action_net", observations) for state in (old, new))
    if "log_std" not in old:
        p, q = log_softmax(p), log_softmax(q)
        kl = (np.exp(p) * (p - q)).sum(-1).mean()
        return {"kl": kl, "entropy": -(np.exp(q) * q).sum(-1).mean(), "std": np.nan}
    s, t = (np.exp(state["log_std"].astype(float)) for state in (old, new))
    kl = (np.log(t / s) + (s**2 + (p - q) ** 2) / (2 * t**2) - 0.5).sum(-1).mean()
    entropy = (0.5 * np.log(2 * np.pi * np.e) + np.log(t)).sum()
    return {"kl": kl, "entropy": entropy, "std": t.mean()}


# -- in sweeps -------------------------------------------------------------------------------------


def test_each_is_a_pack_of_its_own() -> None:
    theirs = [small("sb3_ppo", POLE, f"seed={seed}") for seed in range(3)]
    ours = [compose(POLE, f"seed={seed}") for seed in range(3)]
    assert packs.group([*theirs, *ours]) == [[0], [1], [2], [3, 4, 5]]
    plan = packs.plan([*theirs, *ours], workers=2, max_pack=2)
    alone = [pack for pack in plan if pack.configs[0].algorithm.is_sb3]
    assert [len(pack.configs) for pack in alone] == [1, 1, 1]
    one = packs.Pack((compose(POLE, "algorithm=sb3_ppo"),))
    assert one.cost > 10 * packs.Pack((compose(POLE),)).cost


def test_a_sweep_over_ours_and_theirs(cli: Cli) -> None:
    line = f"-m env=reacher budget=smoke algorithm=ppo,a2c,trpo,{','.join(NAMES)} seed=0,1"
    done = cli(*line.split(), "hydra.launcher.backend=serial")
    assert done.code == 0, done.err
    infos = [store.read_run(run) for run in store.run_directories(Path("runs"))]
    assert len(infos) == 12 and {info["status"] for info in infos} == {store.DONE}
    for info in infos:
        foreign = info["algorithm"] in NAMES
        assert info["recipe"] == ("sb3" if foreign else "paper")
        assert info["pack_size"] == (1 if foreign else 2)
        assert info["versions"]["stable-baselines3"] and info["versions"]["sb3-contrib"]
        assert info["digest"]


def test_nothing_loads_it_that_does_not_run_it() -> None:
    code = "import repro.sweeps.sweep, sys; "
    code += "assert not {'stable_baselines3', 'sb3_contrib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=environment(), cwd=ROOT)
