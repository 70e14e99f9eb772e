"""Figure 1: means and their errors, the log-derivative trick, and importance weights.

The first two are sampled from a Gaussian with known answers. The weights are the probability ratios
of real PPO updates, epoch by epoch.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from repro.explain import updates
from repro.explain.tables import SEEDS, Table, mean_and_error
from repro.networks.distributions import DiagonalGaussian

COUNTS = (10, 30, 100, 300, 1000, 3000, 10000)
REPETITIONS = 400
SHOWN = 300  # samples of one estimate
TASK, ITERATIONS, COUNTED = "half_cheetah", 12, 6
OBJECTIVES = {"clip_0.2": "clip", "none": "none"}


def measure(seeds: int = SEEDS, repetitions: int = REPETITIONS) -> list[Table]:
    """`statistics_samples`, `statistics_errors` and `statistics_weights`."""
    return [samples(), errors(repetitions), weights(seeds)]


def samples() -> Table:
    """One estimate of each kind, sample by sample; see `errors`."""
    f, score = _draw(np.random.default_rng(0), 1, SHOWN)
    terms = {"mean": f[0].numpy(), "gradient": (f * score)[0].numpy()}
    count = np.arange(1, SHOWN + 1)
    lines = [
        pd.DataFrame({"estimate": name, "samples": count, "term": x, "value": x.cumsum() / count})
        for name, x in terms.items()
    ]
    units = {
        "estimate": "mean: of f; gradient: of its expectation, by the log-derivative trick",
        "samples": "n",
        "term": "of the n-th sample",
        "value": "mean of the first n terms",
    }
    return Table("statistics_samples", pd.concat(lines, ignore_index=True), units)


def _draw(rng: np.random.Generator, repetitions: int, count: int) -> tuple[Tensor, Tensor]:
    """f(x) and d log p(x) / d mu at samples x, [repetitions, count] each."""
    x = torch.from_numpy(rng.standard_normal((repetitions, count)))
    mean = torch.zeros(repetitions, count, 1, dtype=torch.float64, requires_grad=True)
    policy = DiagonalGaussian(mean, torch.zeros(1, dtype=torch.float64))
    (score,) = torch.autograd.grad(policy.log_prob(x[..., None]).sum(), mean)
    return (x - 1).square(), score[..., 0]


def errors(repetitions: int) -> Table:
    """Estimates of E[f] and of d E[f] / d mu for f(x) = (x - 1)^2, x ~ N(mu, 1), at mu = 0.

    Exactly 2 and -2; the second by f(x) d log p(x) / d mu.
    """
    rng = np.random.default_rng(0)
    lines = []
    for count in COUNTS:
        f, score = _draw(rng, repetitions, count)
        found = {"mean": (f, 2.0), "gradient": (f * score, -2.0)}
        for name, (terms, exact) in found.items():
            square = (terms.mean(1) - exact).square().numpy()
            rms = float(np.sqrt(square.mean()))
            error = float(square.std(ddof=1) / np.sqrt(repetitions) / (2 * rms))
            row = {"estimate": name, "samples": count, "exact": exact}
            lines.append(row | {"value": rms, "error": error, "repetitions": repetitions})
    units = {
        "estimate": "mean: of f; gradient: of its expectation, by the log-derivative trick",
        "samples": "n",
        "exact": "what is estimated",
        "value": "root mean square error",
        "error": "standard error of value over repetitions",
        "repetitions": "count",
    }
    return Table("statistics_errors", pd.DataFrame(lines), units)


def weights(seeds: int) -> Table:
    """Effective sample size of importance weights, (sum r)^2 / sum r^2, as a share of all."""
    ppo = updates.make(TASK, tuple(OBJECTIVES.values()), seeds)
    lines: list[dict[str, object]] = []
    for iteration, epoch in updates.iterations(ppo, ITERATIONS):
        if iteration <= ITERATIONS - COUNTED:
            continue
        ratio = epoch.ratio.double()
        effective = ratio.sum(1).square() / ratio.square().sum(1) / ratio.shape[1]
        for p in range(len(ratio)):
            place, seed = divmod(p, seeds)
            row = {"objective": list(OBJECTIVES)[place], "epoch": epoch.number, "seed": seed}
            found = {
                "effective_share": float(effective[p]),
                "mean_weight": float(ratio[p].mean()),
                "largest_weight": float(ratio[p].max()),
            }
            lines += [row | {"measure": name, "value": value} for name, value in found.items()]
    ppo.close()
    keys = ["objective", "epoch", "measure"]
    per_seed = pd.DataFrame(lines).groupby([*keys, "seed"], sort=False)["value"].mean()
    units = {
        "objective": "row of Table 1",
        "epoch": "epochs of the update so far",
        "measure": "effective_share: effective sample size over the number of samples; "
        "mean_weight and largest_weight: of the ratios",
        "value": f"mean over the last {COUNTED} of {ITERATIONS} updates and over seeds",
        "error": "standard error of value over seeds",
        "seeds": "count",
    }
    return Table("statistics_weights", mean_and_error(per_seed.reset_index(), keys), units)
