"""The configuration of one stage; values and their sources are in `conf/language/`.

A run of a later stage holds the whole configuration of the earlier ones. So the runs that it builds
on are known by name before they exist: `parents`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import MISSING

from repro.config import devices
from repro.config.fields import checked, choice, number
from repro.config.schema import CheckpointConfig, LoggerConfig, digest, without
from repro.language import texts
from repro.language.texts.config import DOCUMENTED, TextConfig

STAGES = ("pretrain", "reward", "ppo", "best_of_n", "sft")
# As in `repro.config.schema`: keys that no result depends on.
PLACEMENT = (
    *("runs_dir", "logger", "device", "progress", "profile", "checkpoint", "resume"),
    *("retry_failed", "stall_timeout", "experiment", "gpu_from_parameters"),
)
# Keys in which the runs of one pack may differ.
BATCHABLE = ("seed", "kl", "objective", "reward.seed", "reward.pairs", "algorithm.learning_rate")
SECTIONS = {  # what each stage reads besides what earlier stages read
    "pretrain": ("text", "model", "pretrain"),
    "reward": ("reward",),
    "ppo": ("seed", "algorithm", "objective", "kl", "recipe"),
    "best_of_n": ("seed", "best_of_n", "recipe"),
    "sft": ("seed", "sft", "recipe"),
}


@dataclass
class ModelConfig:
    """A causal transformer, or a `table` of logits by the last token."""

    name: str = MISSING
    kind: str = choice("transformer", "table")
    width: int = number("above 0", default=16)
    layers: int = number("above 0", default=1)
    heads: int = number("above 0", default=1)


@dataclass
class PretrainConfig:
    """Next-token prediction."""

    seed: int = number("0 or more")
    steps: int = number("above 0")
    batch_size: int = number("above 0")
    learning_rate: float = number("above 0")
    max_grad_norm: float = number("above 0")


@dataclass
class RewardConfig:
    """Where the score comes from, and the reward model's training.

    Attributes:
        source: `model`, or `gold` for policies that see the gold reward itself.
        temperature: of the labels' noise: P(a > b) = sigmoid((gold(a) - gold(b)) / temperature).
        init: `base`, or `random` weights.
    """

    source: str = choice("model", "gold")
    seed: int = number("0 or more")
    pairs: int = number("above 0")
    held_out: int = number("above 0")
    temperature: float = number("above 0")
    steps: int = number("above 0")
    batch_size: int = number("above 0")
    learning_rate: float = number("above 0")
    max_grad_norm: float = number("above 0")
    init: str = choice("base", "random")


@dataclass
class AlgorithmConfig:
    """PPO's sizes and coefficients; Section 5 of the paper has them for its own tasks.

    Attributes:
        batch_size: episodes (responses) of an iteration.
        advantage: `gae` with a value function; `rloo` and `grpo` without, from groups of responses
            to one prompt.
        group_size: responses to each prompt.
        mean_over: all `tokens` of a minibatch, or its `responses`, each by the mean of its tokens.
    """

    name: str = MISSING
    total_episodes: int = number("above 0")
    batch_size: int = number("above 0")
    minibatches: int = number("above 0")
    epochs: int = number("above 0")
    learning_rate: float = number("above 0")
    gamma: float = number("in [0, 1]")
    gae_lambda: float = number("in [0, 1]")
    value_coef: float = number("0 or more")
    entropy_coef: float = number("0 or more")
    advantage: str = choice("gae", "rloo", "grpo")
    group_size: int = number("above 0")
    whiten_advantages: bool = MISSING
    mean_over: str = choice("tokens", "responses")


@dataclass
class KLConfig:
    """The penalty for leaving the reference.

    Attributes:
        beta: its coefficient; the first one of the adaptive controller.
        target: KL per response that the adaptive controller holds, nats.
        horizon: its time constant, episodes.
        place: in the `reward` of each token, or in the `loss`.
        estimator: k1 = log(pi / ref), or k3 = ref / pi - 1 - log(ref / pi) (Schulman 2020); only k3
            in the loss.
    """

    name: str = MISSING
    controller: str = choice("fixed", "adaptive")
    beta: float = number("0 or more")
    target: float = number("above 0")
    horizon: int = number("above 0")
    error_clip: float = number("above 0")
    place: str = choice("reward", "loss")
    estimator: str = choice("k1", "k3")


@dataclass
class RecipeConfig:
    """What the sources do differently. `conf/language/recipe/*.yaml` says who does what."""

    name: str = MISSING
    temperature: float = number("above 0")
    score_at: str = choice("last_token", "after_last_token")
    missing_end: str = choice("keep", "replace", "subtract")
    missing_end_score: float = number("finite")
    truncate_after: int = number("0 or more")
    tokens_after_end: str = choice("masked", "trained")
    normalize_score: bool = MISSING
    whiten_rewards: bool = MISSING
    whitening_variance: str = choice("biased", "unbiased")
    value_network: str = choice("shared", "separate")
    value_init: str = choice("zero", "reward_model")
    value_clip: float | None = number("above 0", default=None)
    learning_rate_schedule: str = choice("constant", "linear")
    adam_epsilon: float = number("above 0")
    adam_form: str = choice("torch", "tensorflow")
    max_grad_norm: float | None = number("above 0", default=None)


@dataclass
class BestOfNConfig:
    """The proxy chooses the best of n responses of the base model."""

    prompts: int = number("above 0")
    batch_size: int = number("above 0")
    most: int = number("above 0")


@dataclass
class SFTConfig:
    """Supervised fine-tuning on the best of `n` responses of the base model, by the proxy."""

    n: int = number("above 0")
    total_episodes: int = number("above 0")
    batch_size: int = number("above 0")
    learning_rate: float = number("above 0")
    max_grad_norm: float = number("above 0")


@dataclass
class LanguageConfig:
    """One run of one stage. Treated as immutable once it has been checked."""

    trainer: ClassVar[str] = "repro.language.training"
    rooms: ClassVar[tuple[str, ...]] = ("language",)

    stage: str = choice(*STAGES)
    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    objective: dict[str, Any] = field(default_factory=dict)
    kl: KLConfig = field(default_factory=KLConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    best_of_n: BestOfNConfig = field(default_factory=BestOfNConfig)
    sft: SFTConfig = field(default_factory=SFTConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    seed: int = number("0 or more")
    runs_dir: str = MISSING
    device: str = checked(devices.check)
    gpu_from_parameters: int = number("0 or more", default=100_000)
    progress: bool = True
    profile: bool = False
    resume: str = choice("exact", "never", default="exact")
    experiment: str | None = None
    retry_failed: bool = False
    stall_timeout: float | None = number("above 0", default=None)

    @property
    def kind(self) -> str:
        """Which tables the run has."""
        return {"ppo": "policy", "sft": "policy"}.get(self.stage, self.stage)

    @property
    def libraries(self) -> tuple[str, ...]:
        """Packages that compute a result."""
        packages = DOCUMENTED if self.text.kind == "documentation" else ("numpy",)
        return ("torch", *packages)

    @property
    def batch_size(self) -> int:
        """Sequences, pairs, episodes or prompts of one iteration."""
        sections = {"ppo": "algorithm"}
        size: int = getattr(self, sections.get(self.stage, self.stage)).batch_size
        return size

    @property
    def updates(self) -> int:
        """Iterations."""
        if self.stage in ("pretrain", "reward"):
            return int(getattr(self, self.stage).steps)
        total = {
            "ppo": self.algorithm.total_episodes,
            "sft": self.sft.total_episodes,
            "best_of_n": self.best_of_n.prompts,
        }[self.stage]
        return total // self.batch_size

    @property
    def parents(self) -> dict[str, LanguageConfig]:
        """The runs that this one builds on, by stage."""
        if self.stage == "pretrain":
            return {}
        before = ["pretrain"]
        if self.stage != "reward" and self.reward.source == "model":
            before.append("reward")
        return {stage: dataclasses.replace(self, stage=stage) for stage in before}

    @property
    def run_seed(self) -> int:
        """The seed of this stage."""
        sections = {"pretrain": self.pretrain.seed, "reward": self.reward.seed}
        return sections.get(self.stage, self.seed)

    @property
    def label(self) -> str:
        """For run ids and legends, such as `ppo_clip_kl0.05`."""
        if self.stage == "reward":
            return f"reward_{self.reward.pairs}"
        if self.stage == "sft":
            return f"sft_{self.sft.n}"
        if self.stage != "ppo":
            return self.stage
        kl = f"{self.kl.beta:g}"
        if self.kl.controller == "adaptive":
            kl = f"target{self.kl.target:g}"
        kind = self.objective.get("kind", "")
        place = {"reward": "", "loss": "_loss"}[self.kl.place]
        estimator = {"k1": "", "k3": "_k3"}[self.kl.estimator]
        return f"{self.algorithm.name}_{kind}_kl{kl}{place}{estimator}"

    @property
    def run_id(self) -> str:
        """The name of the directory: the same for the same configuration, alone or in a sweep."""
        return f"{self.text.name}_{self.label}_s{self.run_seed}_{self.hash[:8]}"

    @property
    def directory(self) -> Path:
        """The run's directory."""
        return Path(self.runs_dir) / self.run_id

    @property
    def hash(self) -> str:
        """SHA-256 of everything that the result depends on."""
        return digest(self.hashed())

    @property
    def pack_key(self) -> str:
        """Equal for two runs that may train in one pack."""
        present = [key for key in BATCHABLE if key.partition(".")[0] in self._read()]
        return digest(without(self.hashed(), present)) + self.device

    def hashed(self) -> dict[str, Any]:
        """The values that `hash` covers: what this stage and those before it read."""
        values = json.loads(json.dumps(dataclasses.asdict(self)))
        return {name: values[name] for name in ("stage", *self._read())}

    def as_dict(self) -> dict[str, Any]:
        """Nested dictionaries of plain values, as in a run's `config.yaml`.

        What the stage does not read is left out, so that `hash` is that of the file.
        """
        values = json.loads(json.dumps(dataclasses.asdict(self)))
        return self.hashed() | {name: values[name] for name in PLACEMENT}

    def identity(self) -> dict[str, Any]:
        """The fields that tell one run from another, shared by `sweep.json` and `run.json`."""
        text = texts.make(self.text)
        parents = {stage: parent.run_id for stage, parent in self.parents.items()}
        return {
            "run_id": self.run_id,
            "config_hash": self.hash,
            "experiment": self.experiment,
            "stage": self.stage,
            "label": self.label,
            "env_id": self.text.name,  # the task, for `python -m repro.status`
            "env_name": self.text.name,
            "algorithm": self.algorithm.name if self.stage == "ppo" else self.stage,
            "recipe": self.recipe.name,
            "beta": self.kl.beta if self.stage == "ppo" else None,
            "controller": self.kl.controller if self.stage == "ppo" else None,
            "kl_place": self.kl.place if self.stage == "ppo" else None,
            "kl_estimator": self.kl.estimator if self.stage == "ppo" else None,
            "objective": self.objective.get("kind") if self.stage == "ppo" else None,
            "objective_label": self.label,
            "best_of": self.sft.n if self.stage == "sft" else None,
            "pairs": self.reward.pairs,
            "seed": self.run_seed,
            "updates": self.updates,
            "steps": self.updates * self.batch_size,
            "parents": parents,
            "vocabulary": text.vocabulary,
            "spaced": text.spaced,
        }

    def _read(self) -> Iterable[str]:
        """Sections that the result depends on."""
        before = ["pretrain"] if self.stage == "pretrain" else ["pretrain", "reward"]
        stages = dict.fromkeys([*before, self.stage])
        return [name for stage in stages for name in SECTIONS[stage]]
