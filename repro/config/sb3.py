"""Keys of a configuration that Stable-Baselines3 does not support: refused, not silently changed.

`repro.algorithms.sb3.mapping` turns the other keys into arguments of Stable-Baselines3; docs/sb3.md
lists both kinds. This module imports neither torch nor Stable-Baselines3.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from repro.errors import ConfigError, installation


class Supported(NamedTuple):
    """The values of a key that Stable-Baselines3 supports.

    Attributes:
        values: the error message proposes the first.
        reason: what Stable-Baselines3 always does; it completes "Stable-Baselines3 ...".
        applies: whether the key has an effect, given the recipe.
    """

    values: tuple[Any, ...]
    reason: str
    applies: Callable[[Any], bool] = lambda recipe: True


def _scales_rewards(recipe: Any) -> bool:
    return bool(recipe.reward_scaling)


def _normalizes_observations(recipe: Any) -> bool:
    return bool(recipe.observation_normalization != "none")


def _normalizes_advantages(recipe: Any) -> bool:
    return bool(recipe.advantage_normalization != "none")


def _clips_values(recipe: Any) -> bool:
    return recipe.value_clip is not None


PACKAGES = ("stable_baselines3", "sb3_contrib")
SEEDS = 2**32  # the seeds that numpy.random.seed takes, which Stable-Baselines3 calls

# Sources: stable_baselines3 2.9.2 (e05d2db) and sb3_contrib 2.9.2, by file.
RECIPE: dict[str, Supported] = {
    "observation_normalization": Supported(
        ("none", "step"), "updates its running statistics every step (vec_normalize.py)"
    ),
    "observation_variance_floor": Supported(
        (0.0,), "has no floor of the variance (vec_normalize.py)", _normalizes_observations
    ),
    "reward_accumulator_reset": Supported(
        ("episode",),
        "resets the discounted return when an episode ends (vec_normalize.py)",
        _scales_rewards,
    ),
    "clip_actions": Supported((True,), "always clips actions (on_policy_algorithm.py)"),
    "time_limit": Supported(
        ("bootstrap",), "adds gamma V at a time limit (on_policy_algorithm.py)"
    ),
    "initialization": Supported(("orthogonal",), "draws orthogonal weights (policies.py)"),
    "log_std_schedule": Supported((None,), "learns the standard deviations (distributions.py)"),
    "final_log_std": Supported((None,), "learns the standard deviations (distributions.py)"),
    "learning_rate_schedule": Supported(
        ("constant", "linear"), "has no step size that follows the KL"
    ),
    "learning_rate_target_kl": Supported((None,), "has no step size that follows the KL"),
    "hidden_gain": Supported((math.sqrt(2),), "has fixed gains (policies.py)"),
    "policy_gain": Supported((0.01,), "has fixed gains (policies.py)"),
    "value_gain": Supported((1.0,), "has fixed gains (policies.py)"),
    "advantage_normalization": Supported(
        ("minibatch", "none"), "normalizes advantages per minibatch (ppo.py)"
    ),
    "advantage_std": Supported(("unbiased",), "takes torch's std", _normalizes_advantages),
    "advantage_epsilon": Supported((1e-8,), "has a fixed epsilon", _normalizes_advantages),
    "value_clip_schedule": Supported(
        ("constant", None), "gets a constant clip_range_vf here", _clips_values
    ),
    "value_clip_pessimistic": Supported(
        (False,), "takes the clipped value loss alone (ppo.py)", _clips_values
    ),
    "old_policy": Supported(("stored",), "keeps log pi_old from the rollout (buffers.py)"),
    "end_of_run": Supported(("reach", "floor"), "also counts the steps of unfinished episodes"),
    "partial_minibatch": Supported(("keep", "refuse"), "keeps the last minibatch (buffers.py)"),
}


def check_installed(name: str) -> None:
    """Raise a ConfigError unless the packages that an algorithm needs are installed.

    They are not imported.
    """
    if any(importlib.util.find_spec(package) is None for package in PACKAGES):
        raise ConfigError(missing(name))


def missing(name: str) -> str:
    """The sentence for an algorithm whose packages are not installed."""
    return (
        f"algorithm={name} needs Stable-Baselines3, which is not installed: "
        f"{installation('baselines')}."
    )


def check(config: Any) -> None:
    """Refuse what an algorithm of Stable-Baselines3 does not support.

    Args:
        config: a `repro.config.schema.Config` whose values are in range, each by itself.

    Raises:
        ConfigError: the first key without a counterpart.
    """
    own = config.algorithm
    if not own.is_sb3:
        return
    for name, supported in RECIPE.items():
        value = getattr(config.recipe, name)
        if name not in own.recipe_unused and supported.applies(config.recipe):
            _check(config, f"recipe.{name}", value, supported)
    if own.takes_objective:
        kind = config.objective["kind"]
        _check(config, "objective.kind", kind, Supported(("clip",), "has L_CLIP"))
    if config.policy.convolutions is None:
        no_sharing = Supported((False,), "shares no layers")
        _check(config, "policy.shared", config.policy.shared, no_sharing)
    _check_frames(config)
    if config.seed >= SEEDS:
        raise ConfigError(f"seed={config.seed} must be below {SEEDS} for algorithm={own.name}.")
    _check_sizes(config)


def _check(config: Any, key: str, value: Any, supported: Supported) -> None:
    if value in supported.values:
        return
    other_recipe = key.startswith("recipe.") and config.recipe.name != "sb3"
    where = f" (of recipe={config.recipe.name})" if other_recipe else ""
    remedy = "recipe=sb3" if other_recipe else f"{key}={_written(supported.values[0])}"
    if key == "objective.kind":
        remedy = "objective=clip"
    raise ConfigError(
        f"{key}={_written(value)}{where} has no counterpart for algorithm={config.algorithm.name}: "
        f"Stable-Baselines3 {supported.reason}; say {remedy}."
    )


def _check_sizes(config: Any) -> None:
    """A single sample has no standard deviation; Stable-Baselines3 asserts that there are more."""
    own = config.algorithm
    if "advantage_normalization" in own.recipe_unused or not _normalizes_advantages(config.recipe):
        return
    key, size = "algorithm.minibatch_size", getattr(own, "minibatch_size", None)
    if not own.takes_objective:  # TRPO's step is on the whole rollout
        key, size = "algorithm.horizon", config.batch_size
    if size == 1:
        raise ConfigError(
            f"{key}=1: Stable-Baselines3 (algorithm={own.name}) normalizes advantages only over "
            "2 or more: raise it."
        )


def _check_frames(config: Any) -> None:
    """Stable-Baselines3 takes the smallest dimension of an observation for the channels."""
    atari = config.env.atari
    if atari is not None and atari.frame_stack > atari.screen_size:
        raise ConfigError(
            f"env.atari.frame_stack={atari.frame_stack} has no counterpart for algorithm="
            f"{config.algorithm.name}: Stable-Baselines3 takes the smallest dimension for the "
            f"channels (preprocessing.py); say env.atari.frame_stack={atari.screen_size} or less."
        )


def _written(value: Any) -> str:
    """As on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)
