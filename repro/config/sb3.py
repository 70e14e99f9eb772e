"""What of a configuration Stable-Baselines3 lacks: refused, rather than run as something else.

What it has becomes its own arguments in `repro.algorithms.sb3.mapping`; docs/sb3.md has both as a
table. This module imports neither torch nor Stable-Baselines3.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from repro.errors import ConfigError, installation


class Only(NamedTuple):
    """A key that may have few values.

    Attributes:
        values: of which the first is proposed.
        reason: what Stable-Baselines3 does instead, after "which".
        matters: of a recipe, whether the key has an effect.
    """

    values: tuple[Any, ...]
    reason: str
    matters: Callable[[Any], bool] = lambda recipe: True


def _scales(recipe: Any) -> bool:
    return bool(recipe.reward_scaling)


def _filters(recipe: Any) -> bool:
    return bool(recipe.observation_normalization != "none")


def _standardizes(recipe: Any) -> bool:
    return bool(recipe.advantage_normalization != "none")


PACKAGES = ("stable_baselines3", "sb3_contrib")
SEEDS = 2**32  # what numpy.random.seed takes, which it calls

# Sources: stable_baselines3 2.9.2 (e05d2db) and sb3_contrib 2.9.2, by file.
RECIPE: dict[str, Only] = {
    "observation_normalization": Only(
        ("none", "step"), "updates its filter every step (vec_normalize.py)"
    ),
    "observation_variance_floor": Only(
        (0.0,), "has no floor of the variance (vec_normalize.py)", _filters
    ),
    "reward_accumulator_reset": Only(
        ("episode",), "forgets a return when its episode ends (vec_normalize.py)", _scales
    ),
    "clip_actions": Only((True,), "always clips actions (on_policy_algorithm.py)"),
    "time_limit": Only(("bootstrap",), "adds gamma V at a time limit (on_policy_algorithm.py)"),
    "initialization": Only(("orthogonal",), "draws orthogonal weights (policies.py)"),
    "hidden_gain": Only((math.sqrt(2),), "has its gains written down (policies.py)"),
    "policy_gain": Only((0.01,), "has its gains written down (policies.py)"),
    "value_gain": Only((1.0,), "has its gains written down (policies.py)"),
    "advantage_normalization": Only(
        ("minibatch", "none"), "standardizes advantages by the minibatch (ppo.py)"
    ),
    "advantage_std": Only(("unbiased",), "takes torch's std", _standardizes),
    "advantage_epsilon": Only((1e-8,), "has its epsilon written down", _standardizes),
    "value_clip_schedule": Only(
        ("constant", None),
        "is given one clip_range_vf here",
        lambda recipe: recipe.value_clip is not None,
    ),
    "value_clip_pessimistic": Only(
        (False,),
        "takes the clipped loss alone (ppo.py)",
        lambda recipe: recipe.value_clip is not None,
    ),
    "old_policy": Only(("stored",), "keeps log pi_old from the rollout (buffers.py)"),
    "end_of_run": Only(("reach", "floor"), "counts the steps of unfinished episodes, too"),
    "partial_minibatch": Only(("keep", "refuse"), "keeps the last minibatch (buffers.py)"),
}


def check_installed(name: str) -> None:
    """Raise a ConfigError unless an algorithm's packages are there; they are not loaded."""
    if any(importlib.util.find_spec(package) is None for package in PACKAGES):
        raise ConfigError(missing(name))


def missing(name: str) -> str:
    """What to say where they are not."""
    return (
        f"algorithm={name} needs Stable-Baselines3, which is not installed: "
        f"{installation('baselines')}."
    )


def check(config: Any) -> None:
    """Refuse what an algorithm of Stable-Baselines3 would have to leave out.

    Args:
        config: a `repro.config.schema.Config`, in whose parts everything has a valid value.

    Raises:
        ConfigError: the first that has no counterpart.
    """
    own = config.algorithm
    if not own.foreign:
        return
    for name, only in RECIPE.items():
        value = getattr(config.recipe, name)
        if name not in own.recipe_unused and only.matters(config.recipe):
            _check(config, f"recipe.{name}", value, only)
    if own.takes_objective:
        _check(config, "objective.kind", config.objective["kind"], Only(("clip",), "has L_CLIP"))
    if config.policy.convolutions is None:
        _check(config, "policy.shared", config.policy.shared, Only((False,), "shares no layers"))
    _check_frames(config)
    _check(config, "engine", config.engine, Only(("auto", "torch"), "runs in torch"))
    if config.seed >= SEEDS:
        raise ConfigError(f"seed={config.seed} must be below {SEEDS} for algorithm={own.name}.")
    _check_sizes(config)


def _check(config: Any, key: str, value: Any, only: Only) -> None:
    if value in only.values:
        return
    recipe = key.startswith("recipe.") and config.recipe.name != "sb3"
    where = f" (of recipe={config.recipe.name})" if recipe else ""
    remedy = "recipe=sb3" if recipe else f"{key}={_written(only.values[0])}"
    if key == "objective.kind":
        remedy = "objective=clip"
    raise ConfigError(
        f"{key}={_written(value)}{where} has no counterpart for algorithm={config.algorithm.name}: "
        f"Stable-Baselines3 {only.reason}; say {remedy}."
    )


def _check_sizes(config: Any) -> None:
    """A single sample has no standard deviation; Stable-Baselines3 asserts that there are more."""
    own = config.algorithm
    if "advantage_normalization" in own.recipe_unused or not _standardizes(config.recipe):
        return
    key, size = "algorithm.minibatch_size", getattr(own, "minibatch_size", None)
    if not own.takes_objective:  # TRPO takes its step on the whole rollout
        key, size = "algorithm.horizon", config.batch_size
    if size == 1:
        raise ConfigError(
            f"{key}=1: Stable-Baselines3 (algorithm={own.name}) standardizes advantages only over "
            "2 or more: raise it."
        )


def _check_frames(config: Any) -> None:
    """It looks at a shape to see which of its dimensions is that of the channels."""
    atari = config.env.atari
    if atari is not None and atari.frame_stack > atari.screen_size:
        raise ConfigError(
            f"env.atari.frame_stack={atari.frame_stack} has no counterpart for algorithm="
            f"{config.algorithm.name}: Stable-Baselines3 takes the smallest dimension for the "
            f"frames (preprocessing.py); say env.atari.frame_stack={atari.screen_size} or less."
        )


def _written(value: Any) -> str:
    """As it is written on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)
