"""The stage of a pack's runs: what `repro.training` trains here."""

from __future__ import annotations

from collections.abc import Sequence

from repro.language.best_of_n import BestOfN
from repro.language.config import LanguageConfig
from repro.language.ppo import PPO
from repro.language.pretrain import Pretrain
from repro.language.reward import Reward
from repro.language.sft import SFT
from repro.language.stage import Stage
from repro.training.loop import resolve_device

STAGES: dict[str, type[Stage]] = {
    "pretrain": Pretrain,
    "reward": Reward,
    "ppo": PPO,
    "best_of_n": BestOfN,
    "sft": SFT,
}


def Training(configs: Sequence[LanguageConfig]) -> Stage:  # noqa: N802
    """The stage that P configurations of one pack name."""
    return STAGES[configs[0].stage](configs, resolve_device(configs[0].device))
