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
SIGMAS = np.geomspace(0.02, 2, 101)
LOGITS = np.linspace(0, 8, 81)


def measure() -> list[Table]:
    """`motivation`."""
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
    return [Table("motivation", pd.concat(lines, ignore_index=True), units)]
