"""The command: stages, resuming to the last bit, and one sentence on bad input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from repro import again, status
from repro.errors import PreemptedError
from repro.language import __main__ as command
from repro.language import compose, sample
from repro.language.config import LanguageConfig
from repro.language.stage import Record, Stage
from repro.runs import checkpoint, store
from repro.training import pack
from tests.helpers.bits import assert_equal_bits
from tests.helpers.language import TINY, Tiny, left, moved

REST = ("pretrain", "best_of_n", "sft")
STAGES = ("ppo", "reward", *(pytest.param(name, marks=pytest.mark.slow) for name in REST))


@pytest.mark.parametrize("stage", STAGES)
def test_f1_a_killed_run_ends_with_the_bits_of_one_that_was_not(
    tiny: Tiny, stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = (
        f"stage={stage}",
        "kl=adaptive",
        "objective=kl_adaptive",
        "recipe.value_network=separate",
    )
    whole = tiny(*line, "checkpoint.every_seconds=0", "checkpoint.max_share=1")
    given = [*moved(whole, tmp_path), *line]
    pack.run_pack([whole])
    (config,) = compose.compose(given).configs
    with monkeypatch.context() as patch:
        patch.setattr(Stage, "__iter__", _killed_after_one)
        with pytest.raises(PreemptedError):
            pack.run_pack([config])
    assert store.read_run(config.directory)["status"] == store.PREEMPTED
    assert checkpoint.iterations(config.directory) == [1]
    (ended,) = pack.run_pack([config])
    assert ended.status == store.DONE, ended.error
    (resumed,) = store.read_run(config.directory)["resumed"]
    assert resumed["exact"] and resumed["iteration"] == 1
    assert_equal_bits(left(whole.directory), left(config.directory))


def _killed_after_one(stage: Stage) -> Iterator[Record]:
    yield stage.iterate()
    raise PreemptedError("SIGTERM")


def test_f27_each_saved_field_matters(tiny: Tiny) -> None:
    from repro.language.training import Training

    config = tiny("kl=adaptive", "objective=kl_adaptive", "algorithm.total_episodes=48")
    stage = Training([config])
    stage.iterate()
    saved = stage.checkpoint(0)
    expected = _ends(config, saved)
    assert_equal_bits(expected, _ends(config, saved))
    changed = {
        "controller": saved | {"controller": 0.01},
        "beta": saved | {"beta": 9.0},
        "adam": saved | {"adam": saved["adam"] | {"mean": saved["adam"]["mean"] + 1e-3}},
        "parameters": saved | {"parameters": {"flat": saved["parameters"]["flat"] + 1e-3}},
        "streams": saved | {"streams": Training([config]).checkpoint(0)["streams"]},
        "envs": saved | {"envs": Training([config]).checkpoint(0)["envs"]},
    }
    assert {*changed, "iteration", "parents"} == set(saved)
    for name, state in changed.items():
        with pytest.raises(AssertionError):
            assert_equal_bits(expected, _ends(config, state))
            pytest.exit(f"{name} is saved, but nothing depends on it")


def _ends(config: LanguageConfig, state: dict[str, object]) -> dict[str, object]:
    from repro.language.training import Training

    stage = Training([config])
    stage.restore(0, state)
    for record in stage:
        metrics = {name: x.copy() for name, x in record.metrics.items()}
    return metrics | stage.state(0)


def test_a_run_refuses_to_go_on_from_another_base_model(tiny: Tiny) -> None:
    from repro.errors import ConfigError
    from repro.language.training import Training

    stage = Training([tiny()])
    state = stage.checkpoint(0)
    state["parents"] = state["parents"] | {"reward": "0" * 64}
    with pytest.raises(ConfigError, match="began from another reward model"):
        stage.restore(0, state)


def test_one_command_trains_what_is_missing_and_sweeps(tmp_path: Path) -> None:
    place = f"runs_dir={tmp_path}"
    line = [*TINY, place, "hydra.launcher.backend=serial", "kl.beta=0,0.1"]
    assert command.run(["-m", *line]) == 0
    runs = [store.read_run(run) for run in store.run_directories(tmp_path)]
    assert sorted(run["stage"] for run in runs) == ["ppo", "ppo", "pretrain", "reward"]
    assert {run["status"] for run in runs} == {store.DONE}
    assert {run.get("pack_size") for run in runs if run["stage"] == "ppo"} == {2}
    samples = store.read_table(next(tmp_path.glob("*ppo*/samples.parquet")))
    assert (samples.loc[samples.position < 0, "kl"].isna()).all()
    assert command.run(["-m", *line]) == 0  # done before
    assert status.run([str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("kl.betta=1", "did you mean kl.beta?"),
        ("recipe=trll", "did you mean trl?"),
        ("kl.beta=-1", "kl.beta=-1.0 must be 0 or more"),
        ("stage=pretrian", "stage=pretrian is not"),
        ("algorithm.minibatches=3", "does not divide algorithm.batch_size=128"),
        ("algorithm.advantage=rloo", "say algorithm.group_size=4"),
        ("kl.place=loss", "kl.place=loss needs kl.estimator=k3"),
        ("model=table", "text=oracle and model=table go together"),
        ("kl.beta=0,1", "add -m"),
        ("experiment=rlhf", "must be written as +experiment=rlhf"),
    ],
)
def test_f11_bad_input_is_one_sentence(
    given: str, sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command.run([given, f"runs_dir={tmp_path / 'none'}"]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_a_run_of_an_earlier_version_is_refused_in_a_sentence(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny("algorithm.total_episodes=16")
    (given,) = compose.compose([*moved(config, tmp_path), "algorithm.total_episodes=16"]).configs
    pack.run_pack([given])
    path = given.directory / "config.yaml"
    values = store.read_config(given.directory)
    values["recipe"]["whiten_advantages"] = values["algorithm"].pop("whiten_advantages")
    path.write_text(yaml.safe_dump(values))
    capsys.readouterr()
    for run in (sample.run, again.run):
        assert run([str(given.directory)]) == 2
        error = capsys.readouterr().err
        assert f"{given.directory} is a run of an earlier version" in error
        assert "under another runs_dir" in error and error.count("\n") == 1
    assert command.run([*TINY, f"runs_dir={tmp_path}", "algorithm.total_episodes=16"]) != 0
    error = capsys.readouterr().err
    assert "where an earlier version of repro wrote it, train the run again" in error
