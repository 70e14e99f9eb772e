"""Figure 2's probe: the line from the old to the new parameters."""

from __future__ import annotations

import numpy as np
import torch

from tests.helpers.configs import Compose
from tests.helpers.learners import Learners


def test_interpolation_passes_through_both_policies(config: Compose, learners: Learners) -> None:
    line = ("env=hopper", "algorithm.horizon=512")
    configs = [config(*line, f"seed={seed}", "probe=interpolation") for seed in (0, 1)]
    ppo = learners(configs)
    record = ppo.iterate()
    unprobed = learners([config(*line, f"seed={seed}") for seed in (0, 1)])
    unprobed.iterate()
    assert torch.equal(ppo.parameters.flat, unprobed.parameters.flat), "it only looks"
    rows = {name: np.array(x) for name, x in record.tables[1]["interpolation"].items()}
    start, end = np.argmin(np.abs(rows["x"])), np.argmin(np.abs(rows["x"] - 1))
    assert rows["x"][start] == 0 and abs(rows["x"][end] - 1) < 1e-6
    for name in ("kl", "l_cpi", "l_clipped_ratio", "l_clip"):
        assert abs(rows[name][start]) < 1e-6, "advantages have mean 0, and nothing has moved"
    assert abs(rows["kl"][end] - record.metrics["kl"][1]) < 1e-6
    assert abs(rows["l_clip"][end] - record.metrics["surrogate"][1]) < 1e-6
    assert (rows["l_clip"] <= rows["l_cpi"] + 1e-9).all()
    assert (rows["l_clip"] <= rows["l_clipped_ratio"] + 1e-9).all()
