"""Token-level PPO: what holds of one update, whatever is learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro.language import responses
from repro.language.ppo import PPO
from repro.language.texts import PAD
from tests.helpers.bits import assert_equal_bits
from tests.helpers.language import Tiny

CPU = torch.device("cpu")
RECIPES = ("plain", "lm_human_preferences", "instructgpt", "trl")


@pytest.fixture(params=RECIPES)
def stage(tiny: Tiny, request: pytest.FixtureRequest) -> PPO:
    return PPO([tiny(f"recipe={request.param}")], CPU)


def test_sampled_log_probabilities_are_those_of_training(stage: PPO) -> None:
    rollout = stage.collect(stage.parameters.views, 16)
    batch = stage.estimate(rollout)
    logits, values = stage.evaluate(stage.parameters.views, batch.prompts, batch.tokens)
    trained = responses.log_probs(logits, batch.tokens)
    torch.testing.assert_close(
        trained[rollout.mask], rollout.made.log_prob[rollout.mask], atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        values[rollout.states], batch.values[rollout.states], atol=1e-5, rtol=0
    )
    assert rollout.kl.abs().max() < 1e-5  # the policy is its reference


def test_the_first_loss_has_ratio_1_and_its_gradient_is_the_policy_gradient(tiny: Tiny) -> None:
    stage = PPO(
        [tiny("algorithm.value_coef=0", "algorithm.epochs=1", "algorithm.minibatches=1")], CPU
    )
    batch = stage.estimate(stage.collect(stage.parameters.views, 16))
    loss = stage.loss(batch, stage.surrogate.prepare([1.0]))
    clipped = stage.parameters.gradient(loss).clone()
    logits, _ = stage.evaluate(stage.weights, batch.prompts, batch.tokens)
    log_prob = responses.log_probs(logits, batch.tokens)
    plain = -(log_prob * batch.advantages)[batch.mask].mean()
    torch.testing.assert_close(
        loss.item(), -batch.advantages[batch.mask].mean().item(), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(clipped, stage.parameters.gradient(plain), atol=1e-6, rtol=1e-3)


def test_padding_on_either_side_changes_no_loss(tiny: Tiny) -> None:
    stage = PPO([tiny()], CPU)
    batch = stage.estimate(stage.collect(stage.parameters.views, 16))
    surrogate = stage.surrogate.prepare([1.0])
    before = stage.loss(batch, surrogate).item()
    shorter = (batch.prompts == PAD).all(1).sum()  # columns that are padding everywhere
    assert shorter == 0
    wider = responses_with(batch.prompts, left=3)
    assert wider.shape[-1] == batch.prompts.shape[-1] + 3
    stage.network.length += 3
    padded = vars(batch) | {"prompts": wider}
    assert stage.loss(type(batch)(**padded), surrogate).item() == pytest.approx(before, abs=1e-6)
    other = torch.where(batch.mask, batch.tokens, 5)  # after the end anything may stand
    changed = type(batch)(**(vars(batch) | {"tokens": other}))
    assert stage.loss(changed, surrogate).item() == pytest.approx(before, abs=1e-6)


def responses_with(prompts: torch.Tensor, left: int) -> torch.Tensor:
    return torch.nn.functional.pad(prompts, (left, 0), value=PAD)


def test_the_reward_model_sees_no_padding(tiny: Tiny) -> None:
    stage = PPO([tiny()], CPU)
    assert stage.judge is not None
    made = stage.collect(stage.parameters.views, 16).made
    scores = responses.score(stage.network, stage.judge, made.prompts, made.tokens)
    for row in range(16):
        real = made.tokens[:, row : row + 1][..., : int(made.mask[0, row].sum())]
        prompt = made.prompts[:, row : row + 1]
        prompt = prompt[..., prompt[0, 0] != PAD]
        alone = responses.score(stage.network, stage.judge, prompt, real)
        torch.testing.assert_close(alone[0, 0], scores[0, row], atol=1e-5, rtol=1e-5)


def test_a_large_beta_keeps_the_policy_at_its_reference(tiny: Tiny) -> None:
    more = ("algorithm.total_episodes=160", "algorithm.learning_rate=0.01")
    free, held = (
        [record.metrics["kl"][0] for record in PPO([tiny(*more, f"kl.beta={beta}")], CPU)]
        for beta in (0, 100)
    )
    assert abs(held[-1]) < 0.5 * abs(free[-1])


def test_an_end_that_is_missing_is_scored_as_the_recipe_says(tiny: Tiny) -> None:
    scores = {}
    for how in ("keep", "replace", "subtract"):
        stage = PPO([tiny(f"recipe.missing_end={how}", "recipe.missing_end_score=-3")], CPU)
        rollout = stage.collect(stage.parameters.views, 16)
        ended = rollout.made.ended
        scores[how] = rollout.score
        torch.testing.assert_close(rollout.score[ended], rollout.proxy[ended])
    assert not ended.all()
    assert (scores["replace"][~ended] == -3).all()
    torch.testing.assert_close(scores["subtract"][~ended], scores["keep"][~ended] + 3)


def test_runs_are_equal_alone_and_in_a_pack(tiny: Tiny) -> None:
    lines = (("kl.beta=0", "seed=0"), ("kl=adaptive", "seed=1"), ("objective=kl_fixed", "seed=2"))
    configs = [tiny(*line) for line in lines]
    pack = PPO(configs, CPU)
    together = [record.metrics for record in pack]
    for p, config in enumerate(configs):
        solo = PPO([config], CPU)
        alone = [record.metrics for record in solo]
        for one, all_ in zip(alone, together, strict=True):
            found = {name: x[p : p + 1] for name, x in all_.items()}
            assert_equal_bits(one, found)
        assert_equal_bits(solo.state(0), pack.state(p))


@pytest.mark.parametrize("algorithm", ["reinforce", "rloo", "grpo"])
def test_relatives_run(tiny: Tiny, algorithm: str) -> None:
    config = tiny(f"algorithm={algorithm}", "algorithm.batch_size=16", "algorithm.minibatches=1")
    stage = PPO([config], CPU)
    before = stage.parameters.flat.clone()
    record = stage.iterate()
    assert np.isfinite(record.metrics["surrogate"]).all()
    assert not torch.equal(before, stage.parameters.flat)
