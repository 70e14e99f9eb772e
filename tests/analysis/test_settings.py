"""Settings: what a notebook gives in place of options, refused in the same way."""

from __future__ import annotations

import argparse

import pytest

from analysis import cli
from analysis.errors import AnalysisError
from analysis.settings import DEFAULTS, Settings


@pytest.mark.parametrize(
    ("name", "message"),
    [("best", "best is drunk: choose one of run, mean."), ("random", "choose one of gaussian, ")],
)
def test_an_unknown_convention_is_one_sentence(name: str, message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        Settings(**{name: "drunk"})


def test_options_without_values_are_the_defaults() -> None:
    parser = argparse.ArgumentParser()
    for add in (cli.BOOTSTRAP, cli.REFERENCE, cli.SCALE):
        add(parser)
    assert parser.parse_args([], cli.Given()).settings == DEFAULTS
    given = parser.parse_args(["--best", "mean", "--seed", "3", "--episodes", "7"], cli.Given())
    assert given.settings == Settings(best="mean", seed=3, episodes=7)
