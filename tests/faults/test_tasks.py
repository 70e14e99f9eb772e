"""F8 and F9: a task that breaks, hangs or returns nonsense ends its own run, which says where."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from repro.config.schema import Config
from repro.errors import TaskError
from repro.learning.streams import Streams
from repro.runs import archive, checkpoint, store
from repro.training.loop import Training
from repro.training.pack import run_pack
from tests.helpers.bits import assert_equal_bits
from tests.helpers.tiny import directory, result, tiny

MEMBERS = (0, 1, 2)
RARELY = "checkpoint.every_seconds=1000"  # what a failure needs is saved all the same


def pack(place: Path, task: str, more: str = "") -> list[Config]:
    line = f"env=gymnasium env.id=tests.helpers.tasks:{task}-v0 recipe=ppo2 {more} {RARELY}"
    return [tiny(place, f"{line} seed={seed}") for seed in MEMBERS]


def assert_finite(run: Path) -> int:
    """Every checkpoint that is there holds numbers only; which is the newest."""
    for saved in checkpoint.load_whole(run, pytest.fail).values():
        archive.check_finite(archive.flatten(saved.state)[0])
    return checkpoint.iterations(run)[0]


Golden = Callable[..., list[Config]]


@pytest.fixture
def undisturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Golden:
    """The same runs where the fault never happens; from now on it happens once."""
    marker = tmp_path / "happened"

    def train(task: str, more: str = "") -> list[Config]:
        monkeypatch.setenv("FAULT_ONCE", str(marker))
        marker.touch()
        configs = pack(tmp_path / "golden", task, more)
        assert {outcome.status for outcome in run_pack(configs)} == {store.DONE}
        marker.unlink()
        return configs

    return train


def assert_only_one_failed(configs: list[Config], golden: list[Config], which: int = 0) -> str:
    """The others are as if nothing had happened, and then so is that one; what it said."""
    outcomes = run_pack(configs)
    assert [outcome.status for outcome in outcomes] == [
        store.FAILED if p == which else store.DONE for p in MEMBERS
    ]
    said = outcomes[which].error
    assert said is not None and said.startswith(configs[which].run_id)
    assert store.read_run(directory(configs[which]))["error"] == said
    run_pack([configs[which]])
    for ours, theirs in zip(configs, golden, strict=True):
        assert_equal_bits(result(directory(ours)), result(directory(theirs)))
    return said


# -- F8: tasks that raise -------------------------------------------------------------------------


def test_f8_a_task_that_raises_once(tmp_path: Path, undisturbed: Golden) -> None:
    golden = undisturbed("Raises", "env.num_envs=2 algorithm.horizon=16")
    configs = pack(tmp_path / "here", "Raises", "env.num_envs=2 algorithm.horizon=16")
    said = assert_only_one_failed(configs, golden)
    seed = Streams(0).env_seeds(2)[0]
    assert re.fullmatch(
        rf"{configs[0].run_id} failed in iteration 5: environment 0 of 2 \(seed {seed}\): its step "
        r"with action [01] failed with RuntimeError: the simulator broke, in step 70",
        said,
    )
    history = [store.read_run(directory(config))["resumed"] for config in configs]
    assert [[each["iteration"] for each in entries] for entries in history] == [[4], [4], [4]]


def test_f8_the_log_has_the_traceback_and_how_to_see_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a task that always raises, in two of three runs: by the parity of their seeds."""
    parities = [Streams(seed).env_seeds(1)[0] % 2 for seed in MEMBERS]
    assert sorted(parities) == [0, 1, 1]
    monkeypatch.setenv("FAULT_PARITY", "1")
    configs = pack(tmp_path, "AlwaysRaises")
    for _ in range(2):  # the same again
        outcomes = run_pack(configs)
        for config, outcome, parity in zip(configs, outcomes, parities, strict=True):
            run = directory(config)
            if not parity:
                assert store.read_run(run)["status"] == store.DONE
                assert not (run / "error.log").exists()
                continue
            assert outcome.status == store.FAILED and assert_finite(run) == 2
            log = (run / "error.log").read_text()
            assert log.startswith(
                f"{outcome.error}.\nIt continues from the checkpoint of iteration 2"
            )
            assert f"python -m repro.again {run}\n" in log
            assert log.endswith("in step 70\n") and "line" in log
            assert 'tasks.py", line' in log and "RuntimeError: the simulator is broken\n" in log


@pytest.mark.parametrize("after", [0, 60])
def test_f8_a_task_that_raises_in_reset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Golden, after: int
) -> None:
    monkeypatch.setenv("FAULT_STEP", str(after))
    golden = undisturbed("RaisesInReset")
    configs = pack(tmp_path / "here", "RaisesInReset")
    # Whose episode is the first to end after 60 steps hangs on the seeds.
    said = assert_only_one_failed(configs, golden, which=2 if after else 0)
    assert "RuntimeError: no room for another episode" in said and "environment 0 of 1" in said
    assert ("failed before its first step" in said) == (after == 0)
    assert "its reset" in said


def test_f8_the_environment_is_named_wherever_it_is(tmp_path: Path) -> None:
    """Not always the first: the last learner's second environment."""
    configs = pack(tmp_path, "Raises", "env.num_envs=2 algorithm.horizon=16")
    training = Training(configs)
    for env in training._algorithm.collector.envs._envs[:5]:
        env.unwrapped.steps = -1000
    with pytest.raises(TaskError, match=r"environment 1 of 2 \(seed \d+\): its step") as caught:
        list(training)
    assert caught.value.index == 2


# -- F9: what is no observation and no reward -----------------------------------------------------

NOT_FINITE = {
    "NaNObservation": "observation[0]",
    "InfiniteObservation": "observation[0]",
    "InfiniteReward": "reward",
    "NaNReward": "reward",
}


@pytest.mark.parametrize("task", NOT_FINITE)
def test_f9_a_task_that_returns_no_number(tmp_path: Path, undisturbed: Golden, task: str) -> None:
    golden = undisturbed(task)
    configs = pack(tmp_path / "here", task)
    run, seed = directory(configs[0]), Streams(0).env_seeds(1)[0]
    outcomes = run_pack(configs)
    assert [outcome.status for outcome in outcomes] == [store.FAILED, store.DONE, store.DONE]
    assert outcomes[0].error == (
        f"{configs[0].run_id} failed in iteration 3: environment 0 of 1 (seed {seed}) returned a "
        f"value that is not finite in step 70: its {NOT_FINITE[task]}"
    )
    # Parameters are those of the last good iteration, which is also what it continues from.
    assert store.read_run(run)["failed_iteration"] == 3 and assert_finite(run) == 2
    assert_last_good(run)
    run_pack(configs[:1])
    for ours, theirs in zip(configs, golden, strict=True):
        assert_equal_bits(result(directory(ours)), result(directory(theirs)))


def assert_last_good(run: Path) -> None:
    """The weights that a failed run leaves are its checkpoint's."""
    saved = checkpoint.load(run, 2).state["parameters"]["0"]
    kept = np.concatenate([np.ravel(leaf) for leaf in archive.flatten(saved)[0].values()])
    # Unchecked: the normalizers of a run that failed may hold what made it fail.
    found = archive.unpack((run / "parameters.npz").read_bytes())
    weights = [
        array for name, array in found.items() if not name.startswith(("observations.", "rewards."))
    ]
    assert len(weights) > 8 and all(np.isin(array, kept).all() for array in weights)


def test_f9_the_last_observation_of_an_episode_that_is_cut_short(tmp_path: Path) -> None:
    """What only the value of a truncated episode hangs on."""
    configs = pack(tmp_path, "NaNAtTruncation", "recipe.time_limit=bootstrap")
    outcomes = run_pack(configs)
    for config, outcome in zip(configs, outcomes, strict=True):
        assert outcome.status == store.FAILED and assert_finite(directory(config)) == 2
        assert outcome.error.endswith("not finite in step 70: its last observation[0]")


LARGE = {
    "LargeReward": "reward",
    "LargeObservation": "observation[0]",
    "LargeAtTruncation": "last observation[0]",
}


@pytest.mark.parametrize("task", LARGE)
def test_f9_a_value_too_large_for_float32_is_not_called_infinite(tmp_path: Path, task: str) -> None:
    line = f"env=gymnasium env.id=tests.helpers.tasks:{task}-v0 recipe=sb3"
    (outcome,) = run_pack([tiny(tmp_path, line)])
    assert outcome.error is not None and outcome.error.endswith(
        f"returned a value that is too large for float32 in step 70: its {LARGE[task]}"
    )


def test_f9_infos_that_nothing_reads_change_nothing(tmp_path: Path) -> None:
    """In a pack and alone, of whatever form they are."""
    for place, task in (("plain", "Walk"), ("infos", "ShapelessInfos")):
        for outcome in run_pack(pack(tmp_path / place, task)):
            assert outcome.status == store.DONE
    for plain, infos in zip(
        pack(tmp_path / "plain", "Walk"), pack(tmp_path / "infos", "ShapelessInfos"), strict=True
    ):
        results = [result(directory(config)) for config in (plain, infos)]
        assert results[0].pop("digest") != results[1].pop("digest"), "it covers the task's id"
        assert_equal_bits(*results)


MALFORMED = {
    "WrongShape": "an observation of shape (3,) and type float32 where the task declares Box",
    "TextObservation": "an observation of shape (2,) and type <U5 where the task declares Box",
    "ArrayReward": "returned (array([1., 2.]), False, False), not a reward and two booleans",
}


@pytest.mark.parametrize("task", MALFORMED)
def test_f9_what_has_another_form(tmp_path: Path, undisturbed: Golden, task: str) -> None:
    golden = undisturbed(task)
    configs = pack(tmp_path / "here", task)
    said = assert_only_one_failed(configs, golden)
    assert MALFORMED[task] in said and "failed in iteration 3: environment 0 of 1 (seed" in said
    assert said.endswith("in step 70")


def test_f9_an_observation_outside_of_its_space_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its bounds are not used by anything, so that the run continues."""
    configs = pack(tmp_path, "OutOfBounds")
    assert {outcome.status for outcome in run_pack(configs)} == {store.DONE}
    told = capsys.readouterr().err
    assert re.fullmatch(
        rf"{configs[0].run_id}: environment 0 of 1 \(seed \d+\) returned "
        r"observation\[1\] = 1.[6-9], outside of \[0, 1.5\], which its task declares.\n",
        told,
    )
