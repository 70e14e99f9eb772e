"""`probe=interpolation`, Figure 2: surrogates along the line through one update's parameters."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from repro.engines.batches import Batch
from repro.learning import objectives
from repro.learning.parameters import StackedParameters
from repro.networks.mlp import MLPActorCritic

Columns = dict[str, list[float]]

# Figure 2's range; 101 points, so that 0 and 1 are among them.
INTERPOLATION = np.linspace(-0.5, 2.0, 101).tolist()
EPSILON = 0.2  # the clip range of Figure 2


@torch.no_grad()
def interpolation(
    policy: MLPActorCritic, parameters: StackedParameters, old: Tensor, batch: Batch
) -> list[Columns]:
    """Surrogates and KL at theta_old + x (theta_new - theta_old).

    Args:
        policy: the networks.
        parameters: theta_new of P learners; they are left as they were.
        old: theta_old, [P, n].
        batch: the update's samples.

    Returns:
        Columns of `runs.schema.INTERPOLATION` of each learner: means over the whole batch.
    """
    new, epsilon = parameters.flat.clone(), torch.tensor(EPSILON)
    tables: list[Columns] = [{"x": []} for _ in new]
    for x in INTERPOLATION:
        parameters.flat.copy_(old + x * (new - old))
        distribution = policy.distribution(parameters.views, batch.inputs)
        log_prob, kl = distribution.compare(batch.actions, batch.old)
        ratio, advantages = (log_prob - batch.log_prob).exp(), batch.advantages
        columns = {
            "kl": kl,
            "l_cpi": objectives.none(ratio, advantages, kl),
            "l_clipped_ratio": torch.clamp(ratio, 1 - epsilon, 1 + epsilon) * advantages,
            "l_clip": objectives.clip(ratio, advantages, kl, epsilon),
        }
        for p, table in enumerate(tables):
            table["x"].append(x)
            for name, terms in columns.items():
                table.setdefault(name, []).append(float(terms[p].double().mean()))
    parameters.flat.copy_(new)
    return tables
