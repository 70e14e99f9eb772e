"""One tiny pipeline for all tests of this room: a base model and a reward model."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.language import compose
from repro.language.config import LanguageConfig
from repro.sweeps import sweep
from tests.helpers.language import TINY, Tiny


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds the parents of tiny runs."""
    runs_dir = tmp_path_factory.mktemp("language")
    grid = compose.compose([*TINY, f"runs_dir={runs_dir}"])
    for configs in list(compose.stages(grid.configs))[:-1]:
        sweep.train_one(configs[0])
    return runs_dir


@pytest.fixture
def tiny(pipeline: Path) -> Tiny:
    """Configurations whose parents are trained."""

    def make(*given: str) -> LanguageConfig:
        return compose.compose([*TINY, f"runs_dir={pipeline}", *given]).configs[0]

    return make
