"""Language models that are made in a second or two."""

from __future__ import annotations

from collections.abc import Callable

from repro.language.config import LanguageConfig

TINY = (
    *("model.width=16", "pretrain.steps=20", "pretrain.batch_size=32", "progress=false"),
    *("reward.pairs=64", "reward.held_out=64", "reward.steps=10", "reward.batch_size=16"),
    *("algorithm.total_episodes=64", "algorithm.batch_size=16", "algorithm.minibatches=2"),
    *("best_of_n.prompts=8", "best_of_n.batch_size=4", "best_of_n.most=8"),
    *("sft.n=4", "sft.batch_size=16", "sft.total_episodes=32", "text.response=8"),
)
Tiny = Callable[..., LanguageConfig]
