"""What is searched: overrides with several values, as Optuna's distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hydra.core.override_parser.types import IntervalSweep, Override
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from repro.config import grammar
from repro.errors import ConfigError

Distribution = FloatDistribution | IntDistribution | CategoricalDistribution

EXAMPLE = "'algorithm.learning_rate=tag(log,interval(1e-5,1e-2))'"


class Space(NamedTuple):
    """What overrides ask for.

    Attributes:
        fixed: those that all trials share.
        distributions: key -> where its values come from.
    """

    fixed: list[str]
    distributions: dict[str, Distribution]

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """The overrides of a trial with these values, besides `fixed`."""
        return [f"{key}={values[key]}" for key in self.distributions]

    def ends(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The lowest values and the highest: of a choice, the first and the last."""
        pairs = {
            key: (each.choices[0], each.choices[-1])
            if isinstance(each, CategoricalDistribution)
            else (each.low, each.high)
            for key, each in self.distributions.items()
        }
        first, last = ({key: pair[place] for key, pair in pairs.items()} for place in (0, 1))
        return first, last


def read(given: Sequence[str]) -> Space:
    """Split overrides into those that are fixed and those that are searched.

    `interval(a,b)` is searched as real numbers, `int(interval(a,b))` as whole ones,
    `tag(log,interval(a,b))` on a logarithmic scale, and any other sweep as a choice.

    Raises:
        ConfigError: nothing is searched, or a range is impossible.
    """
    lines = grammar.spelled_out(given)
    parsed = grammar.parse(lines)
    grammar.refuse_empty(parsed)
    fixed, distributions = list[str](), dict[str, Distribution]()
    for line, override in zip(lines, parsed, strict=True):
        key = override.key_or_group
        if key == "seed":
            raise ConfigError(f"{line}: a trial is a mean over seeds, so say --seeds 0,1,2.")
        if not override.is_sweep_override():
            fixed.append(line)
        elif key in distributions or override.is_hydra_override():
            raise ConfigError(f"{line}: {key} cannot be searched, or is searched twice.")
        else:
            distributions[f"{'+' * _pluses(override)}{key}"] = _distribution(override)
    if not distributions:
        raise ConfigError(f"Nothing is searched: give a key several values, such as {EXAMPLE}.")
    return Space(fixed, distributions)


def _pluses(override: Override) -> int:
    return 2 if override.is_force_add() else int(override.is_add())


def _distribution(override: Override) -> Distribution:
    sweep, line = override.value(), override.input_line
    if not isinstance(sweep, IntervalSweep):
        return CategoricalDistribution(tuple(dict.fromkeys(override.sweep_string_iterator())))
    unknown = sweep.tags - {"log"}
    if unknown:
        raise ConfigError(f"{line}: {', '.join(sorted(unknown))} is no tag here: it can be log.")
    low, high, log = sweep.start, sweep.end, "log" in sweep.tags
    assert low is not None and high is not None
    try:
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=log)
        return FloatDistribution(float(low), float(high), log=log)
    except ValueError as error:
        raise ConfigError(f"{line} is no range to search: {error}") from error
