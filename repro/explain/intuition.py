"""Figure 2: one batch of CartPole, and what one step of the policy gradient does to each action."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from repro.algorithms.vpg import VPG
from repro.explain import learners
from repro.explain.tables import SEEDS, Table, mean_and_error

OVERRIDES = (*learners.CARTPOLE, "env.num_envs=8", "algorithm=vpg", "algorithm.horizon=256")
ITERATIONS = 10  # before the batch
SHOWN = 200  # steps of the first actor


def measure(seeds: int = SEEDS) -> list[Table]:
    """`intuition_samples` of one batch, and `intuition`, shares over all of its samples."""
    vpg = learners.make(*OVERRIDES, seeds=range(seeds))
    assert isinstance(vpg, VPG)
    learners.train(vpg, ITERATIONS)
    rollout = vpg.collector.collect(ITERATIONS + 1)
    estimate = vpg.standardize(vpg.generalized_advantages(rollout).flatten(1))
    actions = rollout.actions.squeeze(-1)
    observations = rollout.inputs.clone() if isinstance(rollout.inputs, torch.Tensor) else None
    assert observations is not None
    before = rollout.old.log_prob(actions).exp().numpy().copy()
    vpg.update(rollout)
    with torch.no_grad():
        after = vpg.networks.distribution(observations).log_prob(actions).exp().numpy()
    a = estimate.numpy()
    lines: list[dict[str, object]] = []
    for seed in range(seeds):
        change = after[seed] - before[seed]
        found = {
            "good_rose": float((change[a[seed] > 0] > 0).mean()),
            "bad_fell": float((change[a[seed] < 0] < 0).mean()),
            "correlation": float(np.corrcoef(a[seed], np.log(after[seed] / before[seed]))[0, 1]),
        }
        lines += [{"seed": seed, "measure": name, "value": x} for name, x in found.items()]
    rows = np.arange(0, 8 * SHOWN, 8)  # of the first actor, time-major
    samples = pd.DataFrame(
        {
            "step": np.arange(SHOWN),
            "angle": observations[0, rows, 2].numpy(),
            "angular_velocity": observations[0, rows, 3].numpy(),
            "action": actions[0, rows].numpy().astype(int),
            "advantage": a[0, rows],
            "before": before[0, rows],
            "after": after[0, rows],
        }
    )
    vpg.close()
    units = {
        "measure": "good_rose: share of the actions with A > 0 that one step made likelier; "
        "bad_fell: of those with A < 0, less likely; correlation: of A with the change of log pi",
        "value": "mean over seeds",
        "error": "standard error of value over seeds",
        "seeds": "count",
    }
    sample_units = {
        "step": "of the first actor",
        "angle": "radians",
        "angular_velocity": "radians a second",
        "action": "0 pushes left, 1 right",
        "advantage": "standard deviations",
        "before": "pi(a|s) before the step",
        "after": "pi(a|s) after it",
    }
    return [
        Table("intuition", mean_and_error(pd.DataFrame(lines), ["measure"]), units),
        Table("intuition_samples", samples, sample_units),
    ]
