"""What loggers show of a run: its metrics under the names that CleanRL's and SB3's users know.

Names are CleanRL's where it has the quantity (cleanrl/ppo_continuous_action.py). The columns are
those of a run's progress table; docs/loggers.md says how each compares with CleanRL's and SB3's.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from repro.config.run import RunConfig
from repro.config.schema import digest
from repro.runs import provenance
from repro.runs.schema import LAST_EPISODES, SCHEMAS

STEP = "global_step"
NAMES = {
    "iteration": "charts/iteration",
    "step": STEP,
    "episodes": "charts/episodes",
    "return_mean": "charts/iteration_return",
    "surrogate": "losses/policy_loss",
    "value_loss": "losses/value_loss",
    "entropy": "losses/entropy",
    "kl": "losses/approx_kl",
    "clip_fraction": "losses/clipfrac",
    "gradient_norm": "losses/gradient_norm",
    "explained_variance": "losses/explained_variance",
    "std": "charts/std",
    "beta": "charts/beta",
    "epsilon": "charts/clip_range",
    "learning_rate": "charts/learning_rate",
    "minibatches": "charts/minibatches",
    "time_env": "time/env",
    "time_forward": "time/forward",
    "time_update": "time/update",
    "time_other": "time/other",
}
# CleanRL minimizes -surrogate and half of the squared error.
FACTORS = {"surrogate": -1.0, "value_loss": 0.5}
# Of `repro.language`, where `kl` is the one to the reference; what is in neither is `language/...`.
LANGUAGE = {"kl": "language/kl", "kl_old": "losses/approx_kl", "time_rollout": "time/rollout"}
RETURN, LENGTH, SPS = "charts/episodic_return", "charts/episodic_length", "charts/SPS"


def names(kind: str) -> dict[str, str]:
    """Logged names by column of the progress table of runs of a `RunConfig.kind`."""
    own = {} if kind == "control" else LANGUAGE
    columns = SCHEMAS[kind]["progress"]
    return {each: own.get(each) or NAMES.get(each, f"language/{each}") for each in columns}


class Metrics:
    """One run's metrics by logged name; it remembers the last episodes and the time spent."""

    def __init__(self, kind: str) -> None:
        """Start without episodes, for runs of a `RunConfig.kind`."""
        self._names = names(kind)
        self._returns: deque[float] = deque(maxlen=LAST_EPISODES)
        self._lengths: deque[float] = deque(maxlen=LAST_EPISODES)
        self._seconds = 0.0

    def add(self, row: Mapping[str, Any], episodes: Mapping[str, Any]) -> dict[str, float]:
        """The metrics after one more iteration, without those that are null or not finite.

        Args:
            row: of the progress table.
            episodes: columns of the episodes that ended in it; empty for runs that have none.
        """
        self._returns.extend(episodes.get("return", ()))
        self._lengths.extend(episodes.get("length", ()))
        self._seconds += sum(row[each] for each in self._names if each.startswith("time_"))
        shown = {
            name: float(row[column]) * FACTORS.get(column, 1.0)
            for column, name in self._names.items()
            if row[column] is not None
        }
        if self._returns:
            shown[RETURN] = float(np.mean(self._returns))
            shown[LENGTH] = float(np.mean(self._lengths))
        if self._seconds > 0:
            # A run's time is its share of the pack's, so this is the speed of the whole pack.
            shown[SPS] = row["step"] / self._seconds
        return {name: value for name, value in shown.items() if math.isfinite(value)}

    def replay(self, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, float]]:
        """Add the iterations of a run that goes on, from its tables so far.

        Args:
            tables: columns as arrays, by table; `progress` and, if the run has one, `episodes`.
        """
        progress, episodes = tables["progress"], tables.get("episodes", {})
        ends = np.searchsorted(
            episodes.get("iteration", np.array([])), progress["iteration"], side="right"
        )
        start = 0
        for index, end in enumerate(ends):
            row = {name: column[index].item() for name, column in progress.items()}
            yield self.add(row, {name: column[start:end] for name, column in episodes.items()})
            start = end


def identity(config: RunConfig) -> dict[str, Any]:
    """The flat keys by which openrlbenchmark and others filter runs."""
    known = config.identity()
    algorithm, label = known["algorithm"], known["objective_label"]
    name = label if label.startswith(algorithm) else f"{algorithm}_{label}"
    return {"env_id": known["env_id"], "exp_name": name, "seed": known["seed"]}


def group(config: RunConfig) -> str:
    """Equal for runs that differ only in their seeds."""
    hashed = {
        key: {k: v for k, v in value.items() if k != "seed"} if isinstance(value, dict) else value
        for key, value in config.hashed().items()
        if key != "seed"
    }
    name = config.run_id.removesuffix(f"_s{identity(config)['seed']}_{config.hash[:8]}")
    return f"{name[:100]}_{digest(hashed)[:8]}"


def tags(config: RunConfig) -> list[str]:
    """Experiment, recipe and revision, where there are such."""
    machine = provenance.machine()
    revision = machine["git_revision"]
    if revision is not None:
        revision = revision[:10] + ("-dirty" if machine["git_dirty"] else "")
    found = (config.experiment, config.identity()["recipe"], revision)
    return [each[:64] for each in found if each]  # W&B refuses longer ones


def hyperparameters(config: RunConfig) -> dict[str, str | float]:
    """All that a result depends on, flat by dotted key, and `identity`; without null values."""
    return _flat(config.hashed()) | identity(config)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str | float]:
    flat: dict[str, str | float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            flat[prefix + key] = value if isinstance(value, int | float | str) else str(value)
    return flat
