"""Film 3: seven steps to the policy gradient, each with the number that confirms it."""

from __future__ import annotations

from pathlib import Path

from analysis.reports.explain.numbers import read
from animations.script import Line, Script, scientific

AT = 1000  # trajectories where the errors of two signals are compared


def script(results: Path) -> Script:
    """From `python -m repro.explain derivation`."""
    tables = results / "explain"
    off = read(tables, "derivation").set_index("step")["value"]
    errors = read(tables, "derivation_errors").set_index(["signal", "trajectories"])["value"]
    counts = errors["advantage"].index
    better = errors["return", AT] / errors["advantage", AT]
    more, less = counts[-1] / counts[0], errors["advantage"].iloc[0] / errors["advantage"].iloc[-1]
    labels = {
        "check_1": f"the P(τ) of all trajectories add up to {off[1]:.10g}",
        "check_2": f"against differences of J: off by {scientific(off[2])}",
        "check_3": f"against step 2: off by {scientific(off[3])}",
        "check_4": f"left minus right: at most {scientific(off[4])}",
        "check_5": f"against step 2: off by {scientific(off[5])}",
        "check_6": f"against step 2: off by {scientific(off[6])}",
        "check_7": f"n × {more:,.0f}: error ÷ {less:.0f}; √{more:,.0f} = {more**0.5:.0f}",
        "return": "return",
        "advantage": "advantage",
    }
    says = (
        ("How does the expected return change with the policy's parameters?", 4.0),
        ("The probability of a trajectory is a product.", 4.5),
        ("J weighs each return by its probability, and only P depends on θ.", 5.0),
        ("Since ∇P = P ∇log P, this is an expectation: samples will do.", 5.0),
        ("The log is a sum, and start and dynamics do not depend on θ.", 6.0),
        ("Put in, this is REINFORCE. It needs no model of the task.", 4.5),
        (
            f"With the advantage the gradient stays, and the error is {better:.1f} times smaller.",
            5.0,
        ),
        ("Sample, average: the error falls as 1/√n.", 5.5),
    )
    shows = (
        "J(θ) = E[R(τ)]. The task of the checks is so small that all trajectories can be listed.",
        "Step 1: P(τ|θ) = ρ(s₀) ∏ π(a_t|s_t) P(s_{t+1}|s_t, a_t).",
        "Step 2: ∇J(θ) = ∇ Σ_τ P(τ|θ) R(τ).",
        "Step 3: ∇J(θ) = E[∇log P(τ|θ) R(τ)].",
        "Step 4: log P(τ|θ) = log ρ(s₀) + Σ log π(a_t|s_t) + Σ log P(s_{t+1}|s_t, a_t); the first "
        "and the last term are crossed out, and ∇log P(τ|θ) = Σ ∇log π(a_t|s_t) is left.",
        "Step 5: ∇J(θ) = E[Σ ∇log π(a_t|s_t) R(τ)].",
        "Step 6: ∇J(θ) = E[Σ ∇log π(a_t|s_t) A_t].",
        "Step 7: ĝ = Ê[∇log π(a_t|s_t) Â_t], and the error of estimates with the return and with "
        "the advantage against the number of trajectories, on logarithmic scales.",
    )
    lines = tuple(
        Line(text, shown + (f" Check: {labels[f'check_{step}']}." if step else ""), seconds)
        for step, ((text, seconds), shown) in enumerate(zip(says, shows, strict=True))
    )
    sources = ("explain/derivation.csv", "explain/derivation_errors.csv")
    return Script("derivation", "The policy gradient in seven steps", lines, labels, sources)
