"""The settings of every algorithm: what `conf/algorithm/*.yaml` holds, and what each may be.

Values and their sources are in the YAML; here are types, ranges, and what of the other groups an
algorithm has no use for.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from omegaconf import MISSING, DictConfig, OmegaConf, open_dict

from repro.config.names import check_choice
from repro.errors import ConfigError

RANGES: dict[str, Callable[[float], bool]] = {
    "above 0": lambda x: x > 0,
    "0 or more": lambda x: x >= 0,
    "in [0, 1]": lambda x: 0 <= x <= 1,
    "in [0, 1)": lambda x: 0 <= x < 1,
    "above 0 and below 1": lambda x: 0 < x < 1,
    "above 0 and at most 1": lambda x: 0 < x <= 1,
    "1 or more": lambda x: x >= 1,
}

# Recipes and budgets set these for whoever has them: an algorithm without one goes without it.
OFFERED = ("minibatch_size", "epochs", "value_coef", "entropy_coef")

# What a recipe says of PPO's own update.
PPO_UPDATE = (
    "learning_rate_schedule",
    "epsilon_schedule",
    "value_clip",
    "value_clip_schedule",
    "value_clip_pessimistic",
    "max_grad_norm",
    "early_stop_kl",
)
ADVANTAGES = ("advantage_normalization", "advantage_std", "advantage_epsilon")


def _number(meaning: str) -> Any:
    """A field without a default, whose value must lie in one of `RANGES`; null where it may be."""
    return field(default=MISSING, metadata={"range": meaning})


def _choice(*names: str) -> Any:
    """A field without a default, whose value must be one of `names`."""
    return field(default=MISSING, metadata={"choices": names})


@dataclass
class AlgorithmSettings:
    """What every algorithm has. `horizon` is T, the steps of an actor in one iteration."""

    takes_objective: ClassVar[bool] = False
    separate_networks: ClassVar[bool] = False  # the actor and the critic may share no parameters
    recipe_unused: ClassVar[tuple[str, ...]] = ()
    foreign: ClassVar[bool] = False  # Stable-Baselines3's: one run a pack, without checkpoints

    name: str = MISSING
    horizon: int = _number("above 0")
    gamma: float = _number("in [0, 1]")


@dataclass
class PPOSettings(AlgorithmSettings):
    """Algorithm 1 and Table 3 of the paper, and c1, c2 of equation 9."""

    takes_objective: ClassVar[bool] = True

    minibatch_size: int = _number("above 0")  # M
    epochs: int = _number("above 0")  # K
    learning_rate: float = _number("0 or more")
    gae_lambda: float = _number("in [0, 1]")
    value_coef: float = _number("0 or more")  # c1
    entropy_coef: float = _number("0 or more")  # c2


@dataclass
class CriticSettings(AlgorithmSettings):
    """Advantages from a value function that is fitted by itself: VPG and TRPO."""

    separate_networks: ClassVar[bool] = True
    recipe_unused: ClassVar[tuple[str, ...]] = PPO_UPDATE

    gae_lambda: float = _number("in [0, 1]")
    value_learning_rate: float = _number("0 or more")
    epochs: int = _number("above 0")  # of the value function's fit
    minibatch_size: int = _number("above 0")  # likewise


@dataclass
class VPGSettings(CriticSettings):
    """Vanilla policy gradient: one step on L_PG a batch."""

    signal: str = _choice("return", "reward_to_go", "q", "advantage")
    learning_rate: float = _number("0 or more")
    adaptive_step_size: bool = MISSING
    target_kl: float = _number("above 0")  # of the adaptive step size


@dataclass
class TRPOSettings(CriticSettings):
    """Trust region policy optimization (Schulman et al. 2015)."""

    recipe_unused: ClassVar[tuple[str, ...]] = PPO_UPDATE

    delta: float = _number("above 0")  # the trust region: E[KL(old, new)] <= delta
    damping: float = _number("0 or more")
    cg_iterations: int = _number("above 0")
    cg_tolerance: float = _number("0 or more")
    fisher_fraction: float = _number("above 0 and at most 1")
    backtracks: int = _number("above 0")
    backtrack_factor: float = _number("above 0 and below 1")
    kl_slack: float = _number("1 or more")
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

    learning_rate: float = _number("0 or more")
    learning_rate_schedule: str = _choice("constant", "linear")
    gae_lambda: float = _number("in [0, 1]")
    value_coef: float = _number("0 or more")  # c1
    entropy_coef: float = _number("0 or more")  # c2
    max_grad_norm: float | None = _number("above 0")
    rms_decay: float = _number("in [0, 1)")
    rms_epsilon: float = _number("above 0")


@dataclass
class A2CTrustRegionSettings(A2CSettings):
    """A2C whose policy gradient is held in ACER's trust region (Wang et al. 2016)."""

    delta: float = _number("above 0")
    average_decay: float = _number("in [0, 1]")


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

    candidates: int = _number("1 or more")
    elite_fraction: float = _number("above 0 and at most 1")
    initial_std: float = _number("above 0")
    extra_std: float = _number("0 or more")
    extra_std_generations: int = _number("above 0")


@dataclass
class SB3PPOSettings(PPOSettings):
    """Stable-Baselines3's PPO."""

    foreign: ClassVar[bool] = True


@dataclass
class SB3A2CSettings(A2CSettings):
    """Stable-Baselines3's A2C. `rmsprop` is which of its two it takes: ours is TensorFlow's."""

    foreign: ClassVar[bool] = True

    rmsprop: str = _choice("tensorflow", "torch")


@dataclass
class SB3TRPOSettings(CriticSettings):
    """sb3-contrib's TRPO: what it has of `TRPOSettings`."""

    foreign: ClassVar[bool] = True

    delta: float = _number("above 0")
    damping: float = _number("0 or more")
    cg_iterations: int = _number("above 0")
    backtracks: int = _number("above 0")
    backtrack_factor: float = _number("above 0 and below 1")


SETTINGS: dict[str, type[AlgorithmSettings]] = {
    "ppo": PPOSettings,
    "vpg": VPGSettings,
    "trpo": TRPOSettings,
    "a2c": A2CSettings,
    "a2c_tr": A2CTrustRegionSettings,
    "cem": CEMSettings,
    "sb3_ppo": SB3PPOSettings,
    "sb3_a2c": SB3A2CSettings,
    "sb3_trpo": SB3TRPOSettings,
}
"""By the names of `conf/algorithm` and `repro.algorithms`."""


def of(node: DictConfig) -> type[AlgorithmSettings]:
    """What the `algorithm` section of a composed configuration must be.

    Raises:
        ConfigError: it names no algorithm that there is.
    """
    if not node.get("algorithm") or OmegaConf.is_missing(node.algorithm, "name"):
        raise ConfigError("algorithm.name has no value: choose one, such as algorithm=ppo.")
    check_choice("algorithm.name", node.algorithm.name, SETTINGS)
    return SETTINGS[node.algorithm.name]


def without_foreign_offers(node: DictConfig, own: type[AlgorithmSettings]) -> DictConfig:
    """The node without what a recipe or a budget offers and this algorithm does not have."""
    foreign = [key for key in OFFERED if key in node.algorithm and key not in keys(own)]
    if not foreign:
        return node
    node = copy.deepcopy(node)
    with open_dict(node.algorithm):
        for key in foreign:
            del node.algorithm[key]
    return node


def keys(settings: type[AlgorithmSettings]) -> list[str]:
    """What an algorithm's section of the configuration holds."""
    return [each.name for each in fields(settings)]


def all_keys() -> Iterable[str]:
    """The keys of all algorithms, each once."""
    return dict.fromkeys(key for settings in SETTINGS.values() for key in keys(settings))


def out_of_range(settings: Any) -> Iterable[tuple[str, Any, str]]:
    """Every key whose number is not what it may be: (key, value, what it must be)."""
    for each in fields(settings):
        value, meaning = getattr(settings, each.name), each.metadata.get("range")
        if meaning is None or value is None:
            continue
        if not math.isfinite(value) or not RANGES[meaning](value):
            yield each.name, value, meaning


def choices(settings: Any) -> Iterable[tuple[str, Any, tuple[str, ...]]]:
    """Every key that takes one of several names: (key, value, names)."""
    for each in fields(settings):
        if "choices" in each.metadata:
            yield each.name, getattr(settings, each.name), each.metadata["choices"]
