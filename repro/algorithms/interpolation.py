"""Looks inside an update that no training run needs: `probe=interpolation` is Figure 2."""

from __future__ import annotations

import numpy as np
import torch

from repro.algorithms.ppo import PPO
from repro.learning import objectives

# Figure 2's range; 101 points, so that 0 and 1 are among them.
INTERPOLATION = np.linspace(-0.5, 2.0, 101).tolist()


@torch.no_grad()
def interpolation(ppo: PPO, learner: int, epsilon: float = 0.2) -> dict[str, list[float]]:
    """Surrogates and KL along theta_old + x (theta_new - theta_old), after an update.

    Args:
        ppo: whose last iteration is looked at; its parameters are left as they were.
        learner: which of its P learners.
        epsilon: the clip range of Figure 2.

    Returns:
        Columns of `store.INTERPOLATION`: means over the update's whole batch.
    """
    flat, batch = ppo.parameters.flat, ppo.samples
    new, old = flat.clone(), ppo.before[0]
    rows: dict[str, list[float]] = {
        name: [] for name in ("x", "kl", "l_cpi", "l_clipped_ratio", "l_clip")
    }
    for x in INTERPOLATION:
        flat.copy_(old + x * (new - old))
        distribution = ppo.policy.distribution(ppo.parameters.views, batch.inputs)
        log_prob, kl = distribution.compare(batch.actions, batch.old)
        ratio, advantages = (log_prob - batch.log_prob).exp(), batch.advantages
        bound = torch.tensor(epsilon)
        clipped_ratio = torch.clamp(ratio, 1 - bound, 1 + bound)
        columns = {
            "kl": kl,
            "l_cpi": objectives.none(ratio, advantages, kl),
            "l_clipped_ratio": clipped_ratio * advantages,
            "l_clip": objectives.clip(ratio, advantages, kl, bound),
        }
        rows["x"].append(x)
        for name, terms in columns.items():
            rows[name].append(float(terms[learner].double().mean()))
    flat.copy_(new)
    return rows
