"""What an objective says of its scalars: range, schedule, label; and limits of an adaptive beta."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.config import objectives as declared
from repro.errors import ConfigError
from repro.learning import objectives, packed_objectives
from tests.helpers.configs import Compose

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _forget_declarations() -> Iterator[None]:
    yield
    declared.scalars.cache_clear()


def samples(p: int = 2, m: int = 400) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    ratio = torch.exp(0.5 * torch.randn(p, m, generator=generator))
    return ratio, torch.randn(p, m, generator=generator), torch.rand(p, m, generator=generator)


def scalar(value: float) -> torch.Tensor:
    return torch.tensor([[value]])


def declare(place: Path, patch: pytest.MonkeyPatch, kind: str, text: str) -> None:
    """A YAML in a `conf` of its own."""
    patch.setattr(declared, "CONF_DIR", place)
    (place / "objective").mkdir(exist_ok=True)
    (place / "objective" / f"{kind}.yaml").write_text(f"kind: {kind}\n{text}")
    declared.scalars.cache_clear()


def test_a_kind_without_a_form_runs_by_its_own_function(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    declare(tmp_path, monkeypatch, "simple", "epsilon: 1\nscalars: {epsilon: {scheduled: true}}")

    def simple(
        ratio: torch.Tensor, advantages: torch.Tensor, kl: torch.Tensor, epsilon: torch.Tensor
    ) -> torch.Tensor:
        return ratio * advantages - advantages.abs() * (ratio - 1) ** 2 / (2 * epsilon)

    monkeypatch.setitem(objectives.SURROGATES, "simple", simple)
    pack = packed_objectives.PackedSurrogate(
        [{"kind": "simple", "epsilon": e} for e in (0.1, 0.4)], CPU
    )
    ratio, advantages, kl = samples(p=2)
    surrogate = pack.prepare([1.0, 0.5])
    found = surrogate(ratio, advantages, kl)
    for p, epsilon in enumerate([0.1, 0.2]):
        expected = simple(ratio[p], advantages[p], kl[p], torch.tensor(epsilon))
        torch.testing.assert_close(found[p], expected)
    assert surrogate.clipped(ratio).isnan().all(), "nobody knows what its clip range is"
    assert pack.epsilon.tolist() == [0.1, 0.4]
    assert packed_objectives.pack_family({"kind": "simple"}) != packed_objectives.pack_family(
        {"kind": "clip"}
    )


LEAKY = "slope: 0\nepsilon_low: 0.1\nepsilon_high: 0.3\nscalars:\n" + "\n".join(
    [
        "  slope: {range: 'in [-1, 1]', label: false}",
        "  epsilon_low: {range: above 0 and below 1, scheduled: true}",
        "  epsilon_high: {range: above 0, scheduled: true}",
    ]
)


def test_an_objective_says_what_its_scalars_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Range, schedule and label of each, whatever its name."""
    declare(tmp_path, monkeypatch, "leaky", LEAKY)
    given = {"kind": "leaky", "slope": -0.5, "epsilon_low": 0.2, "epsilon_high": 1.5}

    def refusal(**changed: float) -> str:
        with pytest.raises(ConfigError) as refused:
            declared.check({**given, **changed})
        return str(refused.value)

    for fine in ({}, {"slope": 0}, {"slope": -1}, {"epsilon_high": 7}):
        declared.check(given | fine)
    assert "objective.slope=1.5 must be in [-1, 1]." in refusal(slope=1.5)
    assert "objective.epsilon_low=1 must be above 0 and below 1." in refusal(epsilon_low=1)
    assert "epsilon_high=-0.1 must be above 0." in refusal(epsilon_high=-0.1)
    assert "infinite" in refusal(slope=-1e40) and "finite" in refusal(slope=math.nan)
    assert declared.short_label(given) == "leaky_0.2_1.5" and declared.value(given) == 0.2
    assert declared.label(given) == "leaky_0.2_1.5_slope_-0.5"
    assert declared.label(given | {"slope": 0.0}) == "leaky_0.2_1.5", "the default"

    def leaky(
        r: torch.Tensor, a: torch.Tensor, kl: torch.Tensor, **own: torch.Tensor
    ) -> torch.Tensor:
        inside = torch.clamp(r, 1 - own["epsilon_low"], 1 + own["epsilon_high"])
        return torch.minimum(r * a, (inside + own["slope"] * (r - inside)) * a)

    def signed(r, a, kl, slope, epsilon_low, epsilon_high):  # type: ignore[no-untyped-def]
        return leaky(r, a, kl, slope=slope, epsilon_low=epsilon_low, epsilon_high=epsilon_high)

    monkeypatch.setitem(objectives.SURROGATES, "leaky", signed)
    pack = packed_objectives.PackedSurrogate([given, given], CPU)
    ratio, advantages, kl = samples(p=2)
    found = pack.prepare([1.0, 0.5])(ratio, advantages, kl)
    for p, scale in enumerate([1.0, 0.5]):
        own = {name: scalar(given[name]) for name in ("slope", "epsilon_low", "epsilon_high")}  # type: ignore[arg-type]
        own |= {name: scale * own[name] for name in ("epsilon_low", "epsilon_high")}
        expected = leaky(ratio[p : p + 1], advantages[p : p + 1], kl[p : p + 1], **own)[0]
        torch.testing.assert_close(found[p], expected)
    assert pack.epsilon.tolist() == [0.2, 0.2]


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("a: 1\nscalars: {a: {range: positive}}", "'positive' is no range"),
        ("a: 1\nscalars: {a: {scaled: true}}", "scaled"),
        ("a: 1\nscalars: {b: {label: false}}", "b has no default"),
    ],
)
def test_what_a_yaml_cannot_say_of_a_scalar_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, culprit: str
) -> None:
    declare(tmp_path, monkeypatch, "wrong", text)
    with pytest.raises(ConfigError, match=r"wrong\.yaml, scalars: .*" + culprit):
        declared.scalars("wrong")


def test_labels_and_ids_of_the_papers_settings_stay(config: Compose) -> None:
    beta = config("env=hopper", "objective=kl_adaptive", "objective.beta=2")
    assert beta.objective_label == "kl_adaptive_0.01_beta_2"
    assert beta.run_id.startswith("Hopper-v4_ppo_kl_adaptive_0.01_s0_"), "older runs are found"
    plain = config("env=hopper", "objective=kl_adaptive")
    assert plain.objective == {"kind": "kl_adaptive", "target_kl": 0.01, "beta": 1.0}
    assert plain.objective_label == "kl_adaptive_0.01" and plain.objective_value == 0.01


def test_limits_of_an_adaptive_beta() -> None:
    limited = {"kind": "kl_adaptive", "target_kl": 0.01, "beta": 1.0}
    limits: Mapping[str, float] = {"beta_min": 2**-3, "beta_max": 4.0}
    pack = packed_objectives.PackedSurrogate([limited, limited | limits], CPU)
    small, large = np.zeros(2), np.ones(2)
    for _ in range(1100):
        pack.adapt(small)
    assert pack.beta.tolist() == [0, 2**-3], "without a limit it is 0 for ever"
    for _ in range(8):
        pack.adapt(large)
    assert pack.beta.tolist() == [0, 4]
    bounds = pack.prepare([1.0, 1.0]).bounds
    assert bounds is not None and bounds["beta"].flatten().tolist() == [0, 4]
    with pytest.raises(ConfigError, match=r"beta_min=5.* is above objective\.beta_max=4"):
        declared.check(limited | limits | {"beta_min": 5.0})
