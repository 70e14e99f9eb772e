"""Six 95 % intervals of a mean of few runs, and how often each of them holds what it should.

All are pure functions of returns `[..., S, n]`: S settings of one task, n runs each. A method is a
law of the error of the mean: Student's t with a variance and degrees of freedom (`t`, `pooled`,
`shrunk`, `partial`), or resampled runs (`percentile`, `studentized`). The interval and the
probabilities of claims follow from the same law.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from scipy.special import digamma, polygamma
from scipy.stats import t as student

from analysis.statistics import estimates
from analysis.statistics.bootstrap import TAIL, FloatArray

METHODS = {  # the simplest first
    "percentile": "percentile bootstrap, n - 1 of n runs",
    "t": "Student's t of the cell",
    "pooled": "Student's t, variance pooled over the settings of the task",
    "studentized": "studentized bootstrap",
    "shrunk": "hierarchical: each cell's variance shrunk to its task's",
    "partial": "Student's t, variance pooled in part with the task's median",
}
CHOSEN = "partial"  # by `choose`, and used by every report (`estimates`)
ENOUGH, TOO_MUCH, LEAST = 0.93, 0.97, 0.88  # of the mean coverage, and on the worst task
FEW = 0.1  # of the cells may be covered less than LEAST
_ALL = 10_000  # resamples are enumerated up to here, and drawn beyond


def interval(method: str, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Low and high end `[..., S]` for the means of `[..., S, n]`, n of 2 or more."""
    mean = values.mean(axis=-1)
    if method in _VARIANCE:
        scale, freedom = _law(method, values)
        half = student.ppf(1 - TAIL, freedom) * scale
        return mean - half, mean + half
    errors = np.sort(_errors(method, values), axis=-1)  # NaN last
    known = (~np.isnan(errors)).sum(axis=-1, keepdims=True)
    low, high = (
        np.take_along_axis(errors, np.maximum(np.ceil(share * known).astype(int) - 1, 0), -1)[
            ..., 0
        ]
        for share in (TAIL, 1 - TAIL)
    )
    return mean - high, mean - low


def sample(method: str, values: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Draws `[count, S]` of the means of `[S, n]`, from the law behind `interval`."""
    mean = values.mean(axis=-1)
    if method in _VARIANCE:
        scale, freedom = _law(method, values)
        return np.asarray(mean + scale * rng.standard_t(freedom, (count, len(mean))))
    draws = []
    for center, errors in zip(mean, _errors(method, values), strict=True):
        draws.append(center - rng.choice(errors[~np.isnan(errors)], count))
    return np.stack(draws, axis=-1)


def coverage(values: FloatArray, runs: int, count: int, rng: np.random.Generator) -> pd.DataFrame:
    """How often the interval of `runs` of N holds the mean of the others: `method, setting`, ...

    `[S, N]` are the results of one task. `count` times each setting draws its own runs, without
    replacement. The target has a sampling error, too: an interval for the difference of both is
    longer by sqrt(1 + runs / (N - runs)). `coverage` is the share that holds the target, `width`
    the mean length before that.
    """
    settings, there = values.shape
    mixed = rng.permuted(np.broadcast_to(values, (count, settings, there)), axis=-1)
    drawn, others = mixed[..., :runs], mixed[..., runs:].mean(axis=-1)
    mean, factor = drawn.mean(axis=-1), np.sqrt(1 + runs / (there - runs))
    slack = 1e-9 * np.abs(values).max()  # equal runs have equal means but for rounding
    frames = []
    for method in METHODS:
        low, high = interval(method, drawn)
        inside = (others >= mean - factor * (mean - low) - slack) & (
            others <= mean + factor * (high - mean) + slack
        )
        columns = {"coverage": inside.mean(axis=0), "width": (high - low).mean(axis=0)}
        frames.append(pd.DataFrame({"method": method, "setting": range(settings), **columns}))
    return pd.concat(frames, ignore_index=True)


def choose(found: pd.DataFrame) -> tuple[str, bool]:
    """The plan's rule on `method, task, row, coverage`: the method, and whether any passes.

    The simplest whose mean coverage lies in 93 to 97 %, which is above 88 % on each task, and of
    whose cells at most a tenth are covered less than 88 %; if there is none, the one whose mean is
    nearest to 95 %.
    """
    tasks = found.groupby(["method", "task"])["coverage"].mean().unstack()
    low = found.assign(low=found["coverage"] < LEAST).groupby("method")["low"].mean()
    means = found.groupby("method")["coverage"].mean()
    for method in METHODS:
        good = ENOUGH <= means[method] <= TOO_MUCH and tasks.loc[method].min() > LEAST
        if good and low[method] <= FEW:
            return method, True
    return min(METHODS, key=lambda method: abs(float(means[method]) - (1 - 2 * TAIL))), False


def _law(method: str, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Standard error `[..., S]` and degrees of freedom of the means of `[..., S, n]`."""
    variance, freedom = _VARIANCE[method](values.var(axis=-1, ddof=1), values.shape[-1] - 1)
    return np.sqrt(variance / values.shape[-1]), freedom


def _own(variance: FloatArray, freedom: int) -> tuple[FloatArray, FloatArray]:
    return variance, np.full_like(variance, freedom)


def _pooled(variance: FloatArray, freedom: int) -> tuple[FloatArray, FloatArray]:
    mean = np.broadcast_to(variance.mean(axis=-1, keepdims=True), variance.shape)
    return mean, np.full_like(variance, freedom * variance.shape[-1])


def _shrunk(variance: FloatArray, freedom: int) -> tuple[FloatArray, FloatArray]:
    """Empirical Bayes of Smyth (2004), "limma": cells' variances scatter as s0^2 F(d, d0).

    d0 and s0 come from the mean and variance of the logarithms; each variance becomes
    (d0 s0^2 + d s^2) / (d0 + d) with d0 + d degrees of freedom, at most those of pooling. Cells
    that scatter no more than chance has it are pooled.
    """
    floor = 1e-5 * np.median(variance, axis=-1, keepdims=True)
    raised = np.maximum(variance, np.maximum(floor, np.finfo(float).tiny))
    half = freedom / 2
    logs = np.log(raised) - digamma(half) + np.log(half)
    scatter = logs.var(axis=-1, ddof=1, keepdims=True) - polygamma(1, half)
    prior = 2 * _trigamma_inverse(np.maximum(scatter, 1e-6))
    common = np.exp(logs.mean(axis=-1, keepdims=True) + digamma(prior / 2) - np.log(prior / 2))
    common = np.where(scatter > 0, common, raised.mean(axis=-1, keepdims=True))
    total = np.minimum(prior + freedom, freedom * variance.shape[-1])
    shrunk = (prior * common + freedom * raised) / (prior + freedom)
    return shrunk, np.broadcast_to(total, variance.shape)


def _partial(variance: FloatArray, freedom: int) -> tuple[FloatArray, FloatArray]:
    common = np.median(estimates.unbiased_at_the_median(variance, freedom), axis=-1, keepdims=True)
    mixed, total = estimates.pooled_in_part(variance, common, freedom)
    return mixed, np.full_like(variance, total)


_VARIANCE = {"t": _own, "pooled": _pooled, "shrunk": _shrunk, "partial": _partial}


def _trigamma_inverse(value: FloatArray) -> FloatArray:
    """y with trigamma(y) = value, by Newton's method on 1 / trigamma, which is nearly linear."""
    y = 0.5 + 1 / value
    for _ in range(20):
        now = polygamma(1, y)
        y = y + now * (1 - now / value) / polygamma(2, y)
    return np.asarray(y)


def _errors(method: str, values: FloatArray) -> FloatArray:
    """Errors `[..., S, B]` of the mean of `[..., S, n]`, by resampling its runs.

    `percentile` draws n - 1 (see `bootstrap`) and mirrors, so that its interval is that of the
    replicates. `studentized` draws n and scales with the standard error of each resample; those of
    equal runs have none and are left out (NaN).
    """
    runs = values.shape[-1]
    percentile = method == "percentile"
    weight = _resamples(runs, runs - 1 if percentile else runs)  # [B, n]
    centered = values - values.mean(axis=-1, keepdims=True)
    error = centered @ weight.T
    if percentile:
        return np.asarray(-error)
    square = np.maximum((centered**2) @ weight.T - error**2, 0)  # of resamples, over n
    square = np.where(square > 1e-12 * centered.var(axis=-1, keepdims=True), square, np.nan)
    scaled = error * np.sqrt(centered.var(axis=-1, keepdims=True) / square)
    flat = (centered == 0).all(axis=-1, keepdims=True)
    return np.where(flat, 0.0, scaled)


def _resamples(runs: int, drawn: int) -> FloatArray:
    """Weights `[B, n]`, each line of sum 1: every way to draw with replacement, or 10,000."""
    if runs**drawn <= _ALL:
        chosen = np.array(list(itertools.product(range(runs), repeat=drawn)))
    else:
        chosen = np.random.default_rng(0).integers(0, runs, (_ALL, drawn))
    return np.asarray((chosen[:, :, None] == np.arange(runs)).mean(axis=1))
