"""From a composed configuration to a checked one.

No torch is imported here, so that bad input is refused in about a second.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from repro.config import algorithms, atari, sb3
from repro.config.names import check_choice
from repro.config.schema import CONF_DIR, Config, get
from repro.errors import ConfigError

_CHOICES: dict[str, tuple[str, ...]] = {
    "env.backend": ("mujoco", "gymnasium", "atari"),
    "policy.activation": ("tanh", "relu"),
    "recipe.observation_normalization": ("none", "rollout", "step"),
    "recipe.reward_accumulator_reset": ("never", "termination", "episode"),
    "recipe.time_limit": ("terminal", "bootstrap"),
    "recipe.initialization": ("normc", "orthogonal"),
    "recipe.learning_rate_schedule": ("constant", "linear"),
    "recipe.epsilon_schedule": ("constant", "linear"),
    "recipe.advantage_normalization": ("none", "rollout", "actor", "minibatch"),
    "recipe.advantage_std": ("biased", "unbiased"),
    "recipe.old_policy": ("stored", "recomputed"),
    "recipe.end_of_run": ("floor", "reach", "finished_episodes"),
    "recipe.partial_minibatch": ("refuse", "drop", "keep"),
    "logger.name": ("none", "wandb", "tensorboard"),
    "device": ("cpu", "cuda", "auto"),
    "engine": ("native", "torch", "auto"),
    "probe": ("none", "interpolation"),
    "resume": ("exact", "approximate", "never"),
}
_POSITIVE = (
    "env.num_envs",
    "total_timesteps",
    "schedule_timesteps",
    "recipe.adam_epsilon",
    "recipe.normalizer_count",
    "recipe.observation_clip",
    "recipe.reward_clip",
    "recipe.value_clip",
    "recipe.max_grad_norm",
    "recipe.early_stop_kl",
    "checkpoint.max_share",
    "stall_timeout",
)
_NOT_NEGATIVE = (
    "seed",
    "recipe.observation_variance_floor",
    "recipe.observation_epsilon",
    "recipe.hidden_gain",
    "recipe.policy_gain",
    "recipe.value_gain",
    "recipe.advantage_epsilon",
    "checkpoint.every_seconds",
)


def from_omegaconf(node: DictConfig) -> Config:
    """The typed configuration behind a composed node, checked.

    Raises:
        ConfigError: what is missing or wrong, and what to change.
    """
    algorithm = algorithms.of(node)
    atari.check_game(node)
    schema = OmegaConf.structured(Config(algorithm=algorithm()))
    merged = OmegaConf.merge(schema, algorithms.without_foreign_offers(node, algorithm))
    missing = sorted(str(key) for key in OmegaConf.missing_keys(merged))
    if missing:
        raise ConfigError(f"{missing[0]} has no value: give one, such as {missing[0]}=...")
    container = OmegaConf.to_object(merged)
    assert isinstance(container, Config)
    if not container.algorithm.takes_objective:
        container.objective = {}
    validate(container)
    return container


def from_dict(values: Mapping[str, Any]) -> Config:
    """The configuration that `as_dict` came from (a run's `config.yaml`)."""
    return from_omegaconf(OmegaConf.create(dict(values)))


def validate(config: Config) -> None:
    """Refuse what cannot run, or would quietly run as something else.

    Raises:
        ConfigError: one sentence that names the key, its value and what to change.
    """
    for key, choices in _CHOICES.items():
        check_choice(key, get(config, key), choices)
    for key in _POSITIVE:
        _check_range(config, key, "above 0", lambda x: x > 0)
    for key in _NOT_NEGATIVE:
        _check_range(config, key, "0 or more", lambda x: x >= 0)
    _validate_section("algorithm", config.algorithm)
    if config.env.atari is not None:
        _validate_section("env.atari", config.env.atari)
    if any(size < 1 for size in config.policy.hidden_sizes):
        raise ConfigError(
            f"policy.hidden_sizes={config.policy.hidden_sizes} must hold sizes of 1 or more."
        )
    _check_range(config, "checkpoint.max_share", "at most 1", lambda x: x <= 1)
    _check_range(config, "checkpoint.keep", "2 or more", lambda x: x >= 2)
    if config.algorithm.takes_objective:
        _validate_objective(config.objective)
    atari.check(config)
    _validate_parts(config)
    sb3.check(config)
    _validate_sizes(config)
    _validate_schedule(config)


def _validate_section(section: str, values: Any) -> None:
    """A dataclass whose fields say themselves what they may be."""
    for name, value, meaning in algorithms.out_of_range(values):
        raise ConfigError(f"{section}.{name}={value} must be finite and {meaning}.")
    for name, value, names in algorithms.choices(values):
        check_choice(f"{section}.{name}", value, names)


def objective_kinds() -> list[str]:
    """The kinds that `conf/objective` offers, one YAML each."""
    return sorted(path.stem for path in (CONF_DIR / "objective").glob("*.yaml"))


def _validate_objective(objective: Mapping[str, Any]) -> None:
    check_choice("objective.kind", objective.get("kind"), objective_kinds())
    for name, value in objective.items():
        if name == "kind":
            continue
        key = f"objective.{name}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{key}={value} is not a number: give one, such as {key}=0.2.")
        if not math.isfinite(value) or value < 0 or (value == 0 and name != "beta"):
            limit = "0 or more" if name == "beta" else "above 0"
            raise ConfigError(f"{key}={value} must be finite and {limit}.")
    if objective["kind"] == "clip" and float(objective["epsilon"]) >= 1:
        raise ConfigError(
            f"objective.epsilon={objective['epsilon']} must be below 1, or 1 - epsilon is no ratio."
        )


def _validate_parts(config: Config) -> None:
    """Whether the algorithm can do what the other groups ask of it."""
    name = config.algorithm.name
    if config.policy.shared and config.algorithm.separate_networks:
        raise ConfigError(
            f"policy.shared=true, but algorithm={name} changes the policy without its value "
            "function: say policy.shared=false."
        )
    if config.env.version is not None and config.env.backend != "mujoco":
        raise ConfigError(
            f"env.version={config.env.version} is for MuJoCo's tasks: for env={config.env.name} "
            "leave it out."
        )
    if config.probe != "none" and name != "ppo":
        raise ConfigError(
            f"probe={config.probe} looks into PPO's update, not {name}'s: leave it out."
        )


def _validate_sizes(config: Config) -> None:
    batch = config.batch_size
    minibatch = getattr(config.algorithm, "minibatch_size", batch)
    sizes = f"env.num_envs * algorithm.horizon = {config.env.num_envs} * {config.algorithm.horizon}"
    if minibatch > batch:
        raise ConfigError(
            f"algorithm.minibatch_size={minibatch} is larger than {sizes} = {batch}: lower it."
        )
    if batch % minibatch and config.recipe.partial_minibatch == "refuse":
        raise ConfigError(
            f"algorithm.minibatch_size={minibatch} does not divide {sizes} = {batch}: choose a "
            "divisor, or say recipe.partial_minibatch=drop or keep."
        )
    if config.updates < 1:
        raise ConfigError(
            f"total_timesteps={config.total_timesteps} is less than one iteration of {batch} "
            "steps: raise it, or lower algorithm.horizon."
        )


def _validate_schedule(config: Config) -> None:
    end = config.schedule_timesteps
    if end is None:
        return
    if end < config.total_timesteps:
        raise ConfigError(
            f"schedule_timesteps={end} is less than total_timesteps={config.total_timesteps}: give "
            "the length of the run that this one is the beginning of, or leave it out."
        )
    if not any(get(config, key) == "linear" for key in _schedules(config)):
        raise ConfigError(
            f"schedule_timesteps={end} changes nothing, since nothing is annealed: leave it out, "
            "or say recipe.learning_rate_schedule=linear or the like."
        )


def _schedules(config: Config) -> list[str]:
    """Keys of the schedules that the algorithm has."""
    unused = config.algorithm.recipe_unused
    recipe = (f.name for f in dataclasses.fields(config.recipe) if f.name not in unused)
    own = (f.name for f in dataclasses.fields(config.algorithm))
    keys = [*(f"recipe.{name}" for name in recipe), *(f"algorithm.{name}" for name in own)]
    return [key for key in keys if key.endswith("_schedule")]


def _check_range(config: Config, key: str, meaning: str, accept: Any) -> None:
    value = get(config, key)
    if value is None:
        return
    if not math.isfinite(value) or not accept(value):
        raise ConfigError(f"{key}={value} must be finite and {meaning}.")
