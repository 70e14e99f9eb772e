"""The schema of a configuration, and what follows from it.

Defaults live in `conf/`, types here, checks in `repro.config.validation`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from repro.config.atari import AtariConfig

_PACKAGE = Path(__file__).resolve().parents[1]
# A wheel holds `conf` in the package; a checkout has it beside.
CONF_DIR = (_PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent) / "conf"

# Keys of a configuration that say where a run is put and watched: no part of what it computes, so
# none of its hash. `budget` and `experiment` name choices that show in other keys.
PLACEMENT = (
    "runs_dir",
    "logger",
    "device",
    "engine",
    "budget",
    "experiment",
    "progress",
    "profile",
    "checkpoint",
    "resume",
    "retry_failed",
    "stall_timeout",
)
# Members of one pack may differ in these and in nothing else that matters to a result.
BATCHABLE = (
    "seed",
    "objective",
    "algorithm.learning_rate",
    "algorithm.gamma",
    "algorithm.gae_lambda",
    "algorithm.value_coef",
    "algorithm.entropy_coef",
    "algorithm.target_kl",
    "algorithm.delta",
    "algorithm.damping",
)
# Left out of a configuration where they are null: runs without them keep the ids they always had.
OPTIONAL = (
    "env.game",
    "env.atari",
    "policy.convolutions",
    "recipe.value_clip_schedule",
    "schedule_timesteps",
)


@dataclass
class EnvConfig:
    """One task. `num_envs` is the paper's N, the number of actors."""

    name: str = MISSING
    backend: str = MISSING  # mujoco | gymnasium | atari
    id: str = MISSING
    version: str | None = None
    num_envs: int = 1
    game: str | None = None  # of the atari backend, and so is the next
    atari: AtariConfig | None = None


@dataclass
class PolicyConfig:
    """The networks of the actor and the critic."""

    name: str = MISSING
    hidden_sizes: list[int] = field(default_factory=list)
    activation: str = MISSING  # tanh | relu
    shared: bool = False
    convolutions: list[list[int]] | None = None  # (channels, kernel, stride) of each; of frames


@dataclass
class RecipeConfig:
    """What the paper leaves unsaid. `conf/recipe/*.yaml` says what each known code does."""

    name: str = MISSING
    observation_normalization: str = MISSING  # none | rollout | step
    observation_clip: float | None = None
    observation_variance_floor: float = MISSING
    observation_epsilon: float = MISSING
    normalizer_count: float = MISSING
    reward_scaling: bool = MISSING
    reward_clip: float | None = None
    reward_accumulator_reset: str = MISSING  # never | termination | episode
    clip_actions: bool = MISSING
    time_limit: str = MISSING  # terminal | bootstrap
    initialization: str = MISSING  # normc | orthogonal
    hidden_gain: float = MISSING
    policy_gain: float = MISSING
    value_gain: float = MISSING
    initial_log_std: float = MISSING
    learning_rate_schedule: str = MISSING  # constant | linear
    epsilon_schedule: str = MISSING  # constant | linear
    advantage_normalization: str = MISSING  # none | rollout | actor | minibatch
    advantage_std: str = MISSING  # biased | unbiased
    advantage_epsilon: float = MISSING
    value_clip: float | None = None
    value_clip_schedule: str | None = None  # constant | linear; null is constant
    value_clip_pessimistic: bool = MISSING
    max_grad_norm: float | None = None
    adam_epsilon: float = MISSING
    old_policy: str = MISSING  # stored | recomputed
    early_stop_kl: float | None = None
    end_of_run: str = MISSING  # floor | reach | finished_episodes
    partial_minibatch: str = MISSING  # refuse | drop | keep


@dataclass
class LoggerConfig:
    """Where metrics go besides the run directory."""

    name: str = MISSING  # none | wandb | tensorboard
    project: str | None = None
    mode: str | None = None


@dataclass
class CheckpointConfig:
    """How often a run can be gone on from, and what that may cost."""

    every_seconds: float = 60.0
    max_share: float = 0.02  # of the wall time; saves are put off where they would take more
    keep: int = 2


@dataclass
class Config:
    """One run. Treated as immutable once `validate` has passed it."""

    env: EnvConfig = field(default_factory=EnvConfig)
    algorithm: Any = field(default_factory=dict)  # the `settings.SETTINGS` of its name
    objective: dict[str, Any] = field(default_factory=dict)  # empty where it has no meaning
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    seed: int = MISSING
    total_timesteps: int = MISSING
    schedule_timesteps: int | None = None  # at which what is annealed ends; null: total_timesteps
    runs_dir: str = MISSING
    device: str = MISSING  # cpu | cuda | auto
    engine: str = MISSING  # native | torch | auto
    progress: bool = True
    profile: bool = False
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    resume: str = "exact"  # exact | approximate | never
    budget: str = MISSING
    experiment: str | None = None
    probe: str = "none"  # none | interpolation
    retry_failed: bool = False
    stall_timeout: float | None = None  # seconds without a step, after which it is given up

    @property
    def batch_size(self) -> int:
        """N T, the samples of one iteration."""
        horizon: int = self.algorithm.horizon
        return horizon * self.env.num_envs

    @property
    def updates(self) -> int:
        """Iterations that `total_timesteps` pays for (ppo1 may add one for its last episodes)."""
        return self._iterations(self.total_timesteps)

    @property
    def schedule_updates(self) -> int:
        """Iterations of the run whose schedules these are: this, or the longer that it begins."""
        return self._iterations(self.schedule_timesteps or self.total_timesteps)

    def _iterations(self, timesteps: int) -> int:
        if self.recipe.end_of_run == "floor":
            return timesteps // self.batch_size
        return math.ceil(timesteps / self.batch_size)

    @property
    def objective_value(self) -> float | None:
        """The scalar that names a row of Table 1: epsilon, d_targ or beta; none for L_CPI."""
        keys = {"kl_adaptive": "target_kl", "kl_fixed": "beta"}
        value = self.objective.get(keys.get(self.objective.get("kind", ""), "epsilon"))
        return None if value is None else float(value)

    @property
    def objective_label(self) -> str:
        """For names of runs and legends: `clip_0.2`, `kl_adaptive_0.01`, `none`; or nothing."""
        value = self.objective_value
        return str(self.objective.get("kind", "")) + ("" if value is None else f"_{value:g}")

    @property
    def run_id(self) -> str:
        """The same configuration has the same id, alone or in a sweep."""
        task = self.env.id.replace("/", "-")
        names = (task, self.algorithm.name, self.objective_label)
        return "_".join([*filter(None, names), f"s{self.seed}", self.hash[:8]])

    @property
    def directory(self) -> Path:
        """Where the run is kept."""
        return Path(self.runs_dir) / self.run_id

    @property
    def hash(self) -> str:
        """SHA-256 over everything that the result depends on."""
        return hash_of(self.as_dict())

    def hashed(self) -> dict[str, Any]:
        """What `hash` is of."""
        return _without(self.as_dict(), PLACEMENT)

    @property
    def pack_key(self) -> str:
        """Equal for two runs that may train in one pack (their objectives allowing)."""
        return (
            _digest(_without(self.as_dict(), (*BATCHABLE, *PLACEMENT))) + self.device + self.engine
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain nested dictionaries."""
        absent = [key for key in OPTIONAL if get(self, key) is None]
        return _without(dataclasses.asdict(self), absent)


def hash_of(values: Mapping[str, Any]) -> str:
    """`Config.hash` of what a run's `config.yaml` holds, whatever keys there were then."""
    return _digest(_without(dict(values), PLACEMENT))


def get(config: Config, key: str) -> Any:
    """The value of a dotted key, such as `env.num_envs`."""
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _without(values: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    values = json.loads(json.dumps(values))
    for key in keys:
        *parents, last = key.split(".")
        node = values
        for parent in parents:
            node = node[parent]
        node.pop(last, None)
    return values


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
