"""Where responses can be enumerated, the best policy is pi_ref exp(r / beta): PPO finds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from repro.language import compose
from repro.language.ppo import PPO
from repro.language.texts.oracle import WORDS
from repro.sweeps import sweep

BETAS = (1.0, 0.5, 0.2)
SMALL = (
    *("text=oracle", "model=table", "reward.source=gold", "progress=false"),
    *("algorithm.batch_size=1024", "algorithm.total_episodes=40960", "recipe.value_clip=null"),
    *("algorithm.learning_rate=0.03", "recipe.learning_rate_schedule=linear"),
    *("recipe.max_grad_norm=null", "algorithm.value_coef=0.5"),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> PPO:
    """The three betas as one pack."""
    place = f"runs_dir={tmp_path_factory.mktemp('oracle')}"
    grid = compose.compose([*SMALL, place, f"kl.beta={','.join(map(str, BETAS))}"], sweep=True)
    (base,), policies = compose.stages(grid.configs)
    sweep.train_one(base)
    stage = PPO(policies, torch.device("cpu"))
    for _ in stage:
        pass
    return stage


def enumerated(logits: torch.Tensor) -> np.ndarray:
    """The probability of each response of two words, from a table of logits."""
    table = torch.softmax(logits[: WORDS + 1, 1 : WORDS + 1].double(), -1).numpy()
    return np.asarray(table[0][:, None] * table[1:])


@pytest.mark.parametrize("learner", range(len(BETAS)), ids=map(str, BETAS))
def test_ppo_reaches_the_enumerated_optimum(trained: PPO, learner: int) -> None:
    reference = enumerated(trained.reference["logits"][learner])
    found = enumerated(trained.parameters.views["logits"][learner])
    words = np.indices((WORDS, WORDS)).reshape(2, -1).T + 1
    scores = trained.text.gold(words, words).reshape(WORDS, WORDS)
    best = reference * np.exp(scores / BETAS[learner])
    best /= best.sum()

    def kl(policy: np.ndarray) -> float:
        return float((policy * np.log(policy / reference)).sum())

    assert np.abs(found - best).sum() / 2 < 0.01
    assert abs(kl(found) - kl(best)) < 0.02
    assert np.abs(reference - best).sum() / 2 > 0.2  # there was something to learn


def test_the_oracle_is_a_task_of_the_command_line(tmp_path: Path) -> None:
    line = [*SMALL, f"runs_dir={tmp_path}", "algorithm.total_episodes=2048"]
    (config,) = compose.compose(line).configs
    assert [each.stage for (each,) in compose.stages([config])] == ["pretrain", "ppo"]
