"""Episodes that never end, values that float32 cannot hold, and the caller's threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from repro import evaluate
from repro.errors import NumericalError
from repro.evaluation import episodes, evaluations, videos
from repro.runs import store
from repro.training import group
from tests.helpers.cli import Cli
from tests.helpers.finished_runs import finish, single

TASKS = "env=gymnasium recipe=sb3 env.id=tests.helpers.tasks:"


def test_an_episode_without_an_end_is_cut_off_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finish(tmp_path, f"{TASKS}Endless-v0")
    told = capsys.readouterr().err
    assert told == f"{run.run_id}: no episode has ended in {run.info['steps']:,} steps.\n"
    code = evaluate.run([str(run.directory), "--max-steps", "7", "--episodes", "5", "--envs", "2"])
    printed = capsys.readouterr()
    assert code == 0 and "mean length 7.0 (evaluation 1: 5 episodes" in printed.out
    sentence = "Endless-v0: episode 1 has not ended after 7 steps. It is cut"
    assert printed.err.startswith(sentence) and printed.err.count("\n") == 1
    assert (store.read_evaluations(run.directory)["length"] == 7).all()

    policy = evaluations.load_policy(run)
    played = episodes.play_single(policy, single(run.config.env.id), 5, 0, max_steps=7)
    recorded = store.read_evaluations(run.directory)["return"]
    np.testing.assert_array_equal(played.returns, recorded)
    assert "has not ended after 7 steps" in capsys.readouterr().err
    assert videos.Options().max_steps == episodes.MAX_STEPS == 50_000


def test_an_episode_that_ends_at_the_limit_is_not_cut_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finish(tmp_path, "env=inverted_pendulum")
    longest = int(evaluations.evaluate(run, 3).lengths.max())
    capsys.readouterr()
    evaluations.evaluate(run, 3, max_steps=longest)
    assert not capsys.readouterr().err
    cut = evaluations.evaluate(run, 3, max_steps=longest - 1)
    assert cut.lengths.max() == longest - 1 and "--max-steps" in capsys.readouterr().err


def test_training_says_once_and_early_that_nothing_ends(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "ENDLESS", 64)
    task = ("env=gymnasium", "env.id=tests.helpers.tasks:Endless-v0", "progress=false")
    done = cli(*task, "algorithm.horizon=32", "algorithm.minibatch_size=16", "total_timesteps=192")
    assert done.code == 0 and done.err.count("no episode has ended in 64 steps.\n") == 1
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("task", "field"), [("LargeReward", "reward"), ("LargeObservation", "observation[0]")]
)
def test_a_value_too_large_for_float32_is_not_called_infinite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, field: str
) -> None:
    (tmp_path / "happened").touch()
    with monkeypatch.context() as patch:
        patch.setenv("FAULT_ONCE", str(tmp_path / "happened"))
        run = finish(tmp_path, f"{TASKS}{task}-v0")
    with pytest.raises(NumericalError) as raised:
        evaluations.evaluate(run, 20, num_envs=1)
    sentence = f"the task returned a value that is too large for float32: its {field}."
    assert str(raised.value).endswith(sentence)


def test_evaluation_uses_one_thread_and_gives_the_others_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finish(tmp_path, "env=reacher")
    seen = []

    def play(*arguments: Any) -> Any:
        seen.append(torch.get_num_threads())
        return episodes.play(*arguments)

    monkeypatch.setattr(evaluations, "play", play)
    monkeypatch.setattr(videos, "_film_task", lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    try:
        evaluations.evaluate(run, 1)
        videos.write_video(run, tmp_path / "video.mp4", videos.Options())
        assert seen == [1, 1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
