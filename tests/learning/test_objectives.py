"""The surrogates against their definitions and identities."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Independent, Normal, kl_divergence

from repro.config.objectives import kinds
from repro.config.schema import CONF_DIR
from repro.errors import ConfigError
from repro.learning import objectives, packed_objectives
from repro.networks.distributions import Categorical, DiagonalGaussian
from tests.helpers.configs import Compose

CPU = torch.device("cpu")


def samples(seed: int = 0, p: int = 5, m: int = 400) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    ratio = torch.exp(0.5 * torch.randn(p, m, generator=generator))
    advantages = torch.randn(p, m, generator=generator)
    kl = torch.rand(p, m, generator=generator)
    return ratio, advantages, kl


def scalar(value: float) -> torch.Tensor:
    return torch.tensor([[value]])


def test_clip_is_its_definition_sample_by_sample() -> None:
    ratio, advantages, kl = samples()
    found = objectives.clip(ratio, advantages, kl, scalar(0.2))
    for r, a, x in zip(ratio.flatten(), advantages.flatten(), found.flatten(), strict=True):
        clipped = min(max(float(r), 0.8), 1.2)
        assert float(x) == pytest.approx(min(float(r) * float(a), clipped * float(a)), abs=1e-6)


def test_the_gradient_of_clip_is_zero_exactly_where_figure_1_is_flat() -> None:
    ratio = torch.linspace(0, 2, 401)[None].requires_grad_()
    for sign in (1.0, -1.0):
        terms = objectives.clip(ratio, torch.full_like(ratio, sign), ratio, scalar(0.2))
        (slope,) = torch.autograd.grad(terms.sum(), ratio)
        r = ratio.detach()
        flat = r > 1.2 if sign > 0 else r < 0.8
        edge = (r - 1.2).abs().minimum((r - 0.8).abs()) < 1e-4
        assert torch.equal(slope == 0, flat) or bool(((slope == 0) == flat)[~edge].all())
        assert bool((slope[~flat & ~edge] == sign).all())


def test_an_infinite_epsilon_is_no_clipping_and_a_zero_beta_is_no_penalty() -> None:
    ratio, advantages, kl = samples()
    none = objectives.none(ratio, advantages, kl)
    assert torch.equal(objectives.clip(ratio, advantages, kl, scalar(math.inf)), none)
    assert torch.equal(objectives.kl_fixed(ratio, advantages, kl, scalar(0.0)), none)
    assert torch.equal(
        objectives.kl_adaptive(ratio, advantages, kl, scalar(2.0), scalar(0.01)),
        objectives.kl_fixed(ratio, advantages, kl, scalar(2.0)),
    )


def test_clip_is_a_lower_bound_and_agrees_to_first_order_at_ratio_one() -> None:
    ratio, advantages, kl = samples()
    clip = objectives.clip(ratio, advantages, kl, scalar(0.2))
    assert bool((clip <= objectives.none(ratio, advantages, kl)).all())
    at_one = torch.ones_like(ratio).requires_grad_()
    (slope,) = torch.autograd.grad(
        objectives.clip(at_one, advantages, kl, scalar(0.2)).sum(), at_one
    )
    torch.testing.assert_close(slope, advantages)


def test_log_clip_is_clip_with_bounds_symmetric_in_log_space() -> None:
    ratio, advantages, kl = samples()
    found = objectives.clip_log(ratio, advantages, kl, scalar(0.3))
    log_ratio = ratio.double().log()
    bounded = torch.exp(torch.clamp(log_ratio, -0.3, 0.3)) * advantages
    expected = torch.minimum(ratio * advantages, bounded.float())
    torch.testing.assert_close(found, expected)


SCALARS = {"epsilon": [0.1, 0.3], "beta": [0.0, 3.0], "target_kl": [0.003, 0.03]}


@pytest.mark.parametrize("kind", sorted(objectives.FORMS))
def test_the_packed_form_equals_each_objective_in_value_and_gradient(kind: str) -> None:
    """A pack that holds every kind gives each member what its own function gives."""
    ratio, advantages, kl = samples(p=5)
    pack = [
        {"kind": "none"},
        {"kind": "clip", "epsilon": 0.2},
        {"kind": "clip_log", "epsilon": 0.25},
        {"kind": "kl_fixed", "beta": 3.0},
        {"kind": "kl_adaptive", "beta": 1.0, "target_kl": 0.01},
    ]
    position = [entry["kind"] for entry in pack].index(kind)
    packed = packed_objectives.PackedSurrogate(pack, CPU)
    ratio.requires_grad_(), kl.requires_grad_()
    terms = packed.prepare([1.0] * 5)(ratio, advantages, kl)
    own = [scalar(float(v)) for k, v in pack[position].items() if k != "kind"]
    names = [k for k in pack[position] if k != "kind"]
    expected = objectives.SURROGATES[kind](
        ratio, advantages, kl, **dict(zip(names, own, strict=True))
    )[position]
    torch.testing.assert_close(terms[position], expected, rtol=1e-6, atol=1e-6)
    gradients = torch.autograd.grad(terms[position].sum(), (ratio, kl))
    wanted = torch.autograd.grad(expected.sum(), (ratio, kl), allow_unused=True)
    for found, want in zip(gradients, wanted, strict=True):
        want = torch.zeros_like(found) if want is None else want
        torch.testing.assert_close(found, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        ("clip", lambda ratio, advantages, kl, epsilon: ratio * advantages),
        ("clip", lambda r, a, kl, epsilon: torch.clamp(r, 1 - epsilon, 1 + epsilon) * a),
        ("none", lambda ratio, advantages, kl: ratio * advantages - 1e-3 * kl),
        ("kl_fixed", lambda ratio, advantages, kl, beta: ratio * advantages - beta * kl.detach()),
    ],
)
def test_an_edited_function_whose_form_was_left_is_an_error(
    monkeypatch: pytest.MonkeyPatch, kind: str, edit: Callable[..., torch.Tensor]
) -> None:
    scalars = {"clip": {"epsilon": 0.2}, "none": {}, "kl_fixed": {"beta": 3.0}}[kind]
    objective = {"kind": kind, **scalars}
    packed_objectives.PackedSurrogate([objective], CPU)
    monkeypatch.setitem(objectives.SURROGATES, kind, edit)
    with pytest.raises(ConfigError, match=rf"objective\.kind={kind}: the function .* form"):
        packed_objectives.PackedSurrogate([objective], CPU)
    monkeypatch.delitem(objectives.FORMS, kind)  # what the error proposes: train by the function
    packed_objectives.PackedSurrogate([objective], CPU)


def test_the_schedule_scales_epsilon_of_clipping_kinds_only() -> None:
    pack = packed_objectives.PackedSurrogate(
        [{"kind": "clip", "epsilon": 0.2}, {"kind": "none"}], CPU
    )
    bounds = pack.prepare([0.5, 0.5]).bounds
    assert bounds is not None
    low, high = bounds["low"], bounds["high"]
    torch.testing.assert_close(low, torch.tensor([[0.9], [0.0]]))
    torch.testing.assert_close(high, torch.tensor([[1.1], [math.inf]]))


@pytest.mark.parametrize(
    ("beta", "kl", "target", "expected"),
    [
        (1.0, 0.01 / 1.5 - 1e-9, 0.01, 0.5),
        (1.0, 0.01 / 1.5 + 1e-9, 0.01, 1.0),
        (1.0, 0.01, 0.01, 1.0),
        (1.0, 0.015 - 1e-9, 0.01, 1.0),
        (1.0, 0.015 + 1e-9, 0.01, 2.0),
        (8.0, 1.0, 0.03, 16.0),
        (8.0, 0.0, 0.03, 4.0),
        (3.0, 1.0, math.nan, 3.0),  # a fixed beta
        (3.0, 0.0, math.nan, 3.0),
    ],
)
def test_adaptive_beta(beta: float, kl: float, target: float, expected: float) -> None:
    found = objectives.adapt_beta(
        *(torch.tensor([x], dtype=torch.float64) for x in (beta, kl, target, math.nan, math.nan))
    )
    assert found.tolist() == [expected]


def test_value_losses() -> None:
    values, old, targets = (torch.tensor([x]) for x in (2.0, 1.0, 3.0))
    assert objectives.value_loss(values, targets).item() == 1
    for pessimistic in (True, False):
        loss = objectives.clipped_value_loss(values, old, targets, 0.5, pessimistic)
        assert loss.item() == 2.25
        assert objectives.clipped_value_loss(values, old, targets, 5.0, pessimistic).item() == 1
    near = torch.tensor([1.4])
    assert objectives.clipped_value_loss(values, old, near, 0.5, True).item() == pytest.approx(0.36)
    assert objectives.clipped_value_loss(values, old, near, 0.5, False).item() == pytest.approx(
        0.01
    )


def test_gaussian_against_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, old_mean = torch.randn(2, 3, 7, 4, generator=generator, dtype=torch.float64)
    log_std, old_log_std = torch.randn(2, 3, 1, 4, generator=generator, dtype=torch.float64)
    new, old = DiagonalGaussian(mean, log_std), DiagonalGaussian(old_mean, old_log_std)
    their_new = Independent(Normal(mean, log_std.exp().expand_as(mean)), 1)
    their_old = Independent(Normal(old_mean, old_log_std.exp().expand_as(mean)), 1)
    actions = their_new.sample()
    torch.testing.assert_close(new.log_prob(actions), their_new.log_prob(actions))
    torch.testing.assert_close(new.entropy().expand(3, 7), their_new.entropy())
    torch.testing.assert_close(new.kl_from(old), kl_divergence(their_old, their_new))
    reverse = kl_divergence(their_new, their_old)
    assert not torch.allclose(new.kl_from(old), reverse), "old comes first"
    noise = torch.randn(3, 7, 4, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(new.sample(noise), mean + noise * log_std.exp())


def test_gaussians_are_compared_with_the_gradient_of_the_plain_functions() -> None:
    generator = torch.Generator().manual_seed(1)
    mean, old_mean, actions = torch.randn(3, 2, 9, 4, generator=generator, dtype=torch.float64)
    log_std, old_log_std = 0.3 * torch.randn(2, 2, 1, 4, generator=generator, dtype=torch.float64)
    new = DiagonalGaussian(mean.requires_grad_(), log_std.requires_grad_())
    old = DiagonalGaussian(old_mean, old_log_std)
    weights = torch.randn(2, 2, 9, generator=generator, dtype=torch.float64)
    results = []
    for log_prob, kl in (new.compare(actions, old), (new.log_prob(actions), new.kl_from(old))):
        total = (weights[0] * log_prob + weights[1] * kl).sum()
        results.append([log_prob, kl, *torch.autograd.grad(total, (new.mean, new.log_std))])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_categorical_against_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, old_logits = torch.randn(2, 3, 7, 5, generator=generator, dtype=torch.float64)
    new, old = Categorical(logits), Categorical(old_logits)
    their_new, their_old = TorchCategorical(logits=logits), TorchCategorical(logits=old_logits)
    actions = their_new.sample()
    torch.testing.assert_close(new.log_prob(actions), their_new.log_prob(actions))
    torch.testing.assert_close(new.entropy(), their_new.entropy())
    torch.testing.assert_close(new.kl_from(old), kl_divergence(their_old, their_new))


def test_categorical_samples_have_their_probabilities() -> None:
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.3])
    logits = probabilities.log().expand(1, 100_000, 4)
    noise = torch.from_numpy(np.random.default_rng(0).random((1, 100_000), np.float32))
    drawn = Categorical(logits).sample(noise)
    frequencies = torch.bincount(drawn.flatten(), minlength=4) / 100_000
    torch.testing.assert_close(frequencies, probabilities, atol=0.006, rtol=0)
    edges = Categorical(torch.zeros(1, 2, 4)).sample(torch.tensor([[0.0, 1.0 - 2**-24]]))
    assert edges.tolist() == [[0, 3]]


def test_every_yaml_of_the_group_has_a_function_and_the_reverse() -> None:
    assert kinds() == sorted(objectives.SURROGATES)


def test_scalars_that_a_function_does_not_take_are_refused(config: Compose) -> None:
    for objective in ({"kind": "clip"}, {"kind": "none", "epsilon": 0.2}):
        with pytest.raises(ConfigError, match=r"objective\.kind=.*takes"):
            packed_objectives.PackedSurrogate([objective], CPU)
    with pytest.raises(ConfigError, match=r"repro/learning/objectives\.py"):
        packed_objectives.PackedSurrogate([{"kind": "nowhere"}], CPU)


def test_table_1_has_the_papers_eleven_settings(config: Compose) -> None:
    names = sorted(path.stem for path in (CONF_DIR / "objective/table1").glob("*.yaml"))
    labels = [config("env=hopper", f"objective=table1/{name}").objective_label for name in names]
    assert labels == names and len(names) == 11
