"""The surrogates of a pack's P learners, of one kind or of several, as one function."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from repro.errors import ConfigError
from repro.learning.objectives import FORMS, SURROGATES, Form, Surrogate, bounded


class PackedSurrogate:
    """The surrogates of P learners as one function of [P, M] tensors."""

    def __init__(self, objectives: Sequence[Mapping[str, float | str]], device: torch.device):
        """Take one mapping a learner: `kind`, and its scalars.

        Raises:
            ConfigError: an unknown kind, or scalars that its function does not take.
        """
        self.kinds = [str(objective["kind"]) for objective in objectives]
        self.scalars = [
            {name: float(value) for name, value in objective.items() if name != "kind"}
            for objective in objectives
        ]
        for kind, scalars in zip(self.kinds, self.scalars, strict=True):
            _check_scalars(kind, scalars)
        self.device = device

    def prepare(self, epsilon_scale: Sequence[float], beta: Tensor) -> Surrogate:
        """The function of one update: `(ratio, advantages, kl) -> [P, M]`.

        Args:
            epsilon_scale: [P], the schedule's factor of every `epsilon`.
            beta: [P], the coefficients in force.
        """
        columns = self.bounds(epsilon_scale, beta)
        function: Surrogate = bounded
        if columns is None:
            scalars = self._scalars(epsilon_scale, beta)
            columns = {name: self._tensor([own[name] for own in scalars]) for name in scalars[0]}
            function = SURROGATES[self.kinds[0]]
        tensors = columns
        return lambda ratio, advantages, kl: function(ratio, advantages, kl, **tensors)

    def bounds(self, epsilon_scale: Sequence[float], beta: Tensor) -> dict[str, Tensor] | None:
        """`bounded`'s scalars of one update, [P, 1] each; None for kinds without a `Form`."""
        if not self.has_form:
            return None
        scalars = self._scalars(epsilon_scale, beta)
        forms = [FORMS[kind](own) for kind, own in zip(self.kinds, scalars, strict=True)]
        return {name: self._tensor([getattr(f, name) for f in forms]) for name in Form._fields}

    @property
    def has_form(self) -> bool:
        """Whether every learner's surrogate is a case of `bounded`."""
        return all(kind in FORMS for kind in self.kinds)

    def _scalars(self, epsilon_scale: Sequence[float], beta: Tensor) -> list[dict[str, float]]:
        return [
            own
            | ({"epsilon": own["epsilon"] * scale} if "epsilon" in own else {})
            | ({"beta": float(b)} if "beta" in own else {})
            for own, scale, b in zip(self.scalars, epsilon_scale, beta.tolist(), strict=True)
        ]

    def _tensor(self, column: list[float]) -> Tensor:
        return torch.tensor(column, dtype=torch.float32, device=self.device)[:, None]

    def clip_bounds(self, epsilon_scale: Sequence[float]) -> tuple[Tensor, Tensor]:
        """[P, 1] each: the ratios outside of which a sample counts as clipped."""
        bounds = [
            FORMS[kind](own | {"epsilon": own.get("epsilon", 0.0) * scale})[:2]
            if kind in FORMS
            else (0.0, math.inf)
            for kind, own, scale in zip(self.kinds, self.scalars, epsilon_scale, strict=True)
        ]
        low, high = torch.tensor(bounds, dtype=torch.float32, device=self.device).T
        return low[:, None], high[:, None]

    def column(self, name: str, absent: float = math.nan) -> Tensor:
        """[P], float64 on the CPU: a scalar of each learner, `absent` where it has none."""
        return torch.tensor([own.get(name, absent) for own in self.scalars], dtype=torch.float64)


def pack_family(objective: Mapping[str, float | str]) -> str:
    """Objectives of one family can share a pack: all with a `Form`, or all of one other kind."""
    kind = str(objective["kind"])
    return "bounded" if kind in FORMS else kind


def _check_scalars(kind: str, scalars: Mapping[str, float]) -> None:
    if kind not in SURROGATES:
        raise ConfigError(
            f"objective.kind={kind} has a YAML in conf/objective but no function in "
            "repro/learning/objectives.py: add one under @surrogate."
        )
    accepted = list(inspect.signature(SURROGATES[kind]).parameters)[3:]
    if sorted(accepted) != sorted(scalars):
        raise ConfigError(
            f"objective.kind={kind} takes {', '.join(accepted) or 'no scalars'}, not "
            f"{', '.join(scalars) or 'none'}: correct conf/objective/{kind}.yaml or the overrides."
        )
