"""What stages with a policy share: responses, their scores, and what is recorded of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from repro.language import responses
from repro.language.config import LanguageConfig
from repro.language.networks import Weights
from repro.language.responses import Responses
from repro.language.returns import last_index
from repro.language.reward import BIAS, GAIN
from repro.language.stage import Array, Metrics, Stage, mean, parent_parameters
from repro.networks.distributions import Categorical

LOOKS = 10  # iterations of a run of which responses are kept,
KEPT = 8  # so many of each


@dataclass
class Rollout:
    """Responses of an iteration and their scores.

    Attributes:
        made: the responses.
        tokens: those on which the policy is trained, [P, B, T].
        mask: which of them count.
        states: which states have a value: those of `mask`, and the one after where the score is
            there.
        at: the token that gets the score, [P, B].
        reference: log-probabilities of the reference, [P, B, T].
        proxy: the reward model's score, normalized where the recipe says so, [P, B].
        score: the same after what the recipe does to responses without an end.
        gold: float64 [P, B].
    """

    made: Responses
    tokens: Tensor
    mask: Tensor
    states: Tensor
    at: Tensor
    reference: Tensor
    proxy: Tensor
    score: Tensor
    gold: Array

    @property
    def kl(self) -> Tensor:
        """log pi - log ref of each token; 0 after the end."""
        return torch.where(self.mask, self.made.log_prob - self.reference, 0)


class PolicyStage(Stage):
    """A stage whose policy starts from the base model, which stays its reference."""

    def __init__(self, configs: Sequence[LanguageConfig], device: torch.device) -> None:
        """As `Stage`."""
        super().__init__(configs, device)
        self.recipe = self.config.recipe
        self.reference: Weights = self.frozen("pretrain").views
        learned = self.config.reward.source == "model"
        self.judge: Weights | None = self.frozen("reward").views if learned else None

    def initial(self, learner: int) -> dict[str, Array]:
        """The base model's parameters; its value head is zero."""
        return parent_parameters(self.configs[learner], "pretrain")

    @torch.no_grad()
    def collect(
        self, weights: Weights, episodes: int, each: int = 1, prompts: Tensor | None = None
    ) -> Rollout:
        """Responses of `weights`, scored.

        Args:
            weights: of the policies.
            episodes: responses of each learner.
            each: of them to one prompt.
            prompts: [P, episodes, Lp]; new ones by default.
        """
        begin = time.perf_counter()
        if prompts is None:
            prompts = self.draw_prompts(episodes // each).repeat_interleave(each, dim=1)
        steps, recipe = self.config.text.response, self.recipe
        uniforms = responses.uniforms(
            [stream.action for stream in self.streams], (episodes, steps), self.device
        )
        made = responses.sample(
            *(self.network, weights, prompts, uniforms, self.text),
            recipe.temperature,
            recipe.truncate_after,
        )
        trained = recipe.tokens_after_end == "trained"
        tokens = made.sampled if trained else made.tokens
        mask = torch.ones_like(made.mask) if trained else made.mask
        at = last_index(mask, recipe.score_at == "after_last_token")
        places = torch.arange(steps, device=self.device)
        logits = self._logits(self.reference, prompts, tokens)
        gold = responses.gold(self.text, prompts, made.tokens)
        proxy = self.proxy(prompts, made.tokens, gold)
        self.seconds["rollout"] += time.perf_counter() - begin
        return Rollout(
            made=made,
            tokens=tokens,
            mask=mask,
            states=places <= at[..., None],
            at=at,
            reference=responses.log_probs(logits, tokens),
            proxy=proxy,
            score=self._penalized(proxy, made.ended),
            gold=gold,
        )

    def proxy(self, prompts: Tensor, tokens: Tensor, gold: Array) -> Tensor:
        """The score that the policy is trained on, [P, B]."""
        if self.judge is None:
            return torch.from_numpy(gold).to(self.device, torch.float32)
        scores = responses.score(self.network, self.judge, prompts, tokens)
        return (
            self.judge[GAIN] * scores + self.judge[BIAS] if self.recipe.normalize_score else scores
        )

    def _penalized(self, scores: Tensor, ended: Tensor) -> Tensor:
        """What the recipe makes of the score of a response without an end."""
        how, amount = self.recipe.missing_end, self.recipe.missing_end_score
        if how == "keep":
            return scores
        other = scores - amount if how == "subtract" else torch.full_like(scores, amount)
        return torch.where(ended, scores, other)

    def _logits(self, weights: Weights, prompts: Tensor, tokens: Tensor) -> Tensor:
        """With which each token is drawn, [P, B, T, V], computed as in training."""
        states = responses.response_states(self.network, weights, prompts, tokens[..., :-1])
        return self.network.logits(weights, states) / self.recipe.temperature

    # -- what is recorded -------------------------------------------------------------------------

    def measured(self, rollout: Rollout) -> Metrics:
        """Columns of the progress table that follow from the responses."""
        made = rollout.made
        return {
            "gold": rollout.gold.mean(1),
            "proxy": mean(rollout.proxy),
            "kl": mean(rollout.kl.double().sum(-1)),
            "length": mean(made.mask.sum(-1)),
            "ended": mean(made.ended),
            "entropy": mean(Categorical(made.logits).entropy(), rollout.mask),
        }

    @property
    def looks(self) -> bool:
        """Whether this iteration's responses are kept."""
        every = max(1, self.config.updates // LOOKS)
        first_or_last = self.iteration in (1, self.config.updates)
        return first_or_last or self.iteration % every == 0

    def keep(self, rollout: Rollout, **estimates: Tensor) -> None:
        """Rows of `samples` and `positions` of this iteration.

        Args:
            rollout: the responses.
            estimates: `advantage` and `value` of their tokens, [P, B, T], where there are some.
        """
        entropy = Categorical(rollout.made.logits).entropy()
        for p in self.active:
            self.growing[p] = {
                "samples": self._samples(p, rollout, estimates),
                "positions": self._positions(p, rollout, entropy[p]),
            }

    def _samples(
        self, p: int, rollout: Rollout, estimates: Mapping[str, Tensor]
    ) -> dict[str, Array]:
        prompts = rollout.made.prompts[p, :KEPT].cpu().numpy()
        tokens = rollout.made.tokens[p, :KEPT].cpu().numpy()
        count, before = prompts.shape
        steps = tokens.shape[1]
        no_estimate = torch.full_like(rollout.kl, torch.nan)
        columns = {
            "kl": rollout.kl[p, :KEPT],
            "advantage": estimates.get("advantage", no_estimate)[p, :KEPT],
            "value": estimates.get("value", no_estimate)[p, :KEPT],
        }
        unknown = np.full((count, before), np.nan)
        whole = np.concatenate([prompts, tokens], 1)
        rows = {
            "iteration": np.full(whole.shape, self.iteration),
            "episode": np.broadcast_to(np.arange(count)[:, None], whole.shape),
            "position": np.broadcast_to(np.arange(-before, steps), whole.shape),
            "token": whole,
            "gold": np.broadcast_to(rollout.gold[p, :KEPT, None], whole.shape),
            "proxy": np.broadcast_to(rollout.proxy[p, :KEPT, None].cpu().numpy(), whole.shape),
        } | {
            name: np.concatenate([unknown, x.double().cpu().numpy()], 1)
            for name, x in columns.items()
        }
        return {name: x[whole != 0] for name, x in rows.items()}

    def _positions(self, p: int, rollout: Rollout, entropy: Tensor) -> dict[str, Array]:
        mask = rollout.mask[p].double()
        count = mask.sum(0)
        share = mask / count.clamp(min=1)
        found = {
            "iteration": np.full(len(count), self.iteration),
            "position": np.arange(len(count)),
            "tokens": count.long().cpu().numpy(),
            "kl": (rollout.kl[p].double() * share).sum(0).cpu().numpy(),
            "entropy": (entropy.double() * share).sum(0).cpu().numpy(),
        }
        return {name: x[found["tokens"] > 0] for name, x in found.items()}
