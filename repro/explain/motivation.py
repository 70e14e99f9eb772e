"""Figure 6: one step in the parameters is many steps in policies.

The same step of the mean is a small change of a wide policy and a large one of a narrow policy.
Exact, by the project's Gaussian and its categorical distribution.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from repro.explain.tables import Table
from repro.networks.distributions import Categorical, DiagonalGaussian

STEP = 0.1
WIDE, NARROW = 1.0, 0.1
SIGMAS = np.unique([*np.geomspace(0.02, 2, 101), WIDE, NARROW])
LOGITS = np.linspace(0, 8, 81)


def measure() -> list[Table]:
    """`motivation`, and `motivation_densities` of two of its policies."""
    sigma = torch.from_numpy(SIGMAS)[:, None]
    old = DiagonalGaussian(torch.zeros_like(sigma), sigma.log())
    gaussian = old._replace(mean=old.mean + STEP).kl_from(old).numpy()
    ahead = torch.from_numpy(LOGITS)
    logits = torch.stack([ahead, torch.zeros_like(ahead)], -1)
    step = torch.tensor([-1.0, 0.0])
    categorical = Categorical(logits + step).kl_from(Categorical(logits)).numpy()
    lines = [
        pd.DataFrame({"policy": "gaussian", "step": STEP, "at": SIGMAS, "kl": gaussian}),
        pd.DataFrame({"policy": "categorical", "step": -1.0, "at": LOGITS, "kl": categorical}),
    ]
    units = {
        "policy": "gaussian: a step of the mean; categorical: of one of two logits",
        "step": "in the parameter",
        "at": "standard deviation of the Gaussian; lead of the logit before the step",
        "kl": "KL[old, new], nats",
    }
    return [Table("motivation", pd.concat(lines, ignore_index=True), units), densities()]


def densities() -> Table:
    """What the step looks like: the densities of a wide and of a narrow policy."""
    action = torch.linspace(-3, 3, 601, dtype=torch.float64)[:, None]
    lines = []
    for sigma in (WIDE, NARROW):
        shown = action[action[:, 0].abs() <= 4 * sigma]
        old = DiagonalGaussian(torch.zeros_like(shown), torch.tensor([sigma]).double().log())
        new = old._replace(mean=old.mean + STEP)
        before, after = (policy.log_prob(shown).exp().numpy() for policy in (old, new))
        table = {"sigma": sigma, "action": shown[:, 0].numpy(), "before": before, "after": after}
        lines.append(pd.DataFrame(table))
    units = {
        "sigma": "standard deviation",
        "action": "in the unit of the mean",
        "before": "density with mean 0",
        "after": f"density with mean {STEP}",
    }
    return Table("motivation_densities", pd.concat(lines, ignore_index=True), units)
