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

import numpy as np
import psutil
import pytest

from analysis.statistics.scoring import run_return
from repro.config.schema import Config
from repro.errors import ConfigError
from repro.runs import provenance, schema, store
from repro.training import loggers, metrics
from tests.helpers.cli import Cli
from tests.helpers.configs import Compose
from tests.helpers.tiny import STEPS, tiny, train

wandb = pytest.importorskip("wandb")
pytest.importorskip("tensorboard")

ROW = dict.fromkeys(schema.PROGRESS, None) | {
    "iteration": 1,
    "step": 2048,
    "kl": 0.01,
    "surrogate": 3.0,
    "value_loss": 5.0,
    "std": math.nan,
    "time_env": 0.75,
    "time_forward": 0.25,
    "time_update": 0.0,
    "time_other": 0.0,
}
EPISODES = {"return": [1.0, 2.0], "length": [10, 20]}
SHOWN = {
    "charts/episodic_return": 1.5,
    "charts/episodic_length": 15,
    "charts/SPS": 2048,
    "charts/iteration": 1,
    "global_step": 2048,
    "losses/approx_kl": pytest.approx(0.01),
    "losses/policy_loss": -3.0,  # CleanRL minimizes
    "losses/value_loss": 2.5,  # and halves
    "time/env": 0.75,
    "time/forward": 0.25,
    "time/update": 0,
    "time/other": 0,
}


def row(iteration: int, **values: Any) -> dict[str, Any]:
    return ROW | {"iteration": iteration, "step": 2048 * iteration} | values


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No API key, no user settings, and a proxy that lets nothing out."""
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    # Compiled kernels are kept there, which take half a minute of a busy machine.
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
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
    task = ("env=hopper", "logger=wandb", "recipe=ppo1")
    configs = [config(*task, f"seed={seed}") for seed in range(3)]
    for each in configs:
        each.experiment = "study"
    directories = [tmp_path / each.run_id for each in configs]
    for directory in directories:
        directory.mkdir()
    opened = [loggers.open_logger(*pair) for pair in zip(configs, directories, strict=True)]
    for iteration in (1, 2):
        for number, logger in enumerate(opened):
            logger.log(row(iteration, kl=number), EPISODES)
    for logger, status in zip(opened, (store.DONE, store.FAILED, store.DONE), strict=True):
        logger.close(status)
    assert not services(), "its service ends with the last run"

    for number, (each, directory) in enumerate(zip(configs, directories, strict=True)):
        (path,) = directory.glob("wandb/offline-run-*/*.wandb")
        rows = [{k: v for k, v in each.items() if k[0] != "_"} for each in history(path)]
        own = SHOWN | {"losses/approx_kl": number}
        last = {"charts/iteration": 2, "global_step": 4096}
        assert rows == [own, own | last]
        assert [each["_step"] for each in history(path)] == [2048, 4096]
        (run,) = [record.run for record in records(path) if record.HasField("run")][:1]
        assert run.run_id == run.display_name == each.run_id and run.project == "ppo-repro"
        settings = {item.key: json.loads(item.value_json) for item in run.config.update}
        assert settings["algorithm"]["gamma"] == 0.99
        flat = {"env_id": "Hopper-v4", "exp_name": "ppo_clip_0.2", "seed": number}
        assert settings | flat == settings
        assert run.job_type == "train" and run.run_group == metrics.group(configs[0])
        revision = str(provenance.machine()["git_revision"])
        assert list(run.tags[:2]) == ["study", "ppo1"]
        assert revision == "None" or run.tags[2].split("-")[0] == revision[:10]
        (end,) = [record.exit for record in records(path) if record.HasField("exit")]
        assert end.exit_code == (1 if number == 1 else 0)


def test_wandb_is_quiet(config: Compose, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logger = loggers.open_logger(config("env=hopper", "logger=wandb"), tmp_path)
    logger.log(ROW, EPISODES)
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


def averages(run: Path) -> dict[str, list[float]]:
    """What a run's tables say of the metrics that average them, by iteration."""
    progress = store.read_run_table(run, "progress")
    episodes = store.read_run_table(run, "episodes")
    assert len(episodes) > 100
    last = [
        episodes[episodes["iteration"] <= iteration].tail(100)
        for iteration in progress["iteration"]
    ]
    seconds = progress.filter(like="time_").sum(axis=1).cumsum()
    return {
        "charts/episodic_return": [float(each["return"].mean()) for each in last],
        "charts/episodic_length": [float(each["length"].mean()) for each in last],
        "charts/SPS": (progress["step"] / seconds).tolist(),
        "losses/approx_kl": progress["kl"].tolist(),
        "losses/policy_loss": (-progress["surrogate"]).tolist(),
        "charts/iteration": progress["iteration"].tolist(),
    }


def interrupted_twice(tmp_path: Path, logger: str) -> Path:
    """The directory of a run of 40 iterations in which more than 100 episodes end."""
    line = f"env=inverted_double_pendulum total_timesteps={40 * STEPS} logger={logger}"
    run = tiny(tmp_path, line)
    train([run], 3, 30)
    return run.directory


def test_the_wandb_record_of_a_resumed_run_is_whole(tmp_path: Path) -> None:
    run = interrupted_twice(tmp_path, "wandb")
    written = sorted(run.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)
    assert [len(history(path)) for path in written] == [3, 30, 40]
    last = written[-1]
    assert (run / "wandb" / "latest-run").resolve() == last.parent.resolve()
    rows = history(last)
    expected = averages(run)
    for name, values in expected.items():
        assert [each[name] for each in rows] == pytest.approx(values, rel=1e-12), name
    steps = store.read_run_table(run, "progress")["step"].tolist()
    assert [each["_step"] for each in rows] == [each["global_step"] for each in rows] == steps
    score = run_return(store.read_run_table(run, "episodes")["return"].to_numpy())
    assert rows[-1]["charts/episodic_return"] == pytest.approx(score, rel=1e-12)
    ids = {each.run.run_id for path in written for each in records(path) if each.HasField("run")}
    assert ids == {run.name}


def test_tensorboard_reads_a_resumed_run_as_one(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import api_pb2

    run = interrupted_twice(tmp_path, "tensorboard")
    assert len(list(run.glob("events.out.*"))) == 3
    logged = events(run)
    steps = store.read_run_table(run, "progress")["step"].tolist()
    for name, values in averages(run).items():
        found = logged.Scalars(name)
        assert [each.step for each in found] == steps
        assert [each.value for each in found] == pytest.approx(values, rel=1e-6), name
    start, end = hyperparameters(logged)
    assert start["algorithm.gamma"].number_value == 0.99
    assert start["objective.epsilon"].number_value == 0.2
    assert start["policy.hidden_sizes"].string_value == "[8, 8]"
    assert start["env_id"].string_value == "InvertedDoublePendulum-v4"
    assert start["exp_name"].string_value == "ppo_clip_0.2" and start["seed"].number_value == 0
    assert end.status == api_pb2.STATUS_SUCCESS


def events(directory: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(directory))
    found.Reload()
    return found


def hyperparameters(logged: Any) -> tuple[Any, Any]:
    """By name, and how the run ended, as TensorBoard's tab HPARAMS reads them."""
    from tensorboard.plugins.hparams import metadata

    content = logged.PluginTagToContent("hparams")
    start = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
    end = metadata.parse_session_end_info_plugin_data(content[metadata.SESSION_END_INFO_TAG])
    return start.hparams, end


def test_tensorboard_hides_what_an_earlier_attempt_logged_later(
    config: Compose, tmp_path: Path
) -> None:
    chosen = config("env=hopper", "logger=tensorboard")
    before = {name: np.array([value], float) for name, value in row(1).items()}
    first = loggers.open_logger(chosen, tmp_path)
    for iteration in (1, 2, 3):
        first.log(row(iteration), EPISODES)
    first.close(store.PREEMPTED)
    second = loggers.open_logger(chosen, tmp_path, 2048, {"progress": before})
    second.log(row(2, kl=7.0), EPISODES)
    second.close(store.DONE)
    found = [(each.step, each.value) for each in events(tmp_path).Scalars("losses/approx_kl")]
    assert found == [(2048, pytest.approx(0.01)), (4096, 7.0)]
    assert set(events(tmp_path).Tags()["scalars"]) == set(SHOWN) - {"global_step"}


def test_no_logger_leaves_nothing(config: Compose, tmp_path: Path) -> None:
    logger = loggers.open_logger(config("env=hopper"), tmp_path)
    logger.log(ROW, EPISODES)
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
    expected = {
        "losses/approx_kl": table["kl"].tolist(),
        "losses/explained_variance": table["explained_variance"].tolist(),
    }
    if logger == "wandb":
        (path,) = directory.glob("wandb/offline-run-*/*.wandb")
        logged = {name: [each[name] for each in history(path)] for name in expected}
    else:
        found = events(directory)
        logged = {name: [each.value for each in found.Scalars(name)] for name in expected}
    for name, values in expected.items():
        assert logged[name] == pytest.approx(values, rel=1e-6)
    assert {path.parts[0] for path in Path().iterdir()} == {"runs"}
    assert not services()
