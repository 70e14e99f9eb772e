"""Networks of frames: against Stable-Baselines3, in packs, and the frames that a rollout stores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO as SB3PPO

from repro.config.schema import Config
from repro.engines.batches import Batch
from repro.networks.distributions import Categorical
from repro.networks.frames import FrameStacks
from tests.helpers import bits
from tests.helpers.bits import assert_equal_bits
from tests.helpers.configs import Compose, compose
from tests.helpers.learners import Learners
from tests.helpers.sb3_twins import a2c_twin, sb3_orders, share_rollouts, to_sb3, twin

SMALL = ["env=atari", "env.num_envs=4", "algorithm.horizon=16", "total_timesteps=6400"]
SMALL_PPO = ["algorithm.minibatch_size=32", "algorithm.epochs=2"]
TINY = ["env.atari.screen_size=44", "policy.hidden_sizes=[48]"]


def assert_moved_alike(ours: dict, theirs: dict, start: dict) -> None:
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], atol=2e-5, rtol=0, err_msg=name)
    weights = [name for name in ours if name.endswith("weight")]  # a bias may come back to 0
    moved = {name: float((ours[name] - start[name]).abs().max()) for name in weights}
    assert min(moved.values()) > 1e-4, f"an update that moves nothing proves nothing: {moved}"


@pytest.mark.parametrize("network", ["cnn_a3c", "cnn_nature"])
def test_one_ppo_update_equals_stable_baselines3s(
    config: Compose, learners: Learners, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    own = config("recipe=sb3", "env.game=breakout", f"policy={network}", *SMALL, *SMALL_PPO)
    ppo = learners([own])
    ppo.iterate()
    before = to_sb3(ppo.weights(0))
    ppo.adam.mean.zero_(), ppo.adam.variance.zero_(), ppo.adam.steps.zero_()
    done = 1 / own.updates  # both schedules are linear here
    model = twin(
        SB3PPO,
        ppo,
        batch_size=own.algorithm.minibatch_size,
        n_epochs=own.algorithm.epochs,
        learning_rate=own.algorithm.learning_rate * (1 - done),
        ent_coef=own.algorithm.entropy_coef,
        vf_coef=own.algorithm.value_coef,
        clip_range=own.objective["epsilon"] * (1 - done),
        max_grad_norm=own.recipe.max_grad_norm,
    )
    orders = iter(sb3_orders(ppo, own))
    share_rollouts(model, ppo, monkeypatch)
    record = ppo.iterate()
    monkeypatch.setattr(np.random, "permutation", lambda size: next(orders))
    model.train()
    assert_moved_alike(to_sb3(ppo.weights(0)), model.policy.state_dict(), before)
    assert record.metrics["learning_rate"][0] == pytest.approx(2.5e-4 * (1 - done))
    assert record.metrics["epsilon"][0] == pytest.approx(0.1 * (1 - done))


@pytest.mark.parametrize("network", ["cnn_a3c", "cnn_nature"])
def test_a2c_updates_equal_stable_baselines3s(
    config: Compose, learners: Learners, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    words = f"algorithm=a2c env=atari env.game=breakout recipe=sb3 policy={network}"
    rate = "algorithm.learning_rate=0.03 algorithm.learning_rate_schedule=constant env.num_envs=4"
    a2c = learners([config(*f"{words} {rate}".split())])
    model = a2c_twin(a2c)
    start = to_sb3(a2c.weights(0))
    share_rollouts(model, a2c, monkeypatch)
    for _ in range(6):
        a2c.iterate()
        model.train()
    assert_moved_alike(to_sb3(a2c.weights(0)), model.policy.state_dict(), start)


def pack(*overrides: str) -> list[Config]:
    return [
        compose("env.game=breakout", f"seed={seed}", *SMALL, *TINY, *overrides) for seed in range(3)
    ]


@pytest.mark.parametrize(
    "overrides",
    [SMALL_PPO, ("algorithm=a2c",), (*SMALL_PPO, "policy=cnn_nature", "recipe=ppo2")],
)
def test_a_learner_has_the_same_bits_alone_and_in_a_pack(
    learners: Learners, overrides: tuple[str, ...]
) -> None:
    configs = pack(*overrides)
    packed = bits.traces(learners(configs), 3)
    for p in (0, 2):
        assert_equal_bits(packed[p], bits.traces(learners([configs[p]]), 3)[0])


@pytest.mark.parametrize("padding", ["reset", "zero"])
def test_frames_are_stored_once_and_stacks_equal_the_environments(
    config: Compose, learners: Learners, padding: str
) -> None:
    """Over several rollouts, in which lives and games end."""
    own = config(
        *("env.game=breakout", *SMALL, *SMALL_PPO, "algorithm.horizon=48"),
        *(f"env.atari.stack_padding={padding}", "env.atari.max_game_frames=300"),
    )
    ppo = learners([own])
    collector = ppo.collector
    ends = 0
    for iteration in (1, 2, 3):
        seen = [collector.envs.observations.copy()]
        step = type(collector.envs).step

        def listen(actions: np.ndarray, seen: list = seen, step: object = step) -> object:
            result = step(collector.envs, actions)  # type: ignore[operator]
            seen.append(result[0].copy())
            return result

        collector.envs.step = listen
        rollout = collector.collect(iteration)
        assert isinstance(rollout.inputs, FrameStacks)
        samples = torch.arange(rollout.inputs.count)[None]
        kept = rollout.inputs.take(samples)[0].numpy()
        np.testing.assert_array_equal(kept, np.concatenate(seen[:-1]))
        assert torch.equal(torch.cat(list(rollout.inputs.chunks(7)), 1)[0], torch.from_numpy(kept))
        values = ppo.networks.value(rollout.inputs).view(rollout.values.shape)
        torch.testing.assert_close(values, rollout.values, atol=1e-5, rtol=1e-4)
        ends += int((rollout.terminated | rollout.truncated).sum())
    assert ends > 10
    stored = collector._seen.frames.numel()
    assert stored < 1.1 * 48 * 4 * 84 * 84, "a frame is stored four times"


def test_a_games_time_limit_bootstraps_from_its_last_frame(
    config: Compose, learners: Learners
) -> None:
    words = "env.atari.max_game_frames=60 env.atari.episodic_life=false env.game=pong"
    own = config(*SMALL, *SMALL_PPO, *TINY, *words.split(), "recipe=sb3")
    ppo = learners([own])
    step, finals = ppo.collector.envs.step, {}

    def listen(actions: np.ndarray) -> object:
        result = step(actions)
        if result[3].any():
            finals[len(steps)] = (result[3].copy(), result[4]["final_obs"].copy())
        steps.append(1)
        return result

    steps: list[int] = []
    ppo.collector.envs.step = listen
    rollout = ppo.collector.collect(1)
    assert finals and rollout.truncated.any() and not rollout.terminated.any()
    for t, (truncated, last) in finals.items():
        values = ppo.networks.value(torch.from_numpy(last)[None])[0]
        chosen = torch.from_numpy(truncated)
        torch.testing.assert_close(rollout.next_values[0, t][chosen], values[chosen])
        assert not torch.equal(rollout.next_values[0, t][chosen], rollout.values[0, t][chosen])


def test_initial_parameters_are_drawn_as_in_the_sources(
    config: Compose, learners: Learners
) -> None:
    ppo1 = learners([config("env.game=pong", "recipe=ppo1", *SMALL, *SMALL_PPO)]).weights(0)
    assert ppo1["conv.0.weight"].shape == (16, 1, 8, 8)
    assert ppo1["shared.0.weight"].shape == (32 * 9 * 9, 256)
    bound = np.sqrt(6 / (64 + 16 * 64))  # fan in + fan out
    largest = np.abs(ppo1["conv.0.weight"]).max()
    assert 0.98 * bound < largest <= bound
    np.testing.assert_allclose(np.linalg.norm(ppo1["shared.0.weight"], axis=0), 1, rtol=1e-5)
    paper = learners([config("env.game=pong", *SMALL, *SMALL_PPO)]).weights(0)
    rows = paper["conv.0.weight"].reshape(16, -1)
    np.testing.assert_allclose(rows @ rows.T, 2 * np.eye(16), atol=1e-4)
    sb3 = learners([config("env.game=pong", "recipe=sb3", "policy=cnn_nature", *SMALL, *SMALL_PPO)])
    rows = sb3.weights(0)["conv.1.weight"].reshape(64, -1)
    np.testing.assert_allclose(rows @ rows.T, 2 * np.eye(64), atol=1e-4)


def test_value_clipping_follows_epsilon_where_the_recipe_says_so(
    config: Compose, learners: Learners
) -> None:
    """ppo2 clips the value function to the annealed range, which shrinks to zero."""
    losses = []
    for schedule in ("linear", "constant"):
        own = config(
            *("env.game=breakout", "recipe=ppo2", *SMALL, *SMALL_PPO, *TINY, "total_timesteps=640"),
            f"recipe.value_clip_schedule={schedule}",
        )
        ppo = learners([own])
        ppo.iteration = 10
        ppo.begin()
        values = torch.tensor([[0.05, 1.0]])
        nothing, targets = torch.zeros(1, 2), torch.tensor([[0.05, 1.0]])
        old = Categorical(torch.zeros(1, 2, 4))
        batch = Batch(nothing, nothing, old, nothing, targets, values=nothing)
        losses.append(ppo.value_clip.loss(values, batch))
    clip = 0.1 * (1 - 9 / 10)
    expected = torch.tensor([[(0.05 - clip) ** 2, (1 - clip) ** 2]])
    torch.testing.assert_close(losses[0], expected)
    torch.testing.assert_close(losses[1], torch.tensor([[0.0, 0.81]]))


def test_a_failing_learner_does_not_change_the_bits_of_the_others(learners: Learners) -> None:
    configs = pack(*SMALL_PPO)
    alone = bits.traces(learners([configs[1]]), 2)[0]
    broken = learners(configs)
    broken.parameters.flat[0] = float("nan")
    broken.iterate()
    assert broken.active == [1, 2]
    broken.iterate()
    for name, value in broken.weights(1).items():
        np.testing.assert_array_equal(value, alone[name], err_msg=name)
