"""Figure 8: the clipped term and its gradient, exactly, and where a real update's samples end.

Clipping is no wall. A sample outside of the range has no gradient only where the objective would
move it further out; where its term is the unclipped one, it is pulled back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from repro.explain import updates
from repro.explain.tables import SEEDS, Table, mean_and_error
from repro.learning.objectives import SURROGATES

EPSILONS = (0.1, 0.2, 0.3)  # Table 1's
RATIOS = np.linspace(0, 2, 201)
TASKS = ("reacher", "half_cheetah")
ITERATIONS, COUNTED = 12, 6  # of an update's shares: the mean of the last ones
SAMPLES = 256  # of one update, in the table of samples
SAMPLED = (0, 1, 3, 10)  # epochs in that table
RANGE = 0.2  # the range that objectives without one are held against

# name of the row -> what follows `objective=`, and the range that counts
OBJECTIVES = {
    **{f"clip_{e}": (f"clip objective.epsilon={e}", e) for e in EPSILONS},
    "clip_log_0.2": ("clip_log objective.epsilon=0.2", 0.2),
    "kl_adaptive_0.01": ("kl_adaptive objective.target_kl=0.01", RANGE),
    "none": ("none", RANGE),
}


def measure(
    seeds: int = SEEDS, tasks: Sequence[str] = TASKS, objectives: Sequence[str] = tuple(OBJECTIVES)
) -> list[Table]:
    """`clip_term`, `clip_shares` and `clip_samples`; `objectives` are rows of `OBJECTIVES`."""
    shares, samples = [], []
    for task in tasks:
        found, points = _task(task, seeds, objectives)
        shares.append(found)
        samples.append(points)
    units = {
        "task": "name of conf/env",
        "objective": "row of Table 1",
        "epsilon": "half width of the range that counts; in log r for clip_log",
        "epoch": "epochs of the update so far",
        "measure": "outside: share of samples outside of the range; pulled_back: share of those "
        "outside whose term has a gradient; kl: mean KL[pi_old, pi] in nats",
        "value": f"mean over the last {COUNTED} of {ITERATIONS} updates and over seeds",
        "error": "standard error of value over seeds",
        "seeds": "count",
    }
    point_units = {
        "task": "name of conf/env",
        "epoch": "epochs of the update so far",
        "sample": "number in the rollout",
        "ratio": "pi / pi_old",
        "advantage": "standard deviations",
        "gradient": "d term / d ratio, at epsilon 0.2; 0 where the term is flat",
    }
    keys = ["task", "objective", "epsilon", "epoch", "measure"]
    return [
        term(),
        Table("clip_shares", mean_and_error(pd.concat(shares), keys), units),
        Table("clip_samples", pd.concat(samples, ignore_index=True), point_units),
    ]


def term() -> Table:
    """One term of each objective and its gradient by the ratio, at A = 1 and A = -1. Exact."""
    cases = [("none", np.nan)] + [(k, e) for k in ("clip", "clip_log") for e in EPSILONS]
    lines = []
    for kind, epsilon in cases:
        scalars = {} if kind == "none" else {"epsilon": epsilon}
        own = {name: torch.tensor(x, dtype=torch.float64) for name, x in scalars.items()}
        ratio = torch.from_numpy(RATIOS[1:] if kind == "clip_log" else RATIOS)  # log r needs r > 0
        for advantage in (1.0, -1.0):
            a, kl = torch.full_like(ratio, advantage), torch.zeros_like(ratio)
            columns = {
                "objective": kind,
                "epsilon": epsilon,
                "advantage": advantage,
                "ratio": ratio.numpy(),
                "term": SURROGATES[kind](ratio, a, kl, **own).numpy(),
                "gradient": updates.slope(kind, ratio, a, kl, **scalars).numpy(),
            }
            lines.append(pd.DataFrame(columns))
    units = {
        "objective": "function of repro.learning.objectives",
        "epsilon": "clip range; empty for none",
        "advantage": "A, in units of |A|",
        "ratio": "r = pi / pi_old",
        "term": "the objective's term, in units of |A|",
        "gradient": "d term / d r, in units of |A|; at a kink the mean or one of both sides",
    }
    return Table("clip_term", pd.concat(lines, ignore_index=True), units)


def _task(task: str, seeds: int, objectives: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Shares by objective, epoch and seed; and samples of the last update of clipping at 0.2."""
    ppo = updates.make(task, [OBJECTIVES[name][0] for name in objectives], seeds)
    lines: list[dict[str, object]] = []
    points = []
    for iteration, epoch in updates.iterations(ppo, ITERATIONS):
        if iteration > ITERATIONS - COUNTED:
            for p in range(len(objectives) * seeds):
                place, seed = divmod(p, seeds)
                row = {"task": task, "epoch": epoch.number, "seed": seed}
                lines += [row | found for found in _shares(objectives[place], epoch, p)]
        if iteration == ITERATIONS and epoch.number in SAMPLED:
            points.append(_samples(task, epoch, list(objectives).index("clip_0.2") * seeds))
    ppo.close()
    keys = ["task", "objective", "epsilon", "epoch", "seed", "measure"]
    table = pd.DataFrame(lines).groupby(keys, sort=False)["value"].mean().reset_index()
    return table, pd.concat(points, ignore_index=True)


def _shares(objective: str, epoch: updates.Epoch, p: int) -> list[dict[str, object]]:
    """Of one learner's samples after one epoch."""
    given, epsilon = OBJECTIVES[objective]
    kind = given.split()[0]
    ratio, advantages, kl = (x[p] for x in (epoch.ratio, epoch.advantages, epoch.kl))
    outside = (ratio.log() if kind == "clip_log" else ratio - 1).abs() > epsilon
    found = {"outside": float(outside.double().mean()), "kl": float(kl.double().mean())}
    if kind in ("clip", "clip_log") and outside.any():  # a penalty has no flat part
        slope = updates.slope(kind, ratio, advantages, kl, epsilon=epsilon)
        found["pulled_back"] = float((slope[outside] != 0).double().mean())
    row = {"objective": objective, "epsilon": epsilon}
    return [row | {"measure": name, "value": value} for name, value in found.items()]


def _samples(task: str, epoch: updates.Epoch, p: int) -> pd.DataFrame:
    ratio, advantages = epoch.ratio[p], epoch.advantages[p]
    slope = updates.slope("clip", ratio, advantages, epoch.kl[p], epsilon=RANGE)
    stride = max(1, len(ratio) // SAMPLES)
    numbers = np.arange(0, stride * SAMPLES, stride)
    return pd.DataFrame(
        {
            "task": task,
            "epoch": epoch.number,
            "sample": numbers,
            "ratio": ratio.numpy()[numbers],
            "advantage": advantages.numpy()[numbers],
            "gradient": slope.numpy()[numbers],
        }
    )
