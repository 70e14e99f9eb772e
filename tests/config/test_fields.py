"""A key's range and choices stand on its field, and every field of every section is checked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import pytest

from repro import envs
from repro.config.algorithms import SETTINGS
from repro.config.compose import compose
from repro.config.fields import allows, within
from repro.config.schema import Config, EnvConfig
from repro.config.validation import validate
from repro.errors import ConfigError
from tests.helpers.configs import with_value

LINES = ["env=atari env.game=pong", *(f"env=hopper algorithm={name}" for name in SETTINGS)]
# Names that somebody gives, rather than one of a few choices.
FREE = ("name", "id", "version", "game", "project", "runs_dir", "budget", "experiment")
# Range -> numbers at its edges that it has, and numbers that it has not.
EDGES: dict[str, tuple[list[float], list[float]]] = {
    "finite": ([-1e300, 0, 1e300], []),
    "above 0": ([1e-300, 1], [0, -1]),
    "0 or more": ([0, 1], [-1e-300]),
    "1 or more": ([1, 2], [0, 0.999]),
    "2 or more": ([2, 3], [1]),
    "in [0, 1]": ([0, 1], [-0.001, 1.001]),
    "in [0, 1)": ([0, 0.999], [-0.001, 1]),
    "above 0 and below 1": ([0.001, 0.999], [0, 1]),
    "above 0 and at most 1": ([0.001, 1], [0, 1.001]),
}


def keys(section: Any, path: str = "") -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    for each in dataclasses.fields(section):
        value = getattr(section, each.name)
        if dataclasses.is_dataclass(value):
            yield from keys(value, f"{path}{each.name}.")
        else:
            yield path + each.name, each


def refused(config: Config, key: str, value: object) -> str:
    with pytest.raises(ConfigError) as refusal:
        validate(with_value(config, key, value))
    assert f"{key}=" in str(refusal.value) and str(refusal.value).endswith(".")
    return str(refusal.value)


@pytest.mark.parametrize("line", LINES)
def test_every_field_is_checked_under_its_dotted_key(line: str) -> None:
    config = compose(*line.split())
    seen = list(keys(config))
    for key, each in seen:
        kind = str(each.type).removesuffix(" | None")
        if kind in ("int", "float"):
            refused(config, key, math.nan)
            for wrong in EDGES[each.metadata["range"]][1]:
                refused(config, key, wrong)
        elif kind == "str" and (each.metadata or each.name not in FREE):
            assert "it can be" in refused(config, key, "nothing of the kind")
        elif kind.startswith("list"):
            refused(config, key, [8, 0])
        if str(each.type).endswith("| None") and not key.startswith("env."):
            validate(with_value(config, key, None))
    assert len(seen) > 55 and {"seed", "recipe.value_clip_schedule", "checkpoint.keep"} <= {
        key for key, _ in seen
    }


def test_ranges_are_what_their_words_say() -> None:
    for meaning, (inside, outside) in EDGES.items():
        assert all(allows(meaning, x) for x in inside), meaning
        assert not any(allows(meaning, x) for x in outside), meaning
    with pytest.raises(ValueError, match="no range"):
        within("positive")


def test_backends_are_those_that_there_are() -> None:
    (backend,) = (each for each in dataclasses.fields(EnvConfig) if each.name == "backend")
    assert set(backend.metadata["choices"]) == set(envs.BACKENDS)
