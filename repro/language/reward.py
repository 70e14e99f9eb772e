"""Stage 2: a reward model from pairs of responses, by the model of Bradley and Terry (1952).

    labels         P(a preferred to b) = sigmoid((gold(a) - gold(b)) / temperature)
    for iteration = 1, 2, ...
        pairs          of responses of the base model to one prompt each
        descend        -log sigmoid(r(chosen) - r(rejected)), Ouyang et al. (2022), equation 1
    normalize      mean 0 and standard deviation 1 on responses of the base model

The gold reward that labels the pairs is known exactly (Gao et al. 2022), so the reward model can be
measured against it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from repro.language import responses
from repro.language.config import LanguageConfig
from repro.language.pretrain import LOOKS, annealed
from repro.language.stage import Array, Metrics, Stage, parent_parameters

BINS = 10  # of the calibration
NORMALIZED_ON = 1024  # responses (lm-human-preferences: 25,600 samples)
CHUNK = 512  # responses at once
GAIN, BIAS = "gain", "bias"  # of the normalized score: gain r + bias


class Reward(Stage):
    """State besides: the pairs follow from the seed."""

    def __init__(self, configs: Sequence[LanguageConfig], device: torch.device) -> None:
        """As `Stage`; makes the pairs, which share the base model's responses."""
        super().__init__(configs, device)
        self.base = self.frozen("pretrain")
        self.made = [self._make(p) for p in range(len(configs))]

    def initial(self, learner: int) -> dict[str, Array]:
        """The base model with a new head, or random weights."""
        weights = self.network.initialize(self.streams[learner].init)
        if self.config.reward.init == "base":
            weights = parent_parameters(self.configs[learner], "pretrain")
        head = {"value": self._head(weights["value"].shape, self.streams[learner].init)}
        return weights | head | {GAIN: np.ones(1, np.float32), BIAS: np.zeros(1, np.float32)}

    def _head(self, shape: tuple[int, int], rng: np.random.Generator) -> Array:
        """As lm-human-preferences (rewards.py): normal, of standard deviation 1 / sqrt(D + 1)."""
        head = np.zeros(shape, np.float32)
        head[:, 0] = rng.standard_normal(shape[0]) / math.sqrt(shape[0] + 1)
        return head

    def update(self) -> Metrics:
        """One batch of pairs."""
        settings, begin = self.config.reward, time.perf_counter()
        rows = [
            stream.shuffle.integers(0, config.reward.pairs, settings.batch_size)
            for stream, config in zip(self.streams, self.configs, strict=True)
        ]
        picked = [
            tuple(part[index] for part in pairs.training)
            for index, (pairs) in zip(rows, self.made, strict=True)
        ]
        prompts, chosen, rejected = (torch.stack(parts) for parts in zip(*picked, strict=True))
        margin = self.scores(prompts, chosen) - self.scores(prompts, rejected)
        loss = bradley_terry(margin)
        rates = [settings.learning_rate * annealed(self.iteration, self.config.updates)]
        norm = self.descend(loss.mean(1).sum(), rates * len(self.configs), settings.max_grad_norm)
        self.seconds["update"] = time.perf_counter() - begin
        metrics = {
            "loss": loss.detach().double().mean(1).cpu().numpy(),
            "accuracy": (margin > 0).double().mean(1).cpu().numpy(),
            "gradient_norm": norm.double().cpu().numpy(),
            "learning_rate": np.array(rates * len(self.configs)),
        }
        over = self.iteration == self.config.updates
        if over:
            self._normalize()
        if over or self.iteration % -(-self.config.updates // LOOKS) == 0:
            metrics |= self.look(over)
        return metrics

    def scores(self, prompts: Tensor, tokens: Tensor) -> Tensor:
        """r, not normalized: [P, B]."""
        states = responses.response_states(self.network, self.weights, prompts, tokens)
        last = responses.last_state(states, tokens)
        return self.network.value(self.weights, last[:, :, None])[..., 0]

    @torch.no_grad()
    def look(self, calibrate: bool) -> Metrics:
        """Loss, accuracy, its ceiling and correlation with gold on held-out pairs."""
        names = ("held_out_loss", "held_out_accuracy", "ceiling", "gold_correlation")
        found: list[list[float]] = []
        prompts, chosen, rejected = (
            torch.stack(parts) for parts in zip(*(m.held_out for m in self.made), strict=True)
        )
        better, worse = self.scores(prompts, chosen), self.scores(prompts, rejected)
        for p, made in enumerate(self.made):
            margin = (better[p] - worse[p]).double().cpu()
            scores = torch.cat([better[p], worse[p]]).double().cpu().numpy()
            loss = float(bradley_terry(margin).mean())
            accuracy = float((margin > 0).double().mean())
            ceiling = float((made.gold[0] > made.gold[1]).mean())
            correlation = float(np.corrcoef(scores, made.gold.flatten())[0, 1])
            found.append([loss, accuracy, ceiling, correlation])
            if calibrate:
                self.tables[p] = {"calibration": calibration(margin.numpy())}
        return dict(zip(names, np.array(found).T, strict=True))

    @torch.no_grad()
    def _normalize(self) -> None:
        """Gain and bias: mean 0, standard deviation 1 on responses of the base model."""
        for p, made in enumerate(self.made):
            weights = {name: view[p : p + 1] for name, view in self.parameters.views.items()}
            prompts, tokens = (part[None, :NORMALIZED_ON] for part in made.unlabelled)
            scores = responses.score(self.network, weights, prompts, tokens).double()
            gain = 1 / scores.std(unbiased=False).clamp(min=1e-8)
            weights[GAIN][0] = gain.float()
            weights[BIAS][0] = (-scores.mean() * gain).float()

    def _make(self, learner: int) -> Pairs:
        """A learner's labelled pairs; a function of its seed alone."""
        config = self.configs[learner]
        seed, settings = config.reward.seed, config.reward
        weights = {name: view[learner : learner + 1] for name, view in self.base.views.items()}
        # Smaller sets are the beginnings of larger ones; held-out pairs are the same for all.
        parts = [
            self._responses(weights, np.random.default_rng([seed, part]), count)
            for part, count in ((2, 2 * settings.held_out), (3, NORMALIZED_ON))
        ]
        rng = np.random.default_rng([seed, 4])
        training = self._responses(weights, rng, 2 * settings.pairs)
        held_out, gold = self._labelled(*parts[0], np.random.default_rng([seed, 5]))
        labelled, _ = self._labelled(*training, np.random.default_rng([seed, 6]))
        return Pairs(labelled, held_out, gold, parts[1])

    def _responses(
        self, weights: dict[str, Tensor], rng: np.random.Generator, count: int
    ) -> tuple[Tensor, Tensor]:
        """Prompts and responses; each prompt twice in a row."""
        drawn: list[tuple[Tensor, Tensor]] = []
        steps = self.config.text.response
        for begin in range(0, count, CHUNK):
            size = min(CHUNK, count - begin)
            prompts = torch.from_numpy(self.text.prompts(rng, size // 2).repeat(2, axis=0))
            uniforms = torch.from_numpy(rng.random((1, size, steps)))
            placed = prompts[None].to(self.device)
            made = responses.sample(
                self.network, weights, placed, uniforms.to(self.device), self.text
            )
            drawn.append((placed[0], made.tokens[0]))
        return torch.cat([part[0] for part in drawn]), torch.cat([part[1] for part in drawn])

    def _labelled(
        self, prompts: Tensor, tokens: Tensor, rng: np.random.Generator
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Array]:
        """(prompts, chosen, rejected) by noisy labels, and their gold rewards [2, pairs]."""
        gold = responses.gold(self.text, prompts[None], tokens[None])[0].reshape(-1, 2)
        margin = (gold[:, 0] - gold[:, 1]) / self.config.reward.temperature
        first = rng.random(len(margin)) < 1 / (1 + np.exp(-margin))
        order = np.where(first[:, None], [[0, 1]], [[1, 0]])
        pairs = tokens.view(-1, 2, tokens.shape[-1])
        rows = torch.arange(len(pairs))[:, None]
        sorted_pairs = pairs[rows, torch.from_numpy(order).to(tokens.device)]
        sorted_gold = np.take_along_axis(gold, order, 1).T
        return (prompts[::2], sorted_pairs[:, 0], sorted_pairs[:, 1]), sorted_gold


class Pairs:
    """Labelled responses of one run.

    Attributes:
        training: prompts, chosen and rejected, [pairs, ...] each.
        held_out: likewise.
        gold: of the held-out pairs, [2, pairs].
        unlabelled: prompts and responses on which the score is normalized.
    """

    def __init__(
        self,
        training: tuple[Tensor, Tensor, Tensor],
        held_out: tuple[Tensor, Tensor, Tensor],
        gold: Array,
        unlabelled: tuple[Tensor, Tensor],
    ) -> None:
        """Keep them."""
        self.training, self.held_out = training, held_out
        self.gold, self.unlabelled = gold, unlabelled


def bradley_terry(margin: Tensor) -> Tensor:
    """-log sigmoid(r(chosen) - r(rejected)), of any shape."""
    return -functional.logsigmoid(margin)


def calibration(margin: Array) -> dict[str, Array]:
    """Predicted and observed preferences in bins of the predicted one.

    Args:
        margin: r(chosen) - r(rejected) of labelled pairs. Each pair is seen from the side of the
            response that the model scores higher.
    """
    predicted = 1 / (1 + np.exp(-np.abs(margin)))
    bins = np.minimum(((predicted - 0.5) * 2 * BINS).astype(int), BINS - 1)
    present = [b for b in range(BINS) if (bins == b).any()]
    return {
        "predicted": np.array([predicted[bins == b].mean() for b in present]),
        "observed": np.array([(margin[bins == b] > 0).mean() for b in present]),
        "pairs": np.array([(bins == b).sum() for b in present]),
    }
