"""The settings of every algorithm: the schema of `conf/algorithm/*.yaml`.

The YAML files have the values and their sources; here are types, ranges and choices, and which keys
of a recipe an algorithm does not read.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import ClassVar

from omegaconf import MISSING, DictConfig, OmegaConf, open_dict

from repro.config.fields import choice, number
from repro.config.names import check_choice
from repro.errors import ConfigError

# Keys of `algorithm` that recipes and budgets set, whether or not the algorithm has them.
SET_BY_OTHER_GROUPS = ("minibatch_size", "epochs", "value_coef", "entropy_coef")

# Keys of a recipe that only PPO's update reads, ...
PPO_UPDATE = (
    "learning_rate_schedule",
    "learning_rate_target_kl",
    "log_std_schedule",
    "final_log_std",
    "epsilon_schedule",
    "value_clip",
    "value_clip_schedule",
    "value_clip_pessimistic",
    "max_grad_norm",
    "early_stop_kl",
)
# ... and those that only an advantage estimate needs.
ADVANTAGES = ("advantage_normalization", "advantage_std", "advantage_epsilon")


@dataclass
class AlgorithmSettings:
    """What every algorithm has. `horizon` is T, the steps of an actor in one iteration.

    Attributes:
        takes_objective: whether it maximizes one of `conf/objective`.
        separate_networks: whether policy and value function must not share parameters.
        recipe_unused: the keys of a recipe that it does not read.
        is_sb3: whether Stable-Baselines3 runs it: one run a pack, without checkpoints.
    """

    takes_objective: ClassVar[bool] = False
    separate_networks: ClassVar[bool] = False
    recipe_unused: ClassVar[tuple[str, ...]] = ()
    is_sb3: ClassVar[bool] = False

    name: str = MISSING
    horizon: int = number("above 0")
    gamma: float = number("in [0, 1]")


@dataclass
class PPOSettings(AlgorithmSettings):
    """Algorithm 1 and Table 3 of the paper, and c1, c2 of equation 9."""

    takes_objective: ClassVar[bool] = True

    minibatch_size: int = number("above 0")  # M
    epochs: int = number("above 0")  # K
    learning_rate: float = number("0 or more")
    gae_lambda: float = number("in [0, 1]")
    value_coef: float = number("0 or more")  # c1
    entropy_coef: float = number("0 or more")  # c2


@dataclass
class CriticSettings(AlgorithmSettings):
    """VPG and TRPO: the value function has its own optimizer and its own fit."""

    separate_networks: ClassVar[bool] = True
    recipe_unused: ClassVar[tuple[str, ...]] = PPO_UPDATE

    gae_lambda: float = number("in [0, 1]")
    value_learning_rate: float = number("0 or more")
    epochs: int = number("above 0")  # of the value function's fit
    minibatch_size: int = number("above 0")  # of the value function's fit


@dataclass
class VPGSettings(CriticSettings):
    """Vanilla policy gradient: one step on L_PG a batch."""

    signal: str = choice("return", "reward_to_go", "q", "advantage")
    learning_rate: float = number("0 or more")
    adaptive_step_size: bool = MISSING
    target_kl: float = number("above 0")  # of the adaptive step size


@dataclass
class TRPOSettings(CriticSettings):
    """Trust region policy optimization (Schulman et al. 2015)."""

    recipe_unused: ClassVar[tuple[str, ...]] = PPO_UPDATE

    delta: float = number("above 0")  # the trust region: E[KL(old, new)] <= delta
    damping: float = number("0 or more")
    cg_iterations: int = number("above 0")
    cg_tolerance: float = number("0 or more")
    fisher_fraction: float = number("above 0 and at most 1")
    backtracks: int = number("above 0")
    backtrack_factor: float = number("above 0 and below 1")
    kl_slack: float = number("1 or more")
    freeze_log_std: bool = MISSING


@dataclass
class A2CSettings(AlgorithmSettings):
    """Advantage actor-critic: the synchronous form of A3C (Mnih et al. 2016)."""

    recipe_unused: ClassVar[tuple[str, ...]] = (
        *PPO_UPDATE,
        *ADVANTAGES,
        "adam_epsilon",
        "partial_minibatch",
    )

    learning_rate: float = number("0 or more")
    learning_rate_schedule: str = choice("constant", "linear")
    gae_lambda: float = number("in [0, 1]")
    value_coef: float = number("0 or more")  # c1
    entropy_coef: float = number("0 or more")  # c2
    max_grad_norm: float | None = number("above 0")
    rms_decay: float = number("in [0, 1)")
    rms_epsilon: float = number("above 0")


@dataclass
class A2CTrustRegionSettings(A2CSettings):
    """A2C with the trust region of ACER (Wang et al. 2016)."""

    delta: float = number("above 0")
    average_decay: float = number("in [0, 1]")


@dataclass
class ACERSettings(AlgorithmSettings):
    """Actor-critic with experience replay (Wang et al. 2016), for discrete actions."""

    recipe_unused: ClassVar[tuple[str, ...]] = (
        *PPO_UPDATE,
        *ADVANTAGES,
        "adam_epsilon",
        "old_policy",
        "partial_minibatch",
    )

    learning_rate: float = number("0 or more")
    learning_rate_schedule: str = choice("constant", "linear")
    value_coef: float = number("0 or more")  # of half the squared error of Q
    entropy_coef: float = number("0 or more")
    retrace_lambda: float = number("in [0, 1]")
    truncation: float = number("above 0")  # c
    trust_region: bool = MISSING
    delta: float = number("above 0")
    average_decay: float = number("in [0, 1]")  # alpha
    replay_size: int = number("0 or more")  # steps of each actor
    replay_start: int = number("0 or more")  # steps of each actor before the first replay
    replay_ratio: float = number("0 or more")  # mean number of replays after a rollout
    max_grad_norm: float | None = number("above 0")
    rms_decay: float = number("in [0, 1)")
    rms_epsilon: float = number("above 0")


@dataclass
class CEMSettings(AlgorithmSettings):
    """Noisy cross-entropy method (Szita & Lorincz 2006)."""

    separate_networks: ClassVar[bool] = True
    recipe_unused: ClassVar[tuple[str, ...]] = (
        *PPO_UPDATE,
        *ADVANTAGES,
        "reward_scaling",
        "reward_clip",
        "reward_accumulator_reset",
        "time_limit",
        "value_gain",
        "initial_log_std",
        "adam_epsilon",
        "old_policy",
        "partial_minibatch",
    )

    candidates: int = number("1 or more")
    elite_fraction: float = number("above 0 and at most 1")
    initial_std: float = number("above 0")
    extra_std: float = number("0 or more")
    extra_std_generations: int = number("above 0")


@dataclass
class SB3PPOSettings(PPOSettings):
    """Stable-Baselines3's PPO."""

    is_sb3: ClassVar[bool] = True


@dataclass
class SB3A2CSettings(A2CSettings):
    """Stable-Baselines3's A2C. `rmsprop` chooses between its two; ours is like TensorFlow's."""

    is_sb3: ClassVar[bool] = True

    rmsprop: str = choice("tensorflow", "torch")


@dataclass
class SB3TRPOSettings(CriticSettings):
    """sb3-contrib's TRPO: those of `TRPOSettings` that it has."""

    is_sb3: ClassVar[bool] = True

    delta: float = number("above 0")
    damping: float = number("0 or more")
    cg_iterations: int = number("above 0")
    backtracks: int = number("above 0")
    backtrack_factor: float = number("above 0 and below 1")


SETTINGS: dict[str, type[AlgorithmSettings]] = {
    "ppo": PPOSettings,
    "vpg": VPGSettings,
    "trpo": TRPOSettings,
    "a2c": A2CSettings,
    "a2c_tr": A2CTrustRegionSettings,
    "acer": ACERSettings,
    "cem": CEMSettings,
    "sb3_ppo": SB3PPOSettings,
    "sb3_a2c": SB3A2CSettings,
    "sb3_trpo": SB3TRPOSettings,
}
"""By the names of `conf/algorithm` and `repro.algorithms`."""


def settings_class(node: DictConfig) -> type[AlgorithmSettings]:
    """The schema of the `algorithm` section of a composed configuration.

    Raises:
        ConfigError: the section names no algorithm, or an unknown one.
    """
    if not node.get("algorithm") or OmegaConf.is_missing(node.algorithm, "name"):
        raise ConfigError("algorithm.name has no value: choose one, such as algorithm=ppo.")
    check_choice("algorithm.name", node.algorithm.name, SETTINGS)
    return SETTINGS[node.algorithm.name]


def without_unused_keys(node: DictConfig, settings: type[AlgorithmSettings]) -> DictConfig:
    """The node without the keys that a recipe or a budget sets and the algorithm does not have."""
    unused = [key for key in SET_BY_OTHER_GROUPS if key in node.algorithm]
    unused = [key for key in unused if key not in keys(settings)]
    if not unused:
        return node
    node = copy.deepcopy(node)
    with open_dict(node.algorithm):
        for key in unused:
            del node.algorithm[key]
    return node


def keys(settings: type[AlgorithmSettings]) -> list[str]:
    """The keys of an algorithm's section of the configuration."""
    return [each.name for each in fields(settings)]


def all_keys() -> Iterable[str]:
    """The keys of all algorithms, each once."""
    return dict.fromkeys(key for settings in SETTINGS.values() for key in keys(settings))
