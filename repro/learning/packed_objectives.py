"""The surrogates of a pack's P learners, of one kind or of several, as one function."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from repro.config import objectives as declared
from repro.errors import ConfigError
from repro.learning.objectives import (
    FORMS,
    SURROGATES,
    Scalars,
    Surrogate,
    adapt_beta,
    bounded,
)

CHECKED_SAMPLES = 300  # at which a form is compared with its function


class UpdateSurrogate:
    """The surrogates in one update: `(ratio, advantages, kl) -> terms`, [P, M] each.

    Attributes:
        bounds: `low`, `high` and `beta` of `bounded`, [P, 1] each; None for kinds without a form.
    """

    def __init__(self, kinds: Sequence[str], scalars: Sequence[Scalars], device: torch.device):
        """Take the kind and the scalars in force of each learner."""
        self._device = device
        if all(kind in FORMS for kind in kinds):
            self._function: Surrogate = bounded
            forms = [FORMS[kind](own)._asdict() for kind, own in zip(kinds, scalars, strict=True)]
            self.bounds: dict[str, Tensor] | None = self._columns(forms)
            self._scalars = self.bounds
        else:  # a pack of one kind
            self._function, self.bounds = SURROGATES[kinds[0]], None
            self._scalars = self._columns(scalars)

    def _columns(self, rows: Sequence[Scalars]) -> dict[str, Tensor]:
        """[P, 1] each, from a mapping a learner; NaN where a learner lacks what others have."""
        names = dict.fromkeys(name for row in rows for name in row)
        return {
            name: torch.tensor(
                [[row.get(name, math.nan)] for row in rows], device=self._device
            ).float()
            for name in names
        }

    def __call__(self, ratio: Tensor, advantages: Tensor, kl: Tensor) -> Tensor:
        """Terms to be maximized."""
        return self._function(ratio, advantages, kl, **self._scalars)

    def held(self, hold: Callable[[str, Tensor], Tensor]) -> UpdateSurrogate:
        """The same terms, from scalars that `hold(name, scalar)` returns."""
        other = copy.copy(self)
        other._scalars = {name: hold(name, x) for name, x in self._scalars.items()}
        return other

    def clipped(self, ratio: Tensor) -> Tensor:
        """1 where a ratio is outside of the clip range, else 0; NaN for kinds without a form."""
        if self.bounds is None:
            return torch.full_like(ratio, math.nan)
        return ((ratio < self.bounds["low"]) | (ratio > self.bounds["high"])).float()


class PackedSurrogate:
    """The surrogates of P learners, and the coefficients that adapt.

    Attributes:
        beta: coefficients of the KL penalty in force, [P] float64 on the CPU; NaN for none.
        target_kl: d_targ, [P] likewise; NaN where beta is fixed.
        has_form: whether every learner's surrogate is a case of `bounded`.
    """

    def __init__(self, objectives: Sequence[Mapping[str, float | str]], device: torch.device):
        """Take one mapping a learner: `kind`, and its scalars.

        Raises:
            ConfigError: an unknown kind, scalars that its function does not take, or a form that
                is not its function's.
        """
        self._device = device
        self._kinds = [str(objective["kind"]) for objective in objectives]
        self._scalars = [
            {name: float(value) for name, value in objective.items() if name != "kind"}
            for objective in objectives
        ]
        for kind, scalars in zip(self._kinds, self._scalars, strict=True):
            _check_scalars(kind, scalars)
            check_form(kind, scalars)
        self.beta, self.target_kl = self._column("beta"), self._column("target_kl")
        self._limits = self._column("beta_min"), self._column("beta_max")
        self._scheduled = [
            [name for name in own if name in known and known[name].scheduled]
            for own, known in zip(self._scalars, map(declared.scalars, self._kinds), strict=True)
        ]
        self.has_form = all(kind in FORMS for kind in self._kinds)

    def prepare(self, epsilon_scale: Sequence[float]) -> UpdateSurrogate:
        """The surrogates of one update.

        Args:
            epsilon_scale: [P], the factor by which its schedule scales clip ranges.
        """
        scalars = [
            own
            | {name: own[name] * scale for name in scheduled}
            | ({"beta": beta} if "beta" in own else {})
            for own, scheduled, scale, beta in zip(
                self._scalars, self._scheduled, epsilon_scale, self.beta.tolist(), strict=True
            )
        ]
        return UpdateSurrogate(self._kinds, scalars, self._device)

    def adapt(self, kl: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
        """Section 4, after an update whose mean KL was d = `kl`, [P]."""
        self.beta = adapt_beta(self.beta, torch.from_numpy(kl), self.target_kl, *self._limits)

    @property
    def epsilon(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """The first scalar of each learner that a schedule scales, before it does; NaN for none."""
        pairs = zip(self._scalars, self._scheduled, strict=True)
        return np.array([own[names[0]] if names else math.nan for own, names in pairs])

    def _column(self, name: str) -> Tensor:
        """[P], float64 on the CPU: a scalar of each learner, NaN where it has none."""
        return torch.tensor([own.get(name, math.nan) for own in self._scalars], dtype=torch.float64)

    def checkpoint(self, learner: int) -> float | None:
        """A learner's beta where it adapts; elsewhere the configuration has it."""
        return None if math.isnan(self.target_kl[learner]) else float(self.beta[learner])

    def restore(self, learner: int, beta: float | None) -> None:
        """Put back what `checkpoint` returned."""
        if beta is not None:
            self.beta[learner] = beta


def pack_family(objective: Mapping[str, float | str]) -> str:
    """Objectives of one family can share a pack: all with a `Form`, or all of one other kind."""
    kind = str(objective["kind"])
    return "bounded" if kind in FORMS else kind


def check_form(kind: str, scalars: Scalars) -> None:
    """Compare a surrogate's form, if it has one, with its function: terms and gradients.

    Raises:
        ConfigError: they differ at one of `CHECKED_SAMPLES` random samples.
    """
    if kind not in FORMS:
        return
    rng = np.random.default_rng(0)
    samples = torch.from_numpy(
        np.stack(
            [
                np.exp(rng.normal(0, 0.5, CHECKED_SAMPLES)),  # ratios, most within 0.4 to 2.7
                rng.standard_normal(CHECKED_SAMPLES),
                rng.exponential(0.1, CHECKED_SAMPLES),
            ]
        )[:, None]
    )
    own = {name: torch.tensor([[value]], dtype=torch.float64) for name, value in scalars.items()}
    form = FORMS[kind](scalars)._asdict()
    bounds = {name: torch.tensor([[value]], dtype=torch.float64) for name, value in form.items()}
    found, expected = (
        _terms_and_gradient(function, samples, values)
        for function, values in ((bounded, bounds), (SURROGATES[kind], own))
    )
    if not torch.allclose(found, expected, rtol=1e-9, atol=1e-12):
        raise ConfigError(
            f"objective.kind={kind}: the function `{kind}` in repro/learning/objectives.py is not "
            f"what its form computes, {form}: change the form above it too, or remove it "
            "(@surrogate()) to train by the function itself."
        )


def _terms_and_gradient(
    function: Surrogate, samples: Tensor, scalars: Mapping[str, Tensor]
) -> Tensor:
    """The terms, and their derivatives by ratio, advantage and KL: [4, 1, M]."""
    samples = samples.clone().requires_grad_()
    terms = function(*samples, **scalars)
    (gradient,) = torch.autograd.grad(terms.sum(), samples)
    return torch.cat([terms.detach()[None], gradient])


def _check_scalars(kind: str, scalars: Scalars) -> None:
    if kind not in SURROGATES:
        raise ConfigError(
            f"objective.kind={kind} has a YAML in conf/objective but no function in "
            "repro/learning/objectives.py: add one under @surrogate."
        )
    parameters = list(inspect.signature(SURROGATES[kind]).parameters.values())[3:]
    accepted = [each.name for each in parameters]
    needed = {each.name for each in parameters if each.default is inspect.Parameter.empty}
    if not needed <= scalars.keys() <= set(accepted):
        raise ConfigError(
            f"objective.kind={kind} takes {', '.join(accepted) or 'no scalars'}, not "
            f"{', '.join(scalars) or 'none'}: correct conf/objective/{kind}.yaml or the overrides."
        )
