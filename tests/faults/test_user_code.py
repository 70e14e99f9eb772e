"""Exceptions of a task's own code outside of `reset` and `step`: a sentence, and nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import pytest

from repro import evaluate
from repro.runs import store
from tests.helpers.cli import Cli
from tests.helpers.films import show
from tests.helpers.spaces import LENGTH, Checks, register

LINE = [
    "env=gymnasium",
    "algorithm.horizon=64",
    "total_timesteps=128",
    "progress=false",
    "runs_dir=runs",
]


class BrokenError(RuntimeError):
    """Its text has two lines."""

    def __init__(self) -> None:
        super().__init__("the license\nhas expired")


class Needs(Checks):
    def __init__(self, size: int) -> None:
        super().__init__()


class RaisesInInit(Checks):
    def __init__(self) -> None:
        raise BrokenError


class ExitsInInit(Checks):
    def __init__(self) -> None:
        raise SystemExit("no license")


class GymnasiumErrorInInit(Checks):
    def __init__(self) -> None:
        raise gymnasium.error.InvalidAction("the license has expired")


class RaisesInObservationSpace(Checks):
    observation_space = property(lambda self: raises(), lambda self, space: None)  # type: ignore[assignment]


class RaisesInActionSpace(Checks):
    action_space = property(lambda self: raises(), lambda self, space: None)  # type: ignore[assignment]


class RaisesInMetadata(Checks):
    metadata = property(lambda self: raises())  # type: ignore[assignment]


class NoSpaces(gymnasium.Env[Any, Any]):
    """Declares nothing."""


class RaisesInClose(Checks):
    def close(self) -> None:
        raise BrokenError


class RaisesInLaterClose(Checks):
    """Only after it has been used."""

    steps = 0

    def close(self) -> None:
        if self.steps:
            raise BrokenError


class RaisesInCheckpoint(Checks):
    def checkpoint(self) -> dict[str, Any]:
        raise BrokenError

    def restore(self, state: Any) -> None:
        raise BrokenError


class RaisesInRender(Checks):
    def render(self) -> Any:
        raise BrokenError


class RaisesInLaterStep(Checks):
    """In the evaluation, which follows the training."""

    fails = False

    def step(self, action: Any) -> Any:
        if type(self).fails:
            raise BrokenError
        return super().step(action)


def raises() -> Any:
    raise BrokenError


SENTENCES = {
    Needs: "cannot be made, its code failed with TypeError: Needs.__init__() missing",
    RaisesInInit: "cannot be made, its code failed with BrokenError: the license has expired.",
    ExitsInInit: "cannot be made, its code failed with SystemExit: no license.",
    GymnasiumErrorInInit: "cannot be made, its code failed with InvalidAction: the license has",
    RaisesInObservationSpace: "reading its spaces and metadata failed with BrokenError: the",
    RaisesInActionSpace: "reading its spaces and metadata failed with BrokenError: the",
    RaisesInMetadata: "failed with BrokenError: the license has expired",
    NoSpaces: "reading its spaces and metadata failed with AttributeError: ",
    RaisesInClose: "its close failed with BrokenError: the license has expired.",
}


@pytest.mark.parametrize("task", SENTENCES, ids=lambda task: task.__name__)
def test_a_task_that_cannot_be_used_is_refused(cli: Cli, task: Any) -> None:
    env_id = register(task.__name__, task)
    done = cli(*LINE, f"env.id={env_id}")
    assert done.code == 2 and done.err.count("\n") == 1
    assert done.err.startswith(env_id) and SENTENCES[task] in done.err
    assert not cli.left()


@pytest.mark.parametrize("task", [RaisesInLaterClose, RaisesInCheckpoint])
@pytest.mark.parametrize("algorithm", ["ppo", "sb3_ppo recipe=sb3"])
def test_what_fails_after_the_training_loses_nothing(cli: Cli, task: Any, algorithm: str) -> None:
    env_id = register(task.__name__, task)
    done = cli(*LINE, f"env.id={env_id}", *f"algorithm={algorithm}".split())
    assert done.code == 0, done.err
    call = "close" if task is RaisesInLaterClose else "checkpoint"
    said = f"{env_id}: its {call} failed with BrokenError: the license has expired.\n"
    assert done.err.count(said) == (call == "close" or "sb3" not in algorithm)
    (run,) = store.run_directories(Path("runs"))
    assert store.read_run(run)["status"] == store.DONE and (run / "parameters.npz").exists()
    assert evaluate.run([str(run), "--episodes", "2"]) == 0


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (RaisesInRender, "cannot be drawn: BrokenError"),
        (RaisesInLaterStep, "its step failed with Br"),
    ],
)
def test_what_fails_in_a_video_is_a_sentence(
    cli: Cli, capsys: pytest.CaptureFixture[str], task: Any, said: str
) -> None:
    env_id = register(task.__name__, task)
    assert cli(*LINE, f"env.id={env_id}").code == 0
    (run,) = store.run_directories(Path("runs"))
    task.fails = True
    code, _, err = show(capsys, run)
    assert code == 2 and err.count("\n") == 1 and env_id in err and said in err
    if task is RaisesInLaterStep:
        assert evaluate.run([str(run)]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"{env_id}: its step") and err.count("\n") == 1
    task.fails = False


class Number:
    """Cannot be read as a number."""

    def __float__(self) -> float:
        raise BrokenError

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        raise BrokenError


class ReturnsNumber(Checks):
    """At the end of its first episode."""

    def step(self, action: Any) -> Any:
        observation, _, ended, *rest = super().step(action)
        return observation, self.reward() if ended else 0.0, ended, *rest

    def reward(self) -> Any:
        return Number()


class ReturnsLargeNumber(ReturnsNumber):
    def reward(self) -> Any:
        return 10**400


class ReturnsNoObservation(Checks):
    def step(self, action: Any) -> Any:
        observation, *rest = super().step(action)
        return Number() if self.steps == LENGTH else observation, *rest


@pytest.mark.parametrize("task", [ReturnsNumber, ReturnsLargeNumber, ReturnsNoObservation])
def test_a_value_that_cannot_be_read_ends_the_run_with_a_sentence(cli: Cli, task: Any) -> None:
    done = cli(*LINE, f"env.id={register(task.__name__, task)}")
    assert done.code and "returned" in done.err
    assert "in step 10" in done.err and "Traceback" not in done.err
