"""Fixtures shared by the tests."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra._internal.hydra import Hydra

from tests.helpers.cli import Cli
from tests.helpers.configs import Compose, compose
from tests.helpers.learners import Learners, make_learners

torch.set_num_threads(1)
# A shell starts what it puts in the background deaf to Ctrl-C, and nohup to the terminal's end.
# Both are inherited, and respected; the tests are of processes that listen.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for the tests of pages."""
    sync = pytest.importorskip("playwright.sync_api", reason="pip install -e '.[browser]'")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed: apt install chromium")
    with sync.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def config() -> Compose:
    return compose


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
    # Hydra would compose everything once more, only to look for `hydra.mode`, which nothing sets.
    monkeypatch.setattr(Hydra, "get_mode", lambda *_, **__: None)
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return Cli(directory, capsys)
