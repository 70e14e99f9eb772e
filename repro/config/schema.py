"""The schema of a configuration, and what follows from it: batch size, iterations, hash, run id.

Values live in `conf/`. A key's type, range and choices stand on its field here; relations between
keys are in `repro.config.validation`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import MISSING

from repro.config import devices, objectives
from repro.config.atari import AtariConfig
from repro.config.fields import CONF_DIR as CONF_DIR
from repro.config.fields import checked, choice, number, within
from repro.config.humanoid import HumanoidConfig

# Keys that say where a run is stored and how it is watched. They change nothing that it computes,
# so the hash leaves them out. `budget` and `experiment` name choices that show in other keys.
PLACEMENT = (
    "runs_dir",
    "logger",
    "device",
    "gpu_from_parameters",
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
# The runs of one pack may differ in these keys, and in no other that a result depends on.
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
    "recipe.learning_rate_target_kl",
)
# Left out of `as_dict` where they are null or empty, so that older runs keep their ids.
OPTIONAL = (
    "env.game",
    "env.atari",
    "env.kwargs",
    "env.humanoid",
    "policy.convolutions",
    "recipe.value_clip_schedule",
    "recipe.learning_rate_target_kl",
    "recipe.log_std_schedule",
    "recipe.final_log_std",
    "schedule_timesteps",
)


@dataclass
class EnvConfig:
    """One task. `num_envs` is the paper's N, its actors.

    `game` and `atari` are for Atari only, `humanoid` for the tasks of that backend. `kwargs` are
    arguments of `gymnasium.make`.
    """

    name: str = MISSING
    backend: str = choice("mujoco", "gymnasium", "humanoid", "atari")
    id: str = MISSING
    version: str | None = None
    num_envs: int = number("above 0", default=1)
    game: str | None = None
    atari: AtariConfig | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    humanoid: HumanoidConfig | None = None

    @property
    def switches(self) -> AtariConfig | HumanoidConfig | None:
        """Those of the task's backend, for `repro.envs.make`."""
        return self.atari or self.humanoid

    @property
    def task_arguments(self) -> dict[str, Any]:
        """What `gymnasium.make` takes besides the id, for the same task."""
        return self.kwargs | ({} if self.humanoid is None else dataclasses.asdict(self.humanoid))


@dataclass
class PolicyConfig:
    """The networks of the policy and of the value function.

    `convolutions` is for frames: (channels, kernel, stride) of each layer.
    """

    name: str = MISSING
    hidden_sizes: list[int] = field(default_factory=list, metadata=within("above 0"))
    activation: str = choice("tanh", "relu")
    shared: bool = False
    convolutions: list[list[int]] | None = field(default=None, metadata=within("above 0"))


@dataclass
class RecipeConfig:
    """What the paper leaves unsaid. `conf/recipe/*.yaml` says what each known code does."""

    name: str = MISSING
    observation_normalization: str = choice("none", "rollout", "step")
    observation_clip: float | None = number("above 0", default=None)
    observation_variance_floor: float = number("0 or more")
    observation_epsilon: float = number("0 or more")
    normalizer_count: float = number("above 0")
    reward_scaling: bool = MISSING
    reward_clip: float | None = number("above 0", default=None)
    reward_accumulator_reset: str = choice("never", "termination", "episode")
    clip_actions: bool = MISSING
    time_limit: str = choice("terminal", "bootstrap")
    initialization: str = choice("normc", "orthogonal")
    hidden_gain: float = number("0 or more")
    policy_gain: float = number("0 or more")
    value_gain: float = number("0 or more")
    initial_log_std: float = number("finite")
    log_std_schedule: str | None = choice("linear", default=None)  # null: learned
    final_log_std: float | None = number("finite", default=None)  # for linear
    learning_rate_schedule: str = choice("constant", "linear", "kl")
    learning_rate_target_kl: float | None = number("above 0", default=None)  # for kl
    epsilon_schedule: str = choice("constant", "linear")
    advantage_normalization: str = choice("none", "rollout", "actor", "minibatch")
    advantage_std: str = choice("biased", "unbiased", "none")  # none: only the mean is taken off
    advantage_epsilon: float = number("0 or more")
    value_clip: float | None = number("above 0", default=None)
    value_clip_schedule: str | None = choice("constant", "linear", default=None)  # null: constant
    value_clip_pessimistic: bool = MISSING
    max_grad_norm: float | None = number("above 0", default=None)
    adam_epsilon: float = number("above 0")
    old_policy: str = choice("stored", "recomputed")
    early_stop_kl: float | None = number("above 0", default=None)
    end_of_run: str = choice("floor", "reach", "finished_episodes")
    partial_minibatch: str = choice("refuse", "drop", "keep")


@dataclass
class LoggerConfig:
    """Where metrics go besides the run directory. `project` and `mode` are W&B's."""

    name: str = choice("none", "wandb", "tensorboard")
    project: str | None = None
    mode: str | None = choice("offline", "online", default=None)


@dataclass
class CheckpointConfig:
    """How often a run saves its complete state, and how many of these checkpoints it keeps.

    Attributes:
        every_seconds: of wall time.
        max_share: of the wall time; a run saves less often where saving takes more.
        keep: the newest so many. One may be damaged, hence two at least.
    """

    every_seconds: float = number("0 or more", default=60.0)
    max_share: float = number("above 0 and at most 1", default=0.02)
    keep: int = number("2 or more", default=2)


@dataclass
class Config:
    """One run. Treated as immutable once `validate` has passed it.

    Attributes:
        algorithm: an instance of one of `repro.config.algorithms.SETTINGS`.
        objective: `kind` and its scalars; empty where the algorithm takes none.
        schedule_timesteps: where linear schedules end, in environment steps; None: at
            total_timesteps.
        gpu_from_parameters: from how many parameters of a learner on `device=auto` takes a GPU.
        stall_timeout: seconds without a step after which the run is given up.
    """

    trainer: ClassVar[str] = "repro.training.loop"
    rooms: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str] = "control"

    env: EnvConfig = field(default_factory=EnvConfig)
    algorithm: Any = field(default_factory=dict)
    objective: dict[str, Any] = field(default_factory=dict)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    seed: int = number("0 or more")
    total_timesteps: int = number("above 0")
    schedule_timesteps: int | None = number("above 0", default=None)
    runs_dir: str = MISSING
    device: str = checked(devices.check)
    gpu_from_parameters: int = number("0 or more", default=100_000)
    engine: str = choice("native", "torch", "auto")
    progress: bool = True
    profile: bool = False
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    resume: str = choice("exact", "approximate", "never", default="exact")
    budget: str = MISSING
    experiment: str | None = None
    probe: str = choice("none", "interpolation", default="none")
    retry_failed: bool = False
    stall_timeout: float | None = number("above 0", default=None)

    @property
    def libraries(self) -> tuple[str, ...]:
        """Packages that compute a result."""
        packages = ("torch", "numpy", "mujoco", "gymnasium")
        atari = ("ale-py", "opencv-python-headless")
        return (*packages, *atari) if self.env.backend == "atari" else packages

    @property
    def batch_size(self) -> int:
        """N T, the samples of one iteration."""
        horizon: int = self.algorithm.horizon
        return horizon * self.env.num_envs

    @property
    def updates(self) -> int:
        """Iterations in `total_timesteps` (ppo1 may add one, to finish its last episodes)."""
        return self._iterations(self.total_timesteps)

    @property
    def schedule_updates(self) -> int:
        """Iterations until linear schedules end: of this run, or of the longer one it begins."""
        return self._iterations(self.schedule_timesteps or self.total_timesteps)

    def _iterations(self, timesteps: int) -> int:
        if self.recipe.end_of_run == "floor":
            return timesteps // self.batch_size
        return math.ceil(timesteps / self.batch_size)

    @property
    def objective_value(self) -> float | None:
        """The scalar that names a row of Table 1: epsilon, d_targ or beta; None for L_CPI."""
        return objectives.value(self.objective)

    @property
    def objective_label(self) -> str:
        """For tables and legends, such as `clip_0.2` or `none`; empty without an objective."""
        return objectives.label(self.objective)

    @property
    def run_id(self) -> str:
        """The name of the directory: the same for the same configuration, alone or in a sweep."""
        task = self.env.id.replace("/", "-")
        names = (task, self.algorithm.name, objectives.short_label(self.objective))
        return "_".join([*filter(None, names), f"s{self.seed}", self.hash[:8]])

    @property
    def directory(self) -> Path:
        """The run's directory."""
        return Path(self.runs_dir) / self.run_id

    @property
    def hash(self) -> str:
        """SHA-256 of `hashed`, everything that the result depends on."""
        return hash_of(self.as_dict())

    def hashed(self) -> dict[str, Any]:
        """The values that `hash` covers."""
        return without(self.as_dict(), PLACEMENT)

    @property
    def pack_key(self) -> str:
        """Equal for two runs that may train in one pack, if their objectives may."""
        shared = without(self.as_dict(), (*BATCHABLE, *PLACEMENT))
        return digest(shared) + self.device + self.engine

    def identity(self) -> dict[str, Any]:
        """The fields that tell one run from another, shared by `sweep.json` and `run.json`."""
        return {
            "run_id": self.run_id,
            "config_hash": self.hash,
            "experiment": self.experiment,
            "budget": self.budget,
            "algorithm": self.algorithm.name,
            "env_id": self.env.id,
            "env_name": self.env.name,
            "num_envs": self.env.num_envs,
            "objective": self.objective.get("kind"),
            "objective_value": self.objective_value,
            # An algorithm without a choice of objectives is named by itself in legends.
            "objective_label": self.objective_label or self.algorithm.name,
            "recipe": self.recipe.name,
            "seed": self.seed,
            "total_timesteps": self.total_timesteps,
            "updates": self.updates,
            "steps": self.updates * self.batch_size,
        }

    def as_dict(self) -> dict[str, Any]:
        """Nested dictionaries of plain values, as in a run's `config.yaml`."""
        absent = [key for key in OPTIONAL if get(self, key) in (None, {})]
        return without(dataclasses.asdict(self), absent)


def hash_of(values: Mapping[str, Any]) -> str:
    """`Config.hash` of a run's `config.yaml`, whatever keys a configuration had then."""
    return digest(without(dict(values), PLACEMENT))


def get(config: Config, key: str) -> Any:
    """The value of a dotted key, such as `env.num_envs`."""
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def without(values: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A copy of nested dictionaries without some dotted keys."""
    values = json.loads(json.dumps(values))
    for key in keys:
        *parents, last = key.split(".")
        node = values
        for parent in parents:
            node = node[parent]
        node.pop(last, None)
    return values


def digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of nested dictionaries, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
