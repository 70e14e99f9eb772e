"""The interactive twins: one self-contained HTML page a figure, with its data and its functions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.reports.explain.document import (
    choice,
    controls,
    document,
    number,
    script,
    slider,
)
from analysis.reports.explain.figures import covariances
from analysis.reports.explain.numbers import read
from analysis.reports.explain.tokens import wide

SAMPLED = (0, 1, 3, 10)  # epochs of clip_samples
PROXY_SHOWN = 3  # tokens.js draws so many times the proxy, which has a standard deviation of 1


@dataclass(frozen=True)
class Page:
    """One page; its first five parts are those of `document`."""

    title: str
    text: str
    controls: str
    charts: tuple[str, str]
    keys: Sequence[tuple[str, str]]
    data: Callable[[Path], Mapping[str, Any]]  # what its script reads, from the tables' directory
    table: Callable[[Path], pd.DataFrame]
    source: str | None = None  # the command that measured it, by default that of its name


def _variance(tables: Path) -> dict[str, Any]:
    parts = read(tables, "variance_baselines")
    return {
        task: [{f"{a},{b}": trace for (a, b), trace in x.items()} for x in covariances(parts, task)]
        for task in parts["task"].unique()
    }


def _gae(tables: Path) -> dict[str, Any]:
    table = read(tables, "gae")
    found: dict[str, Any] = {}
    for critic, own in table.groupby("critic", sort=False):
        wide = own.pivot_table(index="lambda", columns="measure", values="value").reset_index()
        found[str(critic)] = {str(name): column.tolist() for name, column in wide.items()}
    return found


def _steps(tables: Path) -> dict[str, Any]:
    steps = read(tables, "trust_region_steps")
    wide = steps.pivot_table(index=["algorithm", "iteration"], columns="measure", values="value")
    return {
        str(name): {key: wide.xs(name)[key].tolist() for key in ("mean", "log_std")}
        for name in steps["algorithm"].unique()
    }


def _samples(tables: Path) -> dict[str, Any]:
    samples = read(tables, "clip_samples")
    columns = ["ratio", "advantage"]
    return {
        str(task): {
            str(epoch): x[columns].round(4).to_numpy().tolist() for epoch, x in own.groupby("epoch")
        }
        for task, own in samples.groupby("task", sort=False)
    }


def _tokens(tables: Path) -> dict[str, Any]:
    curves, samples = wide(read(tables, "tokens_curves")), read(tables, "tokens_samples")
    lines = {
        f"{beta:g}": {key: own[key].round(4).tolist() for key in ("kl", "gold", "proxy")}
        for beta, own in curves.groupby("beta")
    }
    shown: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for (beta, moment, _), own in samples.groupby(["beta", "moment", "response"], sort=False):
        first = own.iloc[0]
        values = own[["advantage", "kl"]].astype(object).where(own["kl"].notna(), None)
        numbers = [[x if x is None else round(x, 3) for x in row] for row in values.to_numpy()]
        words = [[word, *row] for word, row in zip(own["token"], numbers, strict=True)]
        scores = {name: round(float(first[name]), 3) for name in ("gold", "proxy")}
        shown.setdefault(f"{beta:g}", {}).setdefault(str(moment), []).append(
            {"tokens": words, **scores}
        )
    ends = curves[["gold", "proxy"]].agg(["min", "max"])
    return {
        "curves": lines,
        "samples": shown,
        "farthest": math.ceil(math.sqrt(curves["kl"].max())),
        "lowest": math.floor(ends["gold"]["min"]),
        "highest": math.ceil(max(ends["gold"]["max"], PROXY_SHOWN * ends["proxy"]["max"])),
    }


def _tokens_table(tables: Path) -> pd.DataFrame:
    curves = read(tables, "tokens_curves")
    last: pd.DataFrame = curves[curves["window"] == curves["window"].max()]
    return last


def _clip_table(tables: Path) -> pd.DataFrame:
    shares = read(tables, "clip_shares")
    return shares[shares["epoch"].isin(SAMPLED[1:])]


def _gae_table(tables: Path) -> pd.DataFrame:
    table = read(tables, "gae")
    return table[table["lambda"].isin([0, 0.5, 0.9, 0.95, 1])]


_BETAS = {f"{beta:g}": f"{beta:g}" for beta in (0, 0.02, 0.05, 0.1, 0.2)}
_MOMENTS = {name: name for name in ("at the end", "at the best", "before")}
_TASKS = {"CartPole-v1": "CartPole", "Reacher-v4": "Reacher"}
_ROBOTS = {"half_cheetah": "HalfCheetah", "reacher": "Reacher"}
_KINDS = {"clip": "clipped, L_CLIP", "clip_log": "clipped in log space", "none": "not clipped"}
_CRITICS = {"own": "its own critic", "early": "an early critic", "untrained": "an untrained critic"}
PAGES: Mapping[str, Page] = {
    "variance": Page(
        "Subtracting a baseline takes most of the noise out of a policy gradient",
        "The signal is Q - b - c V(s): c = 0 is Q alone, c = 1 with b = 0 the advantage. The curve "
        "is exact for the measured covariances. Its lowest point is near the advantage, not at it.",
        controls(
            choice("task", "Task", _TASKS),
            slider("c", "Share c of V(s) that is subtracted", 0, 1.5, 0.01, 0),
            slider("b", "Constant b that is subtracted", -10, 10, 0.5, 0),
            slider("n", "Rollouts in a batch", 1, 256, 1, 1),
        ),
        ("Variance by baseline", "Variance by batch size"),
        (("blue", "variance; dashed: the advantage's"), ("orange", "your setting")),
        _variance,
        lambda tables: read(tables, "variance"),
    ),
    "gae": Page(
        "λ trades the critic's bias for the spread of returns",
        "Bias and spread of A(right) - A(left) on CartPole, against returns of many real "
        "trajectories. With λ = 1 no critic is left in it, and no bias. A better critic helps.",
        controls(
            slider("lambda", "λ", 0, 1, 0.01, 0.95),
            choice("critic", "Quality of the critic", _CRITICS),
            slider("gamma", "γ, of the weights alone", 0.8, 1, 0.005, 0.99),
        ),
        ("Bias and spread", "Weights of the residuals"),
        (("blue", "bias; weights"), ("orange", "standard deviation of one estimate")),
        _gae,
        _gae_table,
    ),
    "trust_region": Page(
        "A trust region is a distance between policies, not between parameters",
        "A Gaussian policy with mean 0. The solid contour is exact, the dashed one the ellipse of "
        "the Fisher information, which TRPO's direction uses. A narrow policy allows small steps.",
        controls(
            slider("delta", "log10 of δ, nats", -3, 0, 0.05, -1),
            slider("sigma", "log10 of σ", -1.5, 0.3, 0.05, -0.5),
            slider("step", "A step of the mean", -1, 1, 0.02, 0.1),
        ),
        ("Policies at equal KL", "Real updates from σ = 0.3"),
        (
            ("blue", "exact contour; PPO"),
            ("pink", "Fisher ellipse"),
            ("orange", "step outside; TRPO"),
            ("green", "step inside; plain gradient"),
        ),
        _steps,
        lambda tables: read(tables, "trust_region_steps"),
    ),
    "clip": Page(
        "Clipping is no wall: samples outside of the range can still have a gradient",
        "Real samples of one update. A sample outside of the range is flat only where moving "
        "further out would raise the objective; the others are pulled back. Change the range.",
        controls(
            slider("epsilon", "ε of the drawn objective", 0.05, 0.5, 0.01, 0.2),
            choice("epoch", "Epochs of the update", {str(e): str(e) for e in SAMPLED[::-1]}),
            choice("task", "Task", _ROBOTS),
            choice("kind", "Form", _KINDS),
        ),
        ("The term and its gradient", "Samples of a real update"),
        (
            ("blue", "A &gt; 0; inside"),
            ("orange", "A &lt; 0; outside, with gradient"),
            ("gray", "no gradient"),
        ),
        _samples,
        _clip_table,
    ),
    "tokens": Page(
        "Tokens better than average are reinforced, by a judge that can be fooled",
        "A small language model learns to please a reward model, the proxy. Without a penalty its "
        "true reward, gold, rises and then collapses while the proxy still rises. Below are its "
        "words, each on its advantage: green ones become more likely, orange ones less.",
        controls(
            choice("beta", "β of the KL penalty", _BETAS),
            slider("window", "Part of the run, of 20", 1, 20, 1, 20),
            choice("moment", "Responses", _MOMENTS),
            choice("by", "Color by", {"advantage": "advantage", "kl": "KL, what is paid"}),
        ),
        ("Reward against distance", "Responses token by token"),
        (
            ("blue", "gold"),
            ("orange", "proxy, times 3; a token worse than average"),
            ("green", "a token better than average"),
            ("gray", "gold with other β"),
        ),
        _tokens,
        _tokens_table,
        "python -m analysis tokens --runs results/language",
    ),
}


def page(name: str, tables: Path) -> bytes:
    """The whole page: nothing is loaded from anywhere, and its policy forbids it."""
    own = PAGES[name]
    rows = own.table(tables).to_html(index=False, border=0, float_format=number, na_rep="")
    numbers = (
        "<details><summary>The measured numbers as a table</summary>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Measured numbers">'
        f"{rows}</div></details>"
    )
    source = own.source or f"python -m repro.explain {name}"
    footer = (
        f"Measured by <code>{source}</code>; units are in "
        f"<code>results/explain/{name}.json</code>. Reload to go back to the first setting."
    )
    keys = [(color, f"● {text}") for color, text in own.keys]
    data = json.dumps(own.data(tables), separators=(",", ":"))
    return document(
        own.title,
        own.text,
        own.controls,
        own.charts,
        keys,
        numbers,
        footer,
        [script("functions"), f"const DATA = {data};\n", script(name)],
    )
