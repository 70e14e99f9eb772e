"""The one search for the name that a wrong one is most like."""

from __future__ import annotations

import pytest

from repro.config.keys import unknown_key
from repro.config.names import nearest, nearest_key

KEYS = ["env.num_envs", "algorithm.horizon", "algorithm.gamma", "recipe.name", "env.name", "seed"]


@pytest.mark.parametrize(
    ("name", "match"),
    [("hoper", "hopper"), ("HOPPER", "hopper"), ("hopper", "hopper"), ("xyz", None), ("", None)],
)
def test_a_name(name: str, match: str | None) -> None:
    hint = nearest(name, ["walker2d", "hopper", "reacher"])
    assert hint == (f" (did you mean {match}?)" if match else "")


def test_of_two_equally_like_one_is_proposed() -> None:
    assert nearest("ppo3", ["ppo1", "ppo2"]) == nearest("ppo3", ["ppo2", "ppo1"]) != ""


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("horizon", "algorithm.horizon"),
        ("algorithm.horzion", "algorithm.horizon"),
        ("optimizer.gamma", "algorithm.gamma"),
        ("gama", "algorithm.gamma"),
        ("recipe.nam", "recipe.name"),
        ("env.nam", "env.name"),
        ("sed", "seed"),
        ("foo.bar", None),
    ],
)
def test_a_key_is_found_by_its_last_part_and_then_by_its_section(
    key: str, match: str | None
) -> None:
    assert nearest_key(key, KEYS) == match


def test_a_section_is_no_key() -> None:
    assert unknown_key("checkpoint").startswith("checkpoint is a section: set one of its keys")
