"""Each function that the sliders call, in node, against its twin in Python on a grid."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analysis.reports.explain import figures
from analysis.reports.explain.document import WEB
from repro.explain import trust_region, updates
from repro.learning import advantages
from repro.learning.objectives import SURROGATES
from repro.networks.distributions import Categorical, DiagonalGaussian

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed: apt install nodejs")

RATIOS = [0.01, 0.5, 0.79, 0.81, 0.85, 1.0, 1.15, 1.19, 1.21, 1.5, 2.5]
EPSILONS = [0.05, 0.2, 0.4]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Calls a function with each of many lists of arguments, all in one process."""

    def call(name: str, arguments: list[Any]) -> Any:
        path: Path = tmp_path_factory.mktemp("node") / "arguments.json"
        path.write_text(json.dumps(arguments))
        script = (
            f"const f = require({json.dumps(str(WEB / 'functions.js'))});"
            f"const a = JSON.parse(require('fs').readFileSync({json.dumps(str(path))}));"
            f"console.log(JSON.stringify(a.map((x) => f.{name}(...x))));"
        )
        assert NODE is not None
        done = subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return call


@pytest.mark.parametrize("kind", ["none", "clip", "clip_log"])
def test_terms_and_slopes(node: Any, kind: str) -> None:
    grid = [[kind, r, a, e] for r in RATIOS for a in (1.0, -2.0) for e in EPSILONS]
    terms, slopes = [], []
    for _, r, a, e in grid:
        ratio, advantage, kl = (torch.tensor([x], dtype=torch.float64) for x in (r, a, 0.0))
        scalars = {} if kind == "none" else {"epsilon": e}
        own = {name: torch.tensor(x, dtype=torch.float64) for name, x in scalars.items()}
        terms.append(float(SURROGATES[kind](ratio, advantage, kl, **own)))
        slopes.append(float(updates.slope(kind, ratio, advantage, kl, **scalars)))
    np.testing.assert_allclose(node("term", grid), terms, rtol=1e-12)
    np.testing.assert_allclose(node("slope", grid), slopes, rtol=1e-12)


def test_gae(node: Any) -> None:
    rng = np.random.default_rng(0)
    rewards, values, following = rng.standard_normal((3, 30))
    ends = rng.random(30) < 0.1
    discounts = np.where(ends & (rng.random(30) < 0.5), 0, 0.97)
    columns = [rewards, values, following, discounts, ends]
    lambdas = [0.0, 0.3, 0.95, 1.0]
    found = node("gae", [[*(x.tolist() for x in columns), each] for each in lambdas])
    for each, line in zip(lambdas, found, strict=True):
        tensors = [torch.from_numpy(x).reshape(1, 30, 1) for x in columns]
        expected = advantages.gae(*tensors, gae_lambda=torch.tensor([each], dtype=torch.float64))
        np.testing.assert_allclose(line, expected.flatten().numpy(), atol=1e-12)


def test_divergences(node: Any) -> None:
    grid = [[0.3, b, c, d] for b in (-2, 0, 1) for c in (-1.0, 0.3, 2) for d in (-3, 0.2, 1.0)]
    old, new = (
        DiagonalGaussian(*(torch.tensor(grid)[:, i : i + 1].double() for i in pair))
        for pair in ((0, 1), (2, 3))
    )
    np.testing.assert_allclose(node("gaussianKl", grid), new.kl_from(old), rtol=1e-6, atol=1e-12)
    logits = np.random.default_rng(0).standard_normal((20, 2, 4)) * 3
    before, after = (Categorical(torch.from_numpy(logits[:, i])) for i in (0, 1))
    found = node("categoricalKl", logits.tolist())
    np.testing.assert_allclose(found, after.kl_from(before), rtol=1e-9)


def test_contours(node: Any) -> None:
    table = trust_region.contours().frame.query("policy == 'gaussian'")
    groups = list(table.groupby(["at", "delta", "kind"]))
    grid = [
        [float(str(at).split()[1]), delta, kind, trust_region.DIRECTIONS]
        for (at, delta, kind), _ in groups
    ]
    for line, (_, own) in zip(node("gaussianContour", grid), groups, strict=True):
        np.testing.assert_allclose(line, own[["x", "y"]], atol=1e-9)


def test_baselines_and_interpolation(node: Any) -> None:
    pairs = [("q", "q"), ("q", "one"), ("q", "value"), ("one", "one"), ("one", "value")]
    pairs.append(("value", "value"))
    traces = dict(zip(pairs, np.random.default_rng(0).standard_normal(6).tolist(), strict=True))
    plain = {f"{a},{b}": x for (a, b), x in traces.items()}
    grid = [(b, c) for b in (-3.0, 0.0, 2.0) for c in (0.0, 0.7, 1.5)]
    expected = [float(figures.baseline_variance(traces, b, np.array(c))) for b, c in grid]
    found = node("baselineVariance", [[plain, b, c] for b, c in grid])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    xs, ys = [0.0, 0.5, 0.6, 1.0], [3.0, 1.0, -2.0, 0.0]
    places = np.linspace(-0.2, 1.2, 29).tolist()
    found = node("interpolate", [[x, xs, ys] for x in places])
    np.testing.assert_allclose(found, np.interp(places, xs, ys), atol=1e-12)
