"""RLOO and GRPO against loops over responses and tokens."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest
import torch
import yaml

from repro.config.schema import CONF_DIR
from repro.language import compose, responses, returns
from repro.language.ppo import PPO, Batch
from tests.helpers.language import Tiny

CPU = torch.device("cpu")
CLIP = 0.2
SET_BY_FILES = [
    (group, path.stem) for group in ("algorithm", "recipe", "kl")
    for path in sorted((CONF_DIR / "language" / group).glob("*.yaml"))
]  # fmt: skip


def test_leave_one_out_has_its_known_answer() -> None:
    totals = torch.tensor([[1.0, 2.0, 6.0, 0.0, 0.0, 3.0]])
    expected = [[1 - 4, 2 - 3.5, 6 - 1.5, 0 - 1.5, 0 - 1.5, 3 - 0]]
    found = returns.group_advantages(totals, 3, "rloo")
    torch.testing.assert_close(found, torch.tensor(expected))


@pytest.mark.parametrize("size", [2, 3, 6])
@pytest.mark.parametrize("kind", ["rloo", "grpo"])
def test_group_advantages_are_those_of_a_loop(kind: str, size: int) -> None:
    totals = torch.randn(2, 12, generator=torch.Generator().manual_seed(0))
    found = returns.group_advantages(totals, size, kind)
    for p, row in enumerate(totals.tolist()):
        for i, total in enumerate(row):
            group = row[i // size * size :][:size]
            others = [x for j, x in enumerate(group) if j != i % size]
            expected = total - sum(others) / len(others)
            if kind == "grpo":
                expected = (total - statistics.mean(group)) / (statistics.stdev(group) + 1e-4)
            assert found[p, i].item() == pytest.approx(expected, abs=1e-5)


def test_the_mean_over_tokens_or_first_over_those_of_a_response() -> None:
    x = torch.tensor([[[1.0, 3.0, 99.0], [5.0, 99.0, 99.0]]])
    mask = x < 99
    assert returns.masked_mean(x, mask).item() == 3  # (1 + 3 + 5) / 3
    assert returns.masked_mean(x, mask, by_response=True).item() == 3.5  # ((1 + 3) / 2 + 5) / 2


def off_policy(tiny: Tiny, algorithm: str) -> tuple[PPO, Batch, list[list[float]]]:
    """A policy, responses of an earlier one, and the reward of each of their tokens.

    The earlier one is not the reference, so that no KL is 0.
    """
    line = (f"algorithm={algorithm}", "algorithm.batch_size=16", "algorithm.minibatches=1")
    stage, generator = PPO([tiny(*line, "kl.beta=0.3")], CPU), torch.Generator().manual_seed(0)
    noise = torch.randn(stage.parameters.flat.shape, generator=generator)
    stage.parameters.flat.add_(0.02 * noise)
    rollout = stage.collect(stage.parameters.views, 16, stage.settings.group_size)
    rewards = rollout.score[0].tolist()
    penalty = (rollout.made.log_prob - rollout.reference)[0] * rollout.mask[0]
    if algorithm == "rloo":  # R(x, y) = r(x, y) - beta log(pi / ref) of the whole response
        rewards = [r - 0.3 * each.sum().item() for r, each in zip(rewards, penalty, strict=True)]
    batch = stage.estimate(rollout)
    stage.parameters.flat.add_(0.02 * noise.flip(0))
    size = stage.settings.group_size
    groups = [rewards[i : i + size] for i in range(0, len(rewards), size)]
    return stage, batch, groups


def test_grpo_maximizes_its_equation_3(tiny: Tiny) -> None:
    stage, batch, groups = off_policy(tiny, "grpo")
    logits, _ = stage.evaluate(stage.parameters.views, batch.prompts, batch.tokens)
    new = responses.log_probs(logits, batch.tokens)[0].tolist()
    old, ref = batch.log_prob[0].tolist(), batch.reference[0].tolist()
    total, outside, b = 0.0, 0, 0
    for group in groups:
        for reward in group:
            length = int(batch.mask[0, b].sum())
            advantage = (reward - statistics.mean(group)) / (statistics.stdev(group) + 1e-4)
            for t in range(length):
                ratio = math.exp(new[b][t] - old[b][t])
                clipped = min(max(ratio, 1 - CLIP), 1 + CLIP)
                outside += ratio != clipped
                difference = ref[b][t] - new[b][t]
                kl = math.exp(difference) - difference - 1
                token = min(ratio * advantage, clipped * advantage) - 0.3 * kl
                total += token / length / len(group) / len(groups)
            b += 1
    assert outside > 0 and len({int(x) for x in batch.mask[0].sum(-1)}) > 1
    loss = stage.loss(batch, stage.surrogate.prepare([1.0])).item()
    assert loss == pytest.approx(-total, abs=1e-5)


def test_rloo_has_the_gradient_of_reinforce_with_the_mean_of_the_others(tiny: Tiny) -> None:
    stage, batch, groups = off_policy(tiny, "rloo")
    logits, _ = stage.evaluate(stage.weights, batch.prompts, batch.tokens)
    log_prob = responses.log_probs(logits, batch.tokens)
    batch.log_prob = log_prob.detach()  # on the policy: every ratio is 1
    plain, b = torch.zeros(()), 0
    for group in groups:
        for i, reward in enumerate(group):
            baseline = statistics.mean(group[:i] + group[i + 1 :])
            whole = log_prob[0, b][batch.mask[0, b]].sum()  # log pi(y | x)
            plain = plain - (reward - baseline) * whole
            b += 1
    expected = stage.parameters.gradient(plain / batch.mask.sum()).clone()
    loss = stage.loss(batch, stage.surrogate.prepare([1.0]))
    torch.testing.assert_close(stage.parameters.gradient(loss), expected, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(("group", "name"), SET_BY_FILES)
def test_what_a_file_sets_is_in_force(group: str, name: str, tmp_path: Path) -> None:
    found = compose.compose([f"{group}={name}", f"runs_dir={tmp_path}"]).configs[0].as_dict()
    text = (CONF_DIR / "language" / group / f"{name}.yaml").read_text()
    values = yaml.safe_load(text)
    sections = values if "_global_" in text else {group: values}
    for section, keys in sections.items():
        for key, value in keys.items() if section != "defaults" else ():
            assert found[section][key] == value, f"{group}={name} sets {section}.{key}"
