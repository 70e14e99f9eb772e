"""Columns of the progress table for a Stable-Baselines3 model, defined as for our algorithms.

Its own logger averages over minibatches during training and estimates the KL (`approx_kl`,
E[r - 1 - log r]). Here a column is a mean over the whole rollout with the parameters after the
update, and the KL is exact. This takes two forward passes an iteration and draws no random numbers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor
from torch.distributions import Distribution, Normal, kl_divergence

from repro.algorithms.measured import MEASURED
from repro.config.schema import Config
from repro.learning import advantages, objectives

Metrics = dict[str, Any]


class Measures:
    """Evaluates a model's rollout before and after its update."""

    def __init__(self, config: Config, model: OnPolicyAlgorithm) -> None:
        """Count the optimizer's steps."""
        self.config, self.model = config, model
        self.finite = True
        self._steps = 0
        model.policy.optimizer.register_step_post_hook(lambda *_: self._count())

    def _count(self) -> None:
        self._steps += 1

    def unknown(self) -> Metrics:
        """All columns that an algorithm may fill, as NaN [1]."""
        return {name: np.full(1, math.nan) for name in MEASURED}

    @torch.no_grad()
    def before(self) -> None:
        """Keep the rollout in time-major order, which the update changes."""
        buffer = self.model.rollout_buffer
        self._observations = self._tensor(buffer.observations)
        actions = self._tensor(buffer.actions)
        discrete = isinstance(self.model.action_space, Discrete)
        self._actions = actions.long().flatten() if discrete else actions
        names = ("values", "log_probs", "advantages", "returns")
        self._old = {name: self._tensor(getattr(buffer, name)).flatten() for name in names}
        self._distribution = self._at(self._observations)
        self._steps = 0

    def _tensor(self, array: Any) -> Tensor:
        """[T, N, ...] -> [T N, ...]."""
        return torch.as_tensor(array, device=self.model.device).flatten(0, 1)

    def _at(self, observations: Tensor) -> Distribution:
        distribution = self.model.policy.get_distribution(observations).distribution
        assert isinstance(distribution, Distribution)
        return distribution

    @torch.no_grad()
    def invalid_distribution(self) -> str | None:
        """What torch refuses about the distributions of finite but too large parameters."""
        policy, shape = self.model.policy, self.model.observation_space.shape
        assert shape is not None
        for raw in (self.model.rollout_buffer.observations, self.model._last_obs):
            rows = np.asarray(raw).reshape(-1, *shape)
            observations, _ = policy.obs_to_tensor(rows)
            latent, _ = policy.mlp_extractor(policy.extract_features(observations))
            if not torch.isfinite(policy.action_net(latent)).all():
                return "its policy's outputs stopped being finite"
        std = policy.log_std.exp() if hasattr(policy, "log_std") else torch.ones(1)
        if not ((std > 0) & torch.isfinite(std)).all():
            return "its standard deviation is no longer a positive number"
        return None

    @torch.no_grad()
    def after(self) -> Metrics:
        """Columns of the iteration, [1] each."""
        logged = self.model.logger.name_to_value
        self.finite = all(
            math.isfinite(value) for name, value in logged.items() if name.endswith("loss")
        )
        values, log_prob, entropy = self.model.policy.evaluate_actions(
            self._observations, self._actions
        )
        assert entropy is not None
        columns = self._columns(values.flatten(), log_prob, entropy)
        columns |= {"std": logged.get("train/std", math.nan), "minibatches": self._minibatches()}
        columns["learning_rate"] = self._learning_rate(logged)
        self.model.logger.name_to_value.clear()
        return self.unknown() | {name: np.array([float(x)]) for name, x in columns.items()}

    def _columns(self, values: Tensor, log_prob: Tensor, entropy: Tensor) -> dict[str, Any]:
        new = self._at(self._observations)
        kl = kl_divergence(self._distribution, new)
        kl = kl.sum(-1) if isinstance(new, Normal) else kl
        returns, old_values = self._old["returns"], self._old["values"]
        columns: dict[str, Any] = {
            "value_loss": objectives.value_loss(values, returns).double().mean(),
            "entropy": entropy.double().mean(),
            "kl": kl.double().mean(),
            "explained_variance": advantages.explained_variance(old_values, returns),
        }
        return columns | self._surrogate(log_prob, kl)

    def _surrogate(self, log_prob: Tensor, kl: Tensor) -> dict[str, Any]:
        """The objective, as `ppo.py`, `a2c.py` and `trpo.py` measure it."""
        name, estimate = self.config.algorithm.name, self._old["advantages"]
        ratio = (log_prob - self._old["log_probs"]).exp()
        if name == "sb3_a2c":
            return {"surrogate": objectives.policy_gradient(log_prob, estimate).double().mean()}
        if name == "sb3_trpo":
            if self.config.recipe.advantage_normalization != "none":
                epsilon = self.config.recipe.advantage_epsilon
                estimate = advantages.standardize(estimate[None], True, epsilon)[0]
            return {"surrogate": objectives.none(ratio, estimate, kl).double().mean()}
        epsilon = self.model.logger.name_to_value["train/clip_range"]
        terms = objectives.clip(ratio, estimate, kl, torch.tensor(epsilon))
        return {
            "surrogate": terms.double().mean(),
            "clip_fraction": ((ratio - 1).abs() > epsilon).double().mean(),
            "epsilon": epsilon,
        }

    def _minibatches(self) -> float:
        """Steps of the policy. TRPO's optimizer trains the value function only."""
        if self.config.algorithm.name == "sb3_trpo":
            return float(self.model.logger.name_to_value["train/is_line_search_success"])
        return self._steps

    def _learning_rate(self, logged: dict[str, Any]) -> float:
        """The policy's step size; NaN for TRPO, which has none."""
        trpo = self.config.algorithm.name == "sb3_trpo"
        return math.nan if trpo else float(logged["train/learning_rate"])
