"""Figure 4: how noisy a policy gradient is, by the signal that multiplies grad log pi.

One rollout is one sample of the gradient. The same rollouts of the same policy give all signals.
The signals are taken as they are: standardizing a batch divides each by its own scale, and so
inverts their order.

With g_q, g_1 and g_V the gradients whose signals are q, 1 and V(s), every baseline b + c V(s) has
g_q - b g_1 - c g_V. So their covariances give the variance of all of them, the advantage (b = 0,
c = 1) and the best one included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from repro.algorithms.vpg import VPG
from repro.explain import learners
from repro.explain.tables import SEEDS, Array, Table, mean_and_error

# overrides, and iterations of training before: a policy that has learned something, not all
TASKS: Mapping[str, tuple[tuple[str, ...], int]] = {
    "CartPole-v1": ((*learners.CARTPOLE, "algorithm.horizon=2048"), 10),
    "Reacher-v4": (("env=reacher", "recipe=sb3", "algorithm.horizon=2048"), 10),
}
# Without a bootstrap at time limits, so that all signals count the same rewards.
VPG_OVERRIDES = (
    "algorithm=vpg",
    "recipe.advantage_normalization=none",
    "recipe.time_limit=terminal",
)
SIGNALS = ("return", "reward_to_go", "q", "advantage")
PARTS = ("q", "one", "value")  # of a baseline's gradient
ROLLOUTS = 64


def measure(
    seeds: int = SEEDS, rollouts: int = ROLLOUTS, tasks: Sequence[str] = tuple(TASKS)
) -> list[Table]:
    """`variance`, by signal, and `variance_baselines`, the covariances behind every baseline."""
    signals, baselines = [], []
    for task in tasks:
        overrides, iterations = TASKS[task]
        trained = learners.make(*overrides, *VPG_OVERRIDES, seeds=range(seeds))
        learners.train(trained, iterations)
        many = learners.make(*overrides, *VPG_OVERRIDES, seeds=range(1000, 1000 + rollouts))
        assert isinstance(many, VPG)
        for seed in range(seeds):
            learners.copy_parameters(trained, seed, many)
            gradients = _gradients(many)
            where = {"task": task, "seed": seed}
            signals += [where | line for line in _by_signal(gradients)]
            baselines += [where | line for line in _covariances(gradients)]
        trained.close()
        many.close()
    units = {
        "task": "id of Gymnasium",
        "signal": "what multiplies grad log pi",
        "measure": "trace: of the covariance of one rollout's gradient, relative to the "
        "advantage's; log_trace: its natural logarithm; signal_to_noise: |mean|^2 / trace",
        "value": "mean over trained policies",
        "error": "standard error of value over trained policies",
        "seeds": "count",
    }
    cov_units = {
        "task": "id of Gymnasium",
        "seed": "of the trained policy",
        "part": "q, one, value: the gradient whose signal is q, 1, V(s)",
        "other": "likewise",
        "trace": "of the covariance of both gradients, relative to the advantage's variance",
    }
    keys = ["task", "signal", "measure"]
    table = mean_and_error(pd.DataFrame(signals), keys)
    return [
        Table("variance", table, units),
        Table("variance_baselines", pd.DataFrame(baselines), cov_units),
    ]


def _gradients(vpg: VPG) -> dict[str, Array]:
    """By signal or part, the gradients of P rollouts, [P, n] float64."""
    rollout = vpg.collector.collect(1)
    estimate = vpg.generalized_advantages(rollout)
    signals: dict[str, Tensor] = {}
    settings = vpg.settings
    for name in SIGNALS:
        vpg.settings = replace(settings, signal=name)
        signals[name] = vpg.signal(rollout, estimate)
    vpg.settings = settings
    signals |= {"one": torch.ones_like(estimate), "value": rollout.values}
    found = {}
    for name, signal in signals.items():
        batch = vpg.batch(rollout, signal, rollout.values)
        found[name] = vpg.gradient(batch)[1].double().numpy()
    return found


def _by_signal(gradients: Mapping[str, Array]) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    reference = covariance_trace(gradients["advantage"], gradients["advantage"])
    for signal in SIGNALS:
        own = gradients[signal]
        trace = covariance_trace(own, own)
        square = float(np.square(own.mean(0)).sum()) - trace / len(own)  # without bias
        found = {"trace": trace / reference, "log_trace": np.log(trace / reference)}
        found["signal_to_noise"] = square / trace
        lines += [{"signal": signal, "measure": k, "value": v} for k, v in found.items()]
    return lines


def _covariances(gradients: Mapping[str, Array]) -> list[dict[str, object]]:
    reference = covariance_trace(gradients["advantage"], gradients["advantage"])
    return [
        {
            "part": a,
            "other": b,
            "trace": covariance_trace(gradients[a], gradients[b]) / reference,
        }
        for i, a in enumerate(PARTS)
        for b in PARTS[i:]
    ]


def covariance_trace(a: Array, b: Array) -> float:
    """Trace of the covariance of two gradients from [samples, n], without bias."""
    return float(((a - a.mean(0)) * (b - b.mean(0))).sum() / (len(a) - 1))
