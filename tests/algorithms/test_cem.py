"""The cross-entropy method: its distribution by definition, and whose episode is whose."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from repro.algorithms.cem import CEM, Search
from repro.config.algorithms import CEMSettings
from repro.learning.parameters import StackedParameters
from repro.learning.streams import Streams
from tests.helpers.configs import Compose
from tests.helpers.learners import Learners

SETTINGS = CEMSettings("cem", 100, 1.0, 40, 0.25, 1.0, 0.3, 8)
LEARNERS, SIZE, REAL = 3, 16, 10


def make_search(settings: CEMSettings = SETTINGS) -> Search:
    start = [{"w": np.full((1, SIZE), float(p), np.float32)} for p in range(LEARNERS)]
    real = {"w": (np.arange(SIZE) < REAL).astype(np.float32)[None]}
    mean = StackedParameters(start, torch.device("cpu"))
    return Search(mean, real, settings, [Streams(seed) for seed in range(LEARNERS)])


def test_it_finds_the_top_of_a_quadratic() -> None:
    search = make_search()
    top = torch.linspace(-2, 3, LEARNERS)[:, None] * torch.ones(SIZE)
    start = (search.mean - top)[:, :REAL].norm(dim=1)
    assert (start > 1).all()
    for _ in range(25 * SETTINGS.candidates):
        for p in range(LEARNERS):
            candidate = search.ask(p)
            distance = (candidate - top[p])[:REAL]
            search.tell(p, candidate, -float(distance @ distance))
    assert search.generations.tolist() == [25] * LEARNERS
    assert ((search.mean - top)[:, :REAL].norm(dim=1) < 0.02 * start).all()
    assert (search.variance[:, :REAL] < 1e-3).all()
    still = torch.arange(LEARNERS)[:, None].expand(LEARNERS, SIZE - REAL).float()
    assert torch.equal(search.mean[:, REAL:], still), "padding is no parameter"


def test_a_generation_is_its_elites_mean_and_variance() -> None:
    search, generator = make_search(), np.random.default_rng(0)
    scores = generator.permutation(SETTINGS.candidates).astype(float)
    asked = []
    for score in scores:
        candidate = search.ask(1)
        asked.append(candidate.numpy().copy())
        search.tell(1, candidate, score)
    best = np.stack(asked)[scores >= 30]  # 10 of 40
    np.testing.assert_allclose(search.mean[1].numpy(), best.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(search.variance[1].numpy(), best.var(0), rtol=1e-4, atol=1e-6)
    assert search.generations.tolist() == [0, 1, 0] and search.count.tolist() == [0, 0, 0]


@pytest.mark.parametrize(("generation", "extra"), [(0, 0.09), (4, 0.045), (8, 0.0), (20, 0.0)])
def test_extra_noise_decays(generation: int, extra: float) -> None:
    search = make_search()
    search.variance = 0.01 * search._real.expand_as(search.mean)
    search.generations[:] = generation
    drawn = torch.stack([search.ask(0) for _ in range(4000)])
    variance = drawn[:, :REAL].var(0).mean()
    assert float(variance) == pytest.approx(0.01 + extra, rel=0.05)
    assert (drawn[:, REAL:] == 0).all()


def mlp(weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    for layer in ("actor.0", "actor.1"):
        x = np.tanh(x @ weights[f"{layer}.weight"] + weights[f"{layer}.bias"][0])
    return x @ weights["policy.weight"] + weights["policy.bias"][0]


def unpack(cem: CEM, flat: torch.Tensor) -> dict[str, np.ndarray]:
    (part,) = cem.parts
    named = zip(part.views, part.split(flat[None]), strict=True)
    return cem.policy.trim({name: x[0].numpy() for name, x in named})


@pytest.mark.parametrize(
    "task", ["env=gymnasium env.id=CartPole-v1", "env=reacher", "env=inverted_pendulum"]
)
@pytest.mark.parametrize("num_envs", [1, 3])
def test_every_candidate_gets_its_own_score(
    config: Compose, learners: Learners, monkeypatch: pytest.MonkeyPatch, task: str, num_envs: int
) -> None:
    small = f"recipe=sb3 algorithm.candidates=5 algorithm.horizon=300 env.num_envs={num_envs}"
    cem = learners([config("algorithm=cem", *f"{task} {small}".split())])
    started = [[x.clone()] for x in cem.candidates[0]]  # by actor, in order
    told: list[tuple[torch.Tensor, float]] = []
    tell, end = cem.search.tell, cem.collector._ended

    def tells(p: int, candidate: torch.Tensor, score: float) -> None:
        told.append((candidate.clone(), score))
        tell(p, candidate, score)

    def ended(p: int, n: int, score: float) -> None:
        end(p, n, score)
        started[n].append(cem.candidates[p, n].clone())

    monkeypatch.setattr(cem.search, "tell", tells)
    monkeypatch.setattr(cem.collector, "_ended", ended)
    rollouts: list[Any] = []
    update = cem.update
    monkeypatch.setattr(
        cem, "update", lambda rollout: (rollouts.append(rollout), update(rollout))[1]
    )
    row = cem.iterate()
    assert [score for _, score in told] == row.episodes[0].returns and len(told) > 5
    assert row.metrics["minibatches"][0] == len(told) // 5

    shape = (300, num_envs)
    (rollout,) = rollouts
    inputs, actions = (x[0].view(*shape, -1).numpy() for x in (rollout.inputs, rollout.actions))
    ends = (rollout.terminated | rollout.truncated)[0].numpy()
    for n in range(num_envs):
        episode, total = 0, 0.0
        for t in range(300):
            out = mlp(unpack(cem, started[n][episode]), inputs[t, n])
            expected = [np.argmax(out)] if cem.policy.discrete else out
            np.testing.assert_allclose(actions[t, n], expected, atol=1e-4)
            total += float(rollout.rewards[0, t, n])
            if ends[t, n]:
                score = next(s for x, s in told if torch.equal(x, started[n][episode]))
                assert score == pytest.approx(total, abs=1e-3)
                episode, total = episode + 1, 0.0
        assert episode == len(started[n]) - 1


@pytest.mark.slow
def test_its_mean_solves_inverted_pendulum(config: Compose, learners: Learners) -> None:
    """With 50 candidates a generation, in 200,000 steps: 1,000 is the most there is."""
    task = ("env=inverted_pendulum", "algorithm=cem", "algorithm.candidates=50")
    pack = learners([config(*task, "total_timesteps=200000", f"seed={s}") for s in range(3)])
    for _ in pack.train():
        pass
    for p in range(3):
        state = pack.state(p)
        variance = np.maximum(state["observations.variance"], 0.01)
        env, returns = gymnasium.make("InvertedPendulum-v4"), []
        for seed in range(10):
            x, done, total = env.reset(seed=seed)[0], False, 0.0
            while not done:
                z = np.clip((x - state["observations.mean"]) / np.sqrt(variance), -5, 5)
                x, reward, terminated, truncated, _ = env.step(mlp(state, z))
                total, done = total + float(reward), terminated or truncated
            returns.append(total)
        assert np.mean(returns) > 950, (p, returns)
