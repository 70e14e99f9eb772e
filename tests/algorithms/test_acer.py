"""ACER's update against a derivation from the paper in float64, and against A2C's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from repro.errors import ConfigError
from tests.helpers.bits import assert_equal_bits
from tests.helpers.configs import Compose
from tests.helpers.learners import Learners

CARTPOLE = "env=gymnasium env.id=CartPole-v1 recipe=sb3"
SMALL = f"{CARTPOLE} env.num_envs=3 algorithm=acer algorithm.horizon=5 policy.hidden_sizes=[8]"
EARLY = "algorithm.replay_start=0 algorithm.replay_size=40"


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Paper:
    """One learner's step, sample by sample in float64, written from Wang et al.'s algorithm 2.

    Two towers with one hidden layer of tanh; gradients by hand.
    """

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.w = {name: value.astype(np.float64) for name, value in weights.items()}

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        actor = np.tanh(x @ self.w["actor.0.weight"] + self.w["actor.0.bias"][0])
        critic = np.tanh(x @ self.w["critic.0.weight"] + self.w["critic.0.bias"][0])
        pi = softmax(actor @ self.w["policy.weight"] + self.w["policy.bias"][0])
        q = critic @ self.w["value.weight"] + self.w["value.bias"][0]
        return actor, pi, critic, q

    def gradient(
        self, segment: dict[str, Any], average: Paper, settings: Any, gamma: float
    ) -> dict[str, np.ndarray]:
        """d loss / d theta, the mean over the T N samples."""
        total = {name: np.zeros_like(value) for name, value in self.w.items()}
        steps, actors = segment["actions"].shape
        for n in range(actors):
            target = None
            for t in reversed(range(steps)):
                x, a = segment["x"][t, n], segment["actions"][t, n]
                actor, pi, critic, q = self.forward(x)
                v, mu = pi @ q, segment["mu"][t, n]
                # Q^ret <- r_t + gamma Q^ret, where Q^ret is what the next step left
                if target is None:
                    _, pi_last, _, q_last = self.forward(segment["x"][steps, n])
                    target = pi_last @ q_last
                target = segment["rewards"][t, n] + gamma * target
                if segment["terminated"][t, n]:
                    target = segment["rewards"][t, n]
                elif segment["truncated"][t, n]:
                    target = q[a]
                rho = pi / mu
                g = np.zeros(len(pi))
                g[a] = min(settings.truncation, rho[a]) * (target - v) / pi[a]
                for b in range(len(pi)):
                    g[b] += max(0, 1 - settings.truncation / rho[b]) * (q[b] - v)
                    g[b] -= settings.entropy_coef * (np.log(pi[b]) + 1)
                k = -average.forward(x)[1] / pi
                z = g - max(0, (k @ g - settings.delta) / (k @ k)) * k
                # Backward: through the softmax and the actor, then through Q and the critic.
                logits = -pi * (z - pi @ z)
                self._add(total, "policy", "actor", logits, actor, x)
                error = np.zeros(len(q))
                error[a] = settings.value_coef * (q[a] - target)
                self._add(total, "value", "critic", error, critic, x)
                target = min(1, rho[a]) * (target - q[a]) + v
        return {name: value / (steps * actors) for name, value in total.items()}

    def _add(
        self,
        total: dict[str, np.ndarray],
        head: str,
        tower: str,
        out: np.ndarray,
        hidden: np.ndarray,
        x: np.ndarray,
    ) -> None:
        total[f"{head}.weight"] += np.outer(hidden, out)
        total[f"{head}.bias"][0] += out
        back = (self.w[f"{head}.weight"] @ out) * (1 - hidden**2)
        total[f"{tower}.0.weight"] += np.outer(x, back)
        total[f"{tower}.0.bias"][0] += back


def as_paper_reads(pack: Any, segment: Any, p: int) -> dict[str, Any]:
    steps, actors = segment.rewards.shape[1:]
    found = pack.replay.take(np.full((len(pack.configs), actors), pack.replay.count - 1))
    return {
        "x": segment.inputs[p].double().numpy().reshape(steps + 1, actors, -1),
        "actions": segment.actions[p].numpy().reshape(steps, actors),
        "mu": softmax(segment.mu.logits[p].double().numpy()).reshape(steps, actors, -1),
        "rewards": segment.rewards[p].double().numpy(),
        "terminated": found.terminated[p],
        "truncated": found.truncated[p],
    }


@pytest.mark.parametrize(
    "further",
    [
        "algorithm.truncation=1e6 algorithm.delta=1e6",
        "algorithm.truncation=0.9 algorithm.delta=1e-2",
        "algorithm.truncation=1.05 algorithm.delta=0.5 recipe.time_limit=terminal",
    ],
)
def test_a_step_is_the_papers_in_float64(config: Compose, learners: Learners, further: str) -> None:
    """Away from mu and from the average policy, with terminations and a time limit inside."""
    free = "algorithm.max_grad_norm=null algorithm.learning_rate_schedule=constant"
    pack = learners(
        [
            config(*f"{SMALL} {further} {free} algorithm.replay_ratio=0 seed={s}".split())
            for s in (0, 1)
        ]
    )
    generator = torch.Generator().manual_seed(3)
    for _ in range(12):  # until episodes end
        pack.iterate()
    rollout = pack.collector.collect(13)
    rollout.terminated[:, 2, 0] = True
    rollout.truncated[:, 1, 1] = True
    rollout.truncated[:, 4, 2] = True
    pack.replay.add(rollout, pack.collector.newest())
    noise = torch.randn(pack.parameters.flat.shape, generator=generator)
    real = pack.parameters.flat != 0
    pack.parameters.flat += 0.3 * noise * real
    pack.average += 0.2 * noise.flip(1) * real
    segment = pack.load(np.full((2, 3), pack.replay.count - 1))
    if pack.recipe.time_limit == "terminal":
        assert not segment.cut_off.any()
    weights = [pack.weights(p) for p in range(2)]
    before, squares = pack.parameters.flat.clone(), pack.rmsprop.mean_square.clone()
    old_average = pack.average.clone()
    pack.step(segment, [1e-2, 1e-2], [0, 1])
    settings, gamma = pack.settings, pack.config.algorithm.gamma
    shared = dict(zip(pack.parameters.views, pack.parameters.split(old_average), strict=True))
    for p in range(2):
        read = as_paper_reads(pack, segment, p)
        if pack.recipe.time_limit == "terminal":
            read["terminated"] = read["terminated"] | read["truncated"]
        average = Paper(pack.policy.trim({k: v[p].numpy() for k, v in shared.items()}))
        expected = Paper(weights[p]).gradient(read, average, settings, gamma)
        found = pack.policy.trim(
            {name: view[p].numpy() for name, view in pack.parameters._named_gradients.items()}
        )
        for name, value in expected.items():
            scale = np.abs(value).max()
            np.testing.assert_allclose(found[name], value, atol=2e-4 * scale, err_msg=name)
            assert scale > 1e-6
        # TensorFlow's RMSProp, then the average's step.
        g = pack.parameters._gradient[p].double()
        square = 0.99 * squares[p].double() + 0.01 * g.square()
        moved = before[p].double() - 1e-2 * g / (square + 1e-5).sqrt()
        torch.testing.assert_close(pack.parameters.flat[p].double(), moved, atol=1e-6, rtol=1e-6)
        mixed = 0.99 * old_average[p].double() + 0.01 * moved
        torch.testing.assert_close(pack.average[p].double(), mixed, atol=1e-6, rtol=1e-6)


def test_without_truncation_replay_and_region_it_is_a2c(
    config: Compose, learners: Learners
) -> None:
    """Where Q(x, .) is V(x) for all actions: the same policy, the same returns of T steps."""
    common = "algorithm.horizon=5 algorithm.max_grad_norm=null algorithm.entropy_coef=0.02"
    words = f"{CARTPOLE} env.num_envs=3 policy.hidden_sizes=[8] policy.shared=true {common}"
    off = "algorithm.truncation=1e9 algorithm.trust_region=false algorithm.replay_ratio=0"
    acer = learners([config(*f"{words} algorithm=acer algorithm.value_coef=0.5 {off}".split())])
    a2c = learners(
        [config(*f"{words} algorithm=a2c algorithm.value_coef=0.25 engine=torch".split())]
    )
    for name, view in acer.views.items():
        own = a2c.views[name]
        view[..., : own.shape[-1]] = own
        if name.startswith("value."):
            view[..., : acer.policy.action_size] = own[..., :1]
    a2c.views["policy.weight"][..., :2] = torch.randn(
        a2c.views["policy.weight"][..., :2].shape, generator=torch.Generator().manual_seed(0)
    )
    acer.views["policy.weight"].copy_(a2c.views["policy.weight"])
    for pack in (acer, a2c):
        pack.update(pack.collector.collect(1))
    for name, expected in a2c.parameters._named_gradients.items():
        found = acer.parameters._named_gradients[name]
        if name.startswith("value."):  # each action has the samples that took it
            found, expected = found.sum(-1), expected[..., 0]
        size = float(expected.abs().max())
        assert size > 0
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * max(size, 1), msg=name)


def test_replays_are_drawn_by_the_runs_own_stream(config: Compose, learners: Learners) -> None:
    pack = learners([config(*f"{SMALL} {EARLY} seed={seed}".split()) for seed in range(3)])
    counts = np.array([pack.iterate().metrics["minibatches"] - 1 for _ in range(60)])
    assert np.ptp(counts, axis=1).max() > 0, "learners replay as often as they like"
    assert counts.mean() == pytest.approx(4, abs=0.5)
    assert counts.var() == pytest.approx(4, abs=1.5)


def test_replays_begin_when_there_is_enough(config: Compose, learners: Learners) -> None:
    late = "algorithm.replay_start=20 algorithm.replay_size=40 algorithm.replay_ratio=50"
    pack = learners([config(*f"{SMALL} {late}".split())])
    steps = [int(pack.iterate().metrics["minibatches"][0]) for _ in range(5)]
    assert steps[:3] == [1, 1, 1] and min(steps[3:]) > 20


@pytest.mark.parametrize("task", ["policy.shared=true", "recipe=ppo2", "recipe=paper"])
def test_a_learner_has_the_same_bits_alone_and_in_a_pack(
    config: Compose, learners: Learners, task: str
) -> None:
    from tests.helpers.bits import traces

    words = f"{SMALL} {EARLY} {task} algorithm.learning_rate=3e-3"
    pack = [config(*f"{words} seed={seed}".split()) for seed in range(3)]
    packed = traces(learners(pack), 25)
    for p in (0, 2):
        assert_equal_bits(packed[p], traces(learners([pack[p]]), 25)[0])
    for p, trace in zip((2, 1), traces(learners([pack[2], pack[1]]), 25), strict=True):
        assert_equal_bits(packed[p], trace)


def test_continuous_actions_are_refused(config: Compose, learners: Learners) -> None:
    with pytest.raises(ConfigError, match="takes discrete actions"):
        learners([config("algorithm=acer", "env=reacher")])


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("algorithm.replay_size=10", "holds no segment of algorithm.horizon=20 steps"),
        ("algorithm.replay_size=1000", "algorithm.replay_start=10000 is never reached"),
    ],
)
def test_a_replay_that_cannot_begin_is_refused(config: Compose, line: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        config(*CARTPOLE.split(), "algorithm=acer", line)
    config(*CARTPOLE.split(), "algorithm=acer", line, "algorithm.replay_ratio=0")
