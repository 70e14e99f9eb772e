"""Stage 1: a causal language model from scratch, by next-token prediction.

for iteration = 1, 2, ...
documents      new ones each time
descend        cross-entropy of every next token, Adam with a linear schedule
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from repro.language.responses import log_probs
from repro.language.stage import Array, Metrics, Stage, mean
from repro.language.texts import PAD

LOOKS = 10  # at held-out documents, over a run
HELD_OUT = 256  # documents
WARMUP = 0.02  # of the steps; the rest anneals to 0


class Pretrain(Stage):
    """No state besides."""

    def initial(self, learner: int) -> dict[str, Array]:
        """Random weights."""
        return self.network.initialize(self.streams[learner].init)

    def update(self) -> Metrics:
        """One batch of documents."""
        settings, begin = self.config.pretrain, time.perf_counter()
        documents = np.stack(
            [
                self.text.documents(stream, settings.batch_size, self.longest)
                for stream in self.text_streams
            ]
        )
        made = time.perf_counter()
        rate = settings.learning_rate * annealed(self.iteration, self.config.updates)
        loss, _ = self.loss(torch.from_numpy(documents).to(self.device))
        rates = [rate] * len(self.configs)
        norm = self.descend(loss.sum(), rates, settings.max_grad_norm)
        self.seconds = {"rollout": made - begin, "update": time.perf_counter() - made}
        metrics = {
            "loss": loss.detach().double().cpu().numpy(),
            "gradient_norm": norm.double().cpu().numpy(),
            "learning_rate": np.array(rates),
        }
        if self.iteration % -(-self.config.updates // LOOKS) == 0 or not self.remaining:
            metrics["held_out_loss"] = self.held_out()
        return metrics

    @property
    def remaining(self) -> int:
        """Iterations after this one."""
        return self.config.updates - self.iteration

    def loss(self, documents: Tensor) -> tuple[Tensor, Array]:
        """Cross-entropy of the next token, without padding: [P], and the same as numbers."""
        inputs, targets = documents[..., :-1], documents[..., 1:]
        real = inputs != PAD
        real[..., 0] = True
        states = self.network.hidden(self.weights, inputs, real)
        log_prob = log_probs(self.network.logits(self.weights, states), targets)
        counted = targets != PAD
        total = torch.where(counted, -log_prob, 0.0).flatten(1).sum(1)
        return total / counted.flatten(1).sum(1), mean(-log_prob, counted)

    @torch.no_grad()
    def held_out(self) -> Array:
        """The loss on documents of a generator of their own, [P]."""
        rng = np.random.default_rng([self.config.pretrain.seed, 1])
        documents = torch.from_numpy(self.text.documents(rng, HELD_OUT, self.longest, True))
        every = documents.to(self.device).expand(len(self.configs), -1, -1)
        return self.loss(every)[1]


def annealed(iteration: int, updates: int) -> float:
    """The share of the learning rate in force: a short linear rise, then linearly to 0."""
    done = (iteration - 1) / updates
    return min((iteration / max(1.0, WARMUP * updates)), 1 - done, 1.0)
