"""From a configuration to a model of Stable-Baselines3: which of our keys becomes which of theirs.

docs/sb3.md shows the same as a table; `repro.config.sb3` refuses the keys without a counterpart.
Schedules have exactly our values: Stable-Baselines3 passes the share of training that is left after
the rollout, and gets the value that our algorithms have in that iteration.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Space
from gymnasium.wrappers import TransformAction
from sb3_contrib import TRPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from repro.algorithms.sb3.networks import check_space, network_keywords, policy_name
from repro.algorithms.sb3.tasks import Named
from repro.config.schema import Config, EnvConfig, RecipeConfig
from repro.envs import actions as task_actions
from repro.envs.gymnasium import make_one
from repro.errors import ConfigError

RMSPROPS: dict[str, type[torch.optim.Optimizer]] = {
    "tensorflow": RMSpropTFLike,
    "torch": torch.optim.RMSprop,
}
Schedule = Callable[[float], float]


def make_envs(config: Config) -> DummyVecEnv:
    """The task, N times.

    Raises:
        ConfigError: it is not to be had, or the networks do not take what it shows.
    """
    n = config.env.num_envs
    envs = DummyVecEnv([partial(make_env, config.env, number) for number in range(n)])
    check_space(config.policy, envs.observation_space)
    _check_actions(config, envs.action_space)
    return envs


def _check_actions(config: Config, space: Space[Any]) -> None:
    if isinstance(space, Box) and not np.isfinite([space.low, space.high]).all():
        raise ConfigError(
            f"{config.env.id} has action space {space}, but {config.algorithm.name} takes only "
            "finite bounds of actions: declare them, or choose another algorithm."
        )


def make_env(task: EnvConfig, number: int = 0) -> gymnasium.Env[Any, Any]:
    """One environment: a task as Gymnasium registers it under a `Monitor`, or a game of Atari.

    A game tells its whole scores itself, where a `Monitor` would: below lives and clipped rewards.
    Stable-Baselines3 knows no `start` of Discrete, and its networks give float32.

    Raises:
        ConfigError: it is not to be had.
    """
    env = make_task(task)
    if task.atari is not None:
        return env
    env = Named(env, number, task.num_envs)
    theirs, ours = env.action_space, task_actions.from_zero(env.action_space)
    if ours != theirs:
        env = TransformAction(env, partial(task_actions.to_task, space=theirs), ours)
    return Monitor(env)


def make_task(task: EnvConfig) -> gymnasium.Env[Any, Any]:
    """One environment with the task's own spaces.

    Raises:
        ConfigError: it is not to be had.
    """
    if task.atari is not None:
        from repro.envs.atari.single import AtariGame  # it needs packages of its own

        return AtariGame(task.id, task.atari)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there is a v5
        return make_one(task.id, task.task_arguments)


def normalized(config: Config, envs: VecEnv) -> VecEnv:
    """The environments under `VecNormalize`, where the recipe normalizes or scales anything."""
    recipe = config.recipe
    filters = recipe.observation_normalization == "step"
    if not filters and not recipe.reward_scaling:
        return envs
    normalize = VecNormalize(
        envs,
        norm_obs=filters,
        norm_reward=recipe.reward_scaling,
        clip_obs=_or_infinity(recipe.observation_clip),
        clip_reward=_or_infinity(recipe.reward_clip),
        gamma=config.algorithm.gamma,
        epsilon=recipe.observation_epsilon,
    )
    normalize.ret_rms.count = recipe.normalizer_count
    if filters:
        assert isinstance(normalize.obs_rms, RunningMeanStd)
        normalize.obs_rms.count = recipe.normalizer_count
    return normalize


def make_model(config: Config, envs: VecEnv, device: torch.device | str) -> OnPolicyAlgorithm:
    """A model whose parameters, shuffling and episodes come from the configuration's seed.

    Args:
        config: of one run of an algorithm named sb3_*.
        envs: what `normalized` returned.
        device: where it lives.
    """
    kind, keywords = KINDS[config.algorithm.name]
    model: OnPolicyAlgorithm = kind(
        policy_name(config.policy),
        envs,
        n_steps=config.algorithm.horizon,
        gamma=config.algorithm.gamma,
        gae_lambda=config.algorithm.gae_lambda,
        policy_kwargs=policy_keywords(config),
        seed=config.seed,
        device=device,
        **keywords(config, envs.action_space),
    )
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def policy_keywords(config: Config) -> dict[str, Any]:
    """The networks, their initialization, and the optimizer, which in SB3 is the policy's."""
    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam
    keywords = {"eps": config.recipe.adam_epsilon}
    if config.algorithm.name == "sb3_a2c":
        optimizer = RMSPROPS[config.algorithm.rmsprop]
        keywords = {"alpha": config.algorithm.rms_decay, "eps": config.algorithm.rms_epsilon}
    return network_keywords(config.policy) | {
        "log_std_init": config.recipe.initial_log_std,
        "optimizer_class": optimizer,
        "optimizer_kwargs": keywords,
    }


def schedule(config: Config, value: float, kind: str) -> float | Schedule:
    """`constant`, or `linear` from `value` in the first iteration on, as `Learners.progress`."""
    if kind == "constant":
        return value

    def linear(left: float) -> float:
        iteration = round((1 - left) * config.schedule_updates)
        return value * min(1.0, 1 - (iteration - 1) / config.schedule_updates)

    return linear


def _ppo(config: Config, actions: Space[Any]) -> dict[str, Any]:
    own, recipe = config.algorithm, config.recipe
    return {
        "learning_rate": schedule(config, own.learning_rate, recipe.learning_rate_schedule),
        "batch_size": own.minibatch_size,
        "n_epochs": own.epochs,
        "clip_range": schedule(config, config.objective["epsilon"], recipe.epsilon_schedule),
        "clip_range_vf": recipe.value_clip,
        "normalize_advantage": _standardizes(recipe),
        "ent_coef": own.entropy_coef,
        "vf_coef": own.value_coef,
        "max_grad_norm": _or_infinity(recipe.max_grad_norm),
        "target_kl": recipe.early_stop_kl,
    }


def _a2c(config: Config, actions: Space[Any]) -> dict[str, Any]:
    own = config.algorithm
    return {
        "learning_rate": schedule(config, own.learning_rate, own.learning_rate_schedule),
        "ent_coef": own.entropy_coef,
        "vf_coef": own.value_coef,
        "max_grad_norm": _or_infinity(own.max_grad_norm),
        "normalize_advantage": False,
        "use_rms_prop": False,  # it is among the policy's keywords
    }


def _trpo(config: Config, actions: Space[Any]) -> dict[str, Any]:
    own = config.algorithm
    # Where the KL of a Gaussian is a sum over the dimensions of an action, sb3-contrib takes the
    # mean (trpo.py: kl_divergence(...).mean()): its trust region and damping are of that.
    dimensions = actions.shape[0] if isinstance(actions, Box) else 1
    return {
        "learning_rate": own.value_learning_rate,
        "batch_size": own.minibatch_size,
        "n_critic_updates": own.epochs,
        "normalize_advantage": _standardizes(config.recipe),
        "target_kl": own.delta / dimensions,
        "cg_damping": own.damping / dimensions,
        "cg_max_steps": own.cg_iterations,
        "line_search_max_iter": own.backtracks,
        "line_search_shrinking_factor": own.backtrack_factor,
    }


def _standardizes(recipe: RecipeConfig) -> bool:
    return recipe.advantage_normalization != "none"


def _or_infinity(limit: float | None) -> float:
    return math.inf if limit is None else limit


KINDS: dict[str, tuple[type[Any], Callable[[Config, Space[Any]], dict[str, Any]]]] = {
    "sb3_ppo": (PPO, _ppo),
    "sb3_a2c": (A2C, _a2c),
    "sb3_trpo": (TRPO, _trpo),
}
"""By the names of `conf/algorithm`: the class, and what its constructor takes besides."""
