"""Supervised fine-tuning on the best of n responses of the base model, by the proxy.

    for iteration = 1, 2, ...
        collect        n responses of the base model to each prompt; the proxy keeps one
        descend        cross-entropy of the kept responses

The policy moves toward the distribution of best-of-n, and as far from the base model as that.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from repro.language import responses
from repro.language.policy import PolicyStage
from repro.language.stage import Metrics

MEASURED = 256  # responses of the policy, whenever some are kept


class SFT(PolicyStage):
    """No state besides."""

    def update(self) -> Metrics:
        """One batch of chosen responses; the policy's own are measured at times."""
        settings = self.config.sft
        made = self.collect(self.reference, settings.batch_size, settings.n)
        begin = time.perf_counter()
        best = made.score.view(len(self.configs), -1, settings.n).argmax(-1)
        learner = torch.arange(len(best), device=self.device)[:, None]
        index = best + settings.n * torch.arange(best.shape[1], device=self.device)
        prompts, tokens, mask = (
            x[learner, index] for x in (made.made.prompts, made.tokens, made.mask)
        )
        logits = self._logits(self.weights, prompts, tokens)
        log_prob = torch.where(mask, responses.log_probs(logits, tokens), 0)
        loss = -log_prob.flatten(1).sum(1) / mask.flatten(1).sum(1)
        rates = [settings.learning_rate] * len(self.configs)
        norm = self.descend(loss.sum(), rates, settings.max_grad_norm)
        self.seconds["update"] += time.perf_counter() - begin
        metrics = {
            "gradient_norm": norm.double().cpu().numpy(),
            "learning_rate": np.array(rates),
        }
        if self.looks:
            own = self.collect(self.parameters.views, MEASURED)
            self.keep(own)
            metrics |= self.measured(own)
        return metrics
