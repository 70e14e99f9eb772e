"""docs/own-tasks.md followed to the letter, and arguments of a task in all that makes it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import gymnasium
import pytest

import repro
from repro import envs, evaluate
from repro.config.compose import compose
from repro.envs import arguments
from repro.errors import ConfigError
from repro.evaluation import film
from repro.runs import store
from repro.sweeps import packs
from tests.helpers.cli import ROOT, Cli
from tests.helpers.tiny import TINY, TINY_PPO

PAGE = (ROOT / "docs" / "own-tasks.md").read_text()
ID = "env.id=my_package:Reach-v0"
SHORT = (*TINY, *TINY_PPO, "total_timesteps=96", "recipe.clip_actions=true", "progress=false")


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(text)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_package.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_package", raising=False)
    gymnasium.registry.pop("Reach-v0", None)


def lengths(run: repro.Run) -> set[int]:
    return set(run.episodes["length"])


@pytest.mark.usefixtures("package")
def test_a_task_of_ones_own_from_its_class_to_its_policy(cli: Cli) -> None:
    line = ("env=gymnasium", ID, *SHORT)
    arguments = ("env.kwargs.speed=0.001", "env.kwargs.max_episode_steps=7")
    for swept in (("seed=0",), ("-m", "seed=0,1", "hydra.launcher.backend=serial")):
        assert cli(*swept, *line, *arguments).code == 0
    assert cli(*line).code == 0
    plain, own, _ = sorted(map(repro.load, store.run_directories(Path("runs"))), key=order)
    assert own.run_id != plain.run_id and own.config.env.kwargs["max_episode_steps"] == 7
    assert max(lengths(own)) == 7 < max(lengths(plain))
    assert "kwargs" not in store.read_config(plain.directory)["env"], "ids of older runs stay"
    assert evaluate.run([str(own.directory), "--episodes", "3"]) == 0
    assert set(own.evaluations["length"]) == {7}
    assert own.policy()(gymnasium.make("Reach-v0").reset(seed=0)[0]).shape == (1,)
    wrong = cli(*line, "env.kwargs.sped=1")
    assert wrong.code == 2 and "env.kwargs.sped is not an argument of my_package:" in wrong.err
    mine = Path("mine/env")
    mine.mkdir(parents=True)
    (mine / "my_reach.yaml").write_text(block("yaml"))
    assert cli("--config-dir", "mine", "env=my_reach", *SHORT, "runs_dir=named").code == 0
    (named,) = store.run_directories(Path("named"))
    assert store.read_config(named)["env"]["kwargs"] == {"speed": 0.2}


def order(run: repro.Run) -> tuple[int, int]:
    return len(run.config.env.kwargs), run.config.seed


def test_arguments_tell_runs_and_packs_apart() -> None:
    pole = ("env=gymnasium", "env.id=CartPole-v1", "budget=smoke")
    plain, one, two = (
        compose(*pole, *each)
        for each in ((), ("env.kwargs.max_episode_steps=9",), ("env.kwargs={max_episode_steps:8}",))
    )
    assert len({each.hash for each in (plain, one, two)}) == 3
    assert len(packs.group([plain, one, two])) == 3
    assert one.env.kwargs == {"max_episode_steps": 9} and two.as_dict()["env"]["kwargs"]
    assert compose(*pole).hash == plain.hash and plain.hash.startswith("7b074619")


def test_a_mujoco_task_with_arguments_is_gymnasiums() -> None:
    env = envs.make("Hopper-v5", "mujoco", 1, None, {"healthy_reward": 100.0})
    env.reset(seed=0)
    reward = float(env.step(env.action_space.sample() * 0)[1][0])
    env.close()
    assert 99 < reward < 101
    drawn = film.make_env("Pendulum-v1", None, None, {"g": 1.0})
    assert drawn.unwrapped.g == 1.0  # type: ignore[attr-defined]
    drawn.close()


class Parent:
    def __init__(self, size: int, **rest: object) -> None: ...


class Child(Parent):
    def __init__(self, speed: int = 1, **rest: object) -> None: ...


class Grandchild(Child):
    def __init__(self, color: str = "red", *rest: object, **others: object) -> None: ...


class Strict(Grandchild):
    def __init__(self, *, name: str = "") -> None: ...


def no_more(a: int, b: int = 0) -> None: ...


@pytest.mark.parametrize(
    ("creator", "known"),
    [(Grandchild, None), (Strict, ["name"]), (no_more, ["a", "b"]), (lambda **rest: None, None)],
)
def test_which_arguments_a_task_names(
    monkeypatch: pytest.MonkeyPatch, creator: object, known: list[str] | None
) -> None:
    spec = gymnasium.envs.registration.EnvSpec("Named-v0", entry_point=creator)  # type: ignore[arg-type]
    monkeypatch.setitem(gymnasium.registry, "Named-v0", spec)
    arguments.check("Named-v0", {"max_episode_steps": 3, **dict.fromkeys(known or ["any"])})
    if known is None:
        return
    with pytest.raises(ConfigError, match=r"env\.kwargs\.nme is not an argument of Named-v0"):
        arguments.check("Named-v0", {"nme": 1})
