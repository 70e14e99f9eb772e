"""What must hold of the measurements themselves, whatever they measure."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro.algorithms.ppo import PPO
from repro.explain import clip, derivation, learners, tasks, trust_region, updates, variance
from repro.explain.__main__ import main
from repro.explain.tables import Table


def test_an_update_by_epochs_is_the_update() -> None:
    """K calls of one epoch leave the bits of one call of K."""
    short = ("algorithm.horizon=128", "engine=torch")
    whole = learners.make("env=reacher", *short)
    assert isinstance(whole, PPO)
    learners.train(whole, 2)
    parted = learners.make("env=reacher", "algorithm.epochs=1", *short)
    assert isinstance(parted, PPO)
    epochs = [epoch for _, epoch in updates.iterations(parted, 2)]
    assert torch.equal(whole.parameters.flat, parted.parameters.flat)
    assert len(epochs) == 2 * (updates.EPOCHS + 1)
    assert (epochs[0].ratio - 1).abs().max() < 1e-4 and epochs[0].kl.max() < 1e-6


def test_the_term_is_equation_7() -> None:
    table = clip.term().frame
    for epsilon in clip.EPSILONS:
        for advantage in (1, -1):
            own = table.query(
                "objective == 'clip' and epsilon == @epsilon and advantage == @advantage"
            )
            r = own["ratio"].to_numpy()
            expected = np.minimum(r * advantage, np.clip(r, 1 - epsilon, 1 + epsilon) * advantage)
            np.testing.assert_allclose(own["term"], expected, rtol=1e-12)
            inner = np.abs(r[:, None] - [1 - epsilon, 1 + epsilon]).min(1) > 0.011
            slope = np.gradient(own["term"].to_numpy(), r)
            np.testing.assert_allclose(own["gradient"].to_numpy()[inner], slope[inner], atol=1e-9)


def test_covariances_give_the_variance_of_every_baseline() -> None:
    rng = np.random.default_rng(0)
    q, one, value = rng.standard_normal((3, 20, 5))
    got = {
        (a, b): variance.covariance_trace(x, y)
        for a, x in {"q": q, "one": one, "value": value}.items()
        for b, y in {"q": q, "one": one, "value": value}.items()
    }
    whole = q - 0.3 * one - 0.8 * value
    parts = got["q", "q"] + 0.09 * got["one", "one"] + 0.64 * got["value", "value"]
    mixed = 0.3 * got["q", "one"] + 0.8 * got["q", "value"] - 0.24 * got["one", "value"]
    expected = np.trace(np.cov(whole.T))
    assert parts - 2 * mixed == pytest.approx(expected)
    assert variance.covariance_trace(whole, whole) == pytest.approx(expected)


def test_contours_are_where_the_kl_is() -> None:
    """By a formula of its own for the Gaussian."""
    table = trust_region.contours().frame.query("policy == 'gaussian' and kind == 'exact'")
    for (at, delta), own in table.groupby(["at", "delta"]):
        old = float(str(at).split()[1])
        new = np.exp(own["y"])
        kl = np.log(new / old) + (old**2 + own["x"] ** 2) / (2 * new**2) - 0.5
        np.testing.assert_allclose(kl, delta, rtol=1e-6)


def test_every_step_of_the_derivation_is_confirmed() -> None:
    theta, paths = derivation._problem()
    found = derivation.steps(theta, paths)
    assert found.pop(1) == pytest.approx(1, abs=1e-12)
    assert found.pop(2) < 1e-8  # differences of J
    assert all(abs(x) < 1e-12 for x in found.values())


def test_the_bandit_pays_what_it_says() -> None:
    task = tasks.Bandit()
    task.reset()
    assert task.step(np.array([0.5]))[1:4] == (-0.25, True, False)


def test_a_table_without_units_is_refused() -> None:
    with pytest.raises(ValueError, match="units"):
        Table("x", clip.term().frame, {"objective": "a name"})


def test_the_command_writes_and_refuses(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["motivation", "--out", str(tmp_path)]) == 0
    tables = {"motivation.csv", "motivation_densities.csv"}
    assert {path.name for path in tmp_path.iterdir()} == {*tables, "motivation.json"}
    assert main(["motivatoin"]) == 2
    assert "motivation" in capsys.readouterr().err
