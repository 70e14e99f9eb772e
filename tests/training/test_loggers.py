"""Metrics in W&B's own offline files and in TensorBoard's, read back."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from repro.config.schema import Config
from repro.errors import ConfigError
from repro.runs import store
from repro.training import loggers
from tests.helpers.cli import Cli
from tests.helpers.configs import Compose
from tests.helpers.tiny import tiny, train

wandb = pytest.importorskip("wandb")
pytest.importorskip("tensorboard")

METRICS = {"return_mean": 1.5, "kl": 0.01, "iteration": 1, "beta": None, "std": math.nan}
SHOWN = {"return_mean": 1.5, "kl": pytest.approx(0.01), "iteration": 1}


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No API key, no user settings, and a proxy that lets nothing out."""
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def records(path: Path) -> Iterator[Any]:
    """The protocol buffers in a `.wandb` file, which is a LevelDB log behind 7 bytes of its own."""
    from wandb.proto import wandb_internal_pb2

    data, whole, at = path.read_bytes(), b"", 7
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:  # the rest of a block is too short for a header
            at += left
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


def history(path: Path) -> list[dict[str, Any]]:
    """The rows logged."""
    rows = [record.history for record in records(path) if record.HasField("history")]
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in row.item}
        for row in rows
    ]


def services() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "wandb" in " ".join(child.cmdline())]


def test_wandb_keeps_many_runs_apart(config: Compose, tmp_path: Path) -> None:
    configs = [config("env=hopper", "logger=wandb", f"seed={seed}") for seed in range(3)]
    directories = [tmp_path / each.run_id for each in configs]
    for directory in directories:
        directory.mkdir()
    opened = [loggers.open_logger(*pair) for pair in zip(configs, directories, strict=True)]
    for iteration in (1, 2):
        for number, logger in enumerate(opened):
            logger.log(2048 * iteration, METRICS | {"kl": number, "iteration": iteration})
    for logger, status in zip(opened, (store.DONE, store.FAILED, store.DONE), strict=True):
        logger.close(status)
    assert not services(), "its service ends with the last run"

    for number, (each, directory) in enumerate(zip(configs, directories, strict=True)):
        (path,) = directory.glob("wandb/offline-run-*/*.wandb")
        rows = [{k: v for k, v in row.items() if k[0] != "_"} for row in history(path)]
        assert rows == [
            {"return_mean": 1.5, "kl": number, "iteration": iteration} for iteration in (1, 2)
        ]
        assert [row["_step"] for row in history(path)] == [2048, 4096]
        (run,) = [record.run for record in records(path) if record.HasField("run")][:1]
        assert run.run_id == run.display_name == each.run_id and run.project == "ppo-repro"
        settings = {item.key: json.loads(item.value_json) for item in run.config.update}
        assert settings["algorithm"]["gamma"] == 0.99 and settings["seed"] == number
        (end,) = [record.exit for record in records(path) if record.HasField("exit")]
        assert end.exit_code == (1 if number == 1 else 0)


def test_wandb_is_quiet(config: Compose, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logger = loggers.open_logger(config("env=hopper", "logger=wandb"), tmp_path)
    logger.log(1, METRICS)
    logger.close(store.DONE)
    assert capfd.readouterr() == ("", "")


def test_run_ids_that_wandb_refuses_are_changed(config: Compose, tmp_path: Path) -> None:
    chosen = config("env=gymnasium", "env.id=module:Task-v0", "logger=wandb")
    assert ":" in chosen.run_id
    logger = loggers.open_logger(chosen, tmp_path)
    logger.close(store.DONE)
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1


def test_another_wandb_run_of_the_process_stays_open(config: Compose, tmp_path: Path) -> None:
    settings = wandb.Settings(silent=True, console="off")
    own = wandb.init(mode="offline", dir=str(tmp_path), project="own", settings=settings)
    logger = loggers.open_logger(config("env=hopper", "logger=wandb"), tmp_path)
    logger.close(store.DONE)
    assert wandb.run is own and services()
    own.log({"still": 1})
    own.finish()
    wandb.teardown()


def test_the_record_of_a_resumed_run_is_whole(tmp_path: Path) -> None:
    resumed = tiny(tmp_path, "env=reacher logger=wandb")
    train([resumed], 3)
    run = resumed.directory
    table = store.read_run_table(run, "progress")
    written = sorted(run.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)
    assert [len(history(path)) for path in written] == [3, 6]
    last = written[-1]
    assert (run / "wandb" / "latest-run").resolve() == last.parent.resolve()
    for name in ("step", "kl", "return_mean", "iteration", "episodes"):
        logged = [row[name] for row in history(last) if name in row]
        assert logged == pytest.approx(table[name].dropna().tolist(), rel=1e-12)
    assert [row["_step"] for row in history(last)] == table["step"].tolist()
    ids = {
        record.run.run_id for path in written for record in records(path) if record.HasField("run")
    }
    assert ids == {resumed.run_id}


def test_tensorboard(config: Compose, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = loggers.open_logger(config("env=hopper", "logger=tensorboard"), tmp_path)
    for iteration in (1, 2):
        logger.log(2048 * iteration, METRICS | {"iteration": iteration})
    logger.close(store.DONE)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert set(events.Tags()["scalars"]) == set(SHOWN)
    for name, value in (SHOWN | {"iteration": 2}).items():
        last = events.Scalars(name)[-1]
        assert (last.step, last.value) == (4096, value)


def test_no_logger_leaves_nothing(config: Compose, tmp_path: Path) -> None:
    logger = loggers.open_logger(config("env=hopper"), tmp_path)
    logger.log(1, METRICS)
    logger.close(store.DONE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["wandb", "tensorboard"])
def test_a_missing_package_is_named(
    config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    chosen: Config = config("env=hopper", f"logger={name}")
    loggers.check_available(chosen)
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    for check in (loggers.check_available, lambda c: loggers.open_logger(c, tmp_path)):
        with pytest.raises(ConfigError, match=rf"pip install 'ppo-repro\[{name}\]'"):
            check(chosen)


@pytest.mark.parametrize("logger", ["wandb", "tensorboard"])
def test_a_run_logs_what_its_table_holds(cli: Cli, logger: str) -> None:
    done = cli("env=reacher", "budget=smoke", f"logger={logger}", "progress=false")
    assert done.code == 0 and not done.err
    (directory,) = store.run_directories(Path("runs"))
    table = store.read_table(directory / "progress.parquet")
    expected = {"kl": table["kl"].tolist(), "value_loss": table["value_loss"].tolist()}
    if logger == "wandb":
        (path,) = directory.glob("wandb/offline-run-*/*.wandb")
        logged = {name: [row[name] for row in history(path)] for name in expected}
    else:
        logged = {name: values for name, values in scalars(directory).items() if name in expected}
    for name, values in expected.items():
        assert logged[name] == pytest.approx(values, rel=1e-6)
    assert {path.parts[0] for path in Path().iterdir()} == {"runs"}
    assert not services()


def scalars(directory: Path) -> dict[str, list[float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory))
    events.Reload()
    return {name: [e.value for e in events.Scalars(name)] for name in events.Tags()["scalars"]}
