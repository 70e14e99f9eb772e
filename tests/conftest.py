"""Fixtures shared by the tests: configurations are composed from the real `conf/`."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from repro.algorithms import ALGORITHMS
from repro.config.compose import compose as compose_config
from repro.config.schema import Config
from repro.envs import make
from tests.helpers.cli import Cli

torch.set_num_threads(1)
# A shell starts what it puts in the background deaf to Ctrl-C, and nohup to the terminal's end.
# Both are inherited, and respected; the tests are of processes that listen.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

Compose = Callable[..., Config]
Learners = Callable[[Sequence[Config]], Any]


def make_learners(configs: Sequence[Config]) -> Any:
    """A pack of the algorithm that the configurations name, ready to iterate."""
    env = configs[0].env
    envs = make(env.id, env.backend, len(configs) * env.num_envs, env.atari)
    return ALGORITHMS[configs[0].algorithm.name](configs, envs, torch.device("cpu"))


@pytest.fixture
def config() -> Compose:
    return compose_config


@pytest.fixture
def learners() -> Learners:
    return make_learners


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command line in an empty directory, where the tests' own environments can be imported."""
    folder = Path(__file__).parent / "helpers"
    paths = (str(folder.parents[1]), str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.syspath_prepend(str(folder))
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return Cli(directory, capsys)
