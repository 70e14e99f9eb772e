"""Supervised fine-tuning against a loop over prompts."""

from __future__ import annotations

import numpy as np
import torch

from repro.language import responses
from repro.language.sft import SFT
from tests.helpers.language import Tiny

CPU = torch.device("cpu")


def test_sft_descends_the_cross_entropy_of_the_proxys_best(tiny: Tiny) -> None:
    config = tiny("stage=sft", "sft.n=4")
    found = SFT([config], CPU).iterate().metrics["gradient_norm"][0]
    stage = SFT([config], CPU)
    made = stage.collect(stage.reference, 16, 4)
    scores, chosen = made.proxy[0].tolist(), []
    for first in range(0, 16, 4):
        prompts = made.made.prompts[0, first : first + 4]
        assert (prompts == prompts[0]).all()
        chosen.append(max(range(first, first + 4), key=lambda b: scores[b]))
    states = responses.response_states(
        stage.network, stage.weights, made.made.prompts, made.tokens[..., :-1]
    )
    log_prob = responses.log_probs(stage.network.logits(stage.weights, states), made.tokens)[0]
    terms = torch.cat([log_prob[b][made.mask[0, b]] for b in chosen])
    gradient = stage.parameters.gradient(-terms.mean())
    np.testing.assert_allclose(found, gradient.norm().item(), rtol=1e-4)
