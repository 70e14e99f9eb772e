"""Language models that are made in a second or two."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from repro.language.config import LanguageConfig
from repro.runs import store

TINY = (
    *("model.width=16", "pretrain.steps=20", "pretrain.batch_size=32", "progress=false"),
    *("reward.pairs=64", "reward.held_out=64", "reward.steps=10", "reward.batch_size=16"),
    *("algorithm.total_episodes=64", "algorithm.batch_size=16", "algorithm.minibatches=2"),
    *("best_of_n.prompts=8", "best_of_n.batch_size=4", "best_of_n.most=8"),
    *("sft.n=4", "sft.batch_size=16", "sft.total_episodes=32", "text.response=8"),
)
Tiny = Callable[..., LanguageConfig]


def left(directory: Path) -> dict[str, object]:
    """A run's tables without times, its parameters, and the digest of its last state."""
    tables = {path.stem: store.read_table(path) for path in sorted(directory.glob("*.parquet"))}
    kept = {
        name: table[[column for column in table if not column.startswith("time_")]]
        for name, table in tables.items()
    }
    digest = {"digest": store.read_run(directory)["digest"]}
    return kept | store.read_parameters(directory) | digest


def moved(config: LanguageConfig, place: Path) -> list[str]:
    """Overrides of the same run elsewhere, with its parents copied there."""
    for parent in config.parents.values():
        shutil.copytree(parent.directory, place / parent.run_id, dirs_exist_ok=True)
    return [*TINY, f"runs_dir={place}", "checkpoint.every_seconds=0", "checkpoint.max_share=1"]
