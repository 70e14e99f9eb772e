"""From a composed configuration to a checked one.

The schema says on each field what its value may be; here are the check of every field and of the
relations between keys. No torch is imported, so that bad input is refused in about a second.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from repro.config import algorithms, atari, humanoid, objectives, sb3
from repro.config.algorithms import ACERSettings
from repro.config.fields import allows, flattened
from repro.config.hydra_errors import translated
from repro.config.names import check_choice
from repro.config.schema import Config
from repro.errors import ConfigError

# Sections whose numbers enter the arithmetic of a run, in float32.
COMPUTED = ("algorithm.", "recipe.")


def from_omegaconf(node: DictConfig) -> Config:
    """The typed configuration behind a composed node, checked.

    Raises:
        ConfigError: what is missing or wrong, and what to change.
    """
    atari.check_game(node)
    with translated():
        settings = algorithms.settings_class(node)
        schema = OmegaConf.structured(Config(algorithm=settings()))
        merged = OmegaConf.merge(schema, algorithms.without_unused_keys(node, settings))
        missing = sorted(str(key) for key in OmegaConf.missing_keys(merged))
        if missing:
            raise ConfigError(f"{missing[0]} has no value: give one, such as {missing[0]}=...")
        config = OmegaConf.to_object(merged)
    assert isinstance(config, Config)
    own = config.objective if config.algorithm.takes_objective else {}
    config.objective = objectives.without_defaults(own)
    validate(config)
    return config


def from_dict(values: Mapping[str, Any]) -> Config:
    """The configuration that `as_dict` came from (a run's `config.yaml`)."""
    return from_omegaconf(OmegaConf.create(dict(values)))


def validate(config: Config) -> None:
    """Refuse what cannot run, or would silently run as something else.

    Raises:
        ConfigError: one sentence that names the key, its value and what to change.
    """
    check_fields(config)
    if config.algorithm.takes_objective:
        objectives.check(config.objective)
    atari.check(config)
    humanoid.check(config)
    _check_parts(config)
    sb3.check(config)
    _check_sizes(config)
    _check_schedule(config)
    _check_schedule_ends(config)


def check_fields(config: Any) -> None:
    """Refuse values outside the range or choices that a dataclass declares for its fields.

    Raises:
        ConfigError: the first.
    """
    for key, value, metadata in _walk(config):
        if value is not None:
            _check_value(key, value, metadata)


def _walk(section: Any, path: str = "") -> Iterable[tuple[str, Any, Mapping[str, Any]]]:
    """(dotted key, value, metadata) of every field of a dataclass and of those inside it."""
    for each in dataclasses.fields(section):
        key, value = path + each.name, getattr(section, each.name)
        if dataclasses.is_dataclass(value):
            yield from _walk(value, f"{key}.")
        else:
            yield key, value, each.metadata


def _check_value(key: str, value: Any, metadata: Mapping[str, Any]) -> None:
    if "choices" in metadata:
        check_choice(key, value, metadata["choices"])
    if "check" in metadata:
        metadata["check"](key, value)
    if "range" in metadata:
        meaning = metadata["range"]
        must = "must hold numbers" if isinstance(value, list) else "must be"
        for number in flattened(value):
            if isinstance(number, float) and not math.isfinite(number):
                raise ConfigError(f"{key}={value} must be finite.")
            if not allows(meaning, number):
                raise ConfigError(f"{key}={value} {must} {meaning}.")
            if isinstance(number, float) and key.startswith(COMPUTED):
                objectives.check_float32(key, number)


def _check_parts(config: Config) -> None:
    """Whether the algorithm and the task work with what the other groups say."""
    name = config.algorithm.name
    if config.policy.shared and config.algorithm.separate_networks:
        raise ConfigError(
            f"policy.shared=true, but algorithm={name} updates policy and value function "
            "separately: say policy.shared=false."
        )
    if config.env.version is not None and config.env.backend not in ("mujoco", "humanoid"):
        raise ConfigError(
            f"env.version={config.env.version} is for MuJoCo's tasks and the humanoids: for "
            f"env={config.env.name} leave it out."
        )
    if config.env.kwargs and config.env.backend not in ("mujoco", "gymnasium"):
        raise ConfigError(
            f"env.kwargs.{next(iter(config.env.kwargs))} is for tasks of Gymnasium: the switches "
            f"of env={config.env.name} are env.{config.env.backend}.*."
        )
    if config.engine == "native" and (name in ("acer", "cem") or config.algorithm.is_sb3):
        raise ConfigError(
            f"engine=native, but no kernel computes algorithm={name}: say engine=auto or torch."
        )
    if isinstance(config.algorithm, ACERSettings):
        _check_replay(config.algorithm)
    if config.probe != "none" and name != "ppo":
        raise ConfigError(
            f"probe={config.probe} looks into PPO's update, not {name}'s: leave it out."
        )


def _check_replay(acer: ACERSettings) -> None:
    """Whether replays, where there are any, can begin."""
    if not acer.replay_ratio:
        return
    size, least = f"algorithm.replay_size={acer.replay_size}", "algorithm.replay_ratio=0"
    if acer.replay_size < acer.horizon:
        raise ConfigError(
            f"{size} holds no segment of algorithm.horizon={acer.horizon} steps: raise it, or say "
            f"{least}."
        )
    if acer.replay_start // acer.horizon > acer.replay_size // acer.horizon:
        raise ConfigError(
            f"algorithm.replay_start={acer.replay_start} is never reached with {size}: lower it, "
            f"or say {least}."
        )


def _check_sizes(config: Config) -> None:
    """Whether minibatches divide the batch, and the batch fits into the budget."""
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


def _check_schedule(config: Config) -> None:
    """Whether `schedule_timesteps` is the length of a longer run, and has an effect."""
    end = config.schedule_timesteps
    if end is None:
        return
    if end < config.total_timesteps:
        raise ConfigError(
            f"schedule_timesteps={end} is less than total_timesteps={config.total_timesteps}: give "
            "the length of the longer run that this one begins, or leave it out."
        )
    if "linear" not in _schedules(config):
        raise ConfigError(
            f"schedule_timesteps={end} changes nothing, since no schedule is linear: leave it out, "
            "or say recipe.learning_rate_schedule=linear or the like."
        )


def _check_schedule_ends(config: Config) -> None:
    """Whether the schedules of step size and standard deviations have what they need."""
    recipe = config.recipe
    follows_kl, anneals = recipe.learning_rate_schedule == "kl", recipe.log_std_schedule == "linear"
    for key, schedule, chosen in (
        ("learning_rate_target_kl", "learning_rate_schedule=kl", follows_kl),
        ("final_log_std", "log_std_schedule=linear", anneals),
    ):
        value = getattr(recipe, key)
        if chosen and value is None:
            raise ConfigError(f"recipe.{schedule} needs a value of recipe.{key}: give one.")
        if not chosen and value is not None:
            raise ConfigError(
                f"recipe.{key}={value} changes nothing without recipe.{schedule}: say that too, or "
                "leave it out."
            )


def _schedules(config: Config) -> list[str]:
    """The schedules that the algorithm reads."""
    unread = {f"recipe.{name}" for name in config.algorithm.recipe_unused}
    read = ((key, value) for key, value, _ in _walk(config) if key not in unread)
    return [value for key, value in read if key.endswith("_schedule")]
