"""The stage of a pack's runs: what `repro.training` trains here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from repro.console import say
from repro.language import networks, texts
from repro.language.best_of_n import BestOfN
from repro.language.config import LanguageConfig
from repro.language.ppo import PPO
from repro.language.pretrain import Pretrain
from repro.language.reward import Reward
from repro.language.sft import SFT
from repro.language.stage import Stage
from repro.training.devices import resolve_device, settled

STAGES: dict[str, type[Stage]] = {
    "pretrain": Pretrain,
    "reward": Reward,
    "ppo": PPO,
    "best_of_n": BestOfN,
    "sft": SFT,
}


def Training(configs: Sequence[LanguageConfig]) -> Stage:  # noqa: N802
    """The stage that P configurations of one pack name."""
    (first,) = settled(configs[:1], say)
    return STAGES[first.stage](configs, resolve_device(first.device))


def parameters(config: LanguageConfig) -> int:
    """How many a learner's network has."""
    text = texts.make(config.text)
    longest = config.text.prompt[-1] + config.text.response
    network = networks.make(config.model, len(text.vocabulary), longest)
    return sum(weight.size for weight in network.initialize(np.random.default_rng(0)).values())
