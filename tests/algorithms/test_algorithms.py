"""What every algorithm promises: the same bits in every pack, failures that stay alone, tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from repro.algorithms import ALGORITHMS
from repro.algorithms.base import Learners as Base
from repro.config.algorithms import SETTINGS, keys
from repro.config.schema import CONF_DIR
from repro.runs import store
from tests.helpers import bits
from tests.helpers.bits import assert_equal_bits
from tests.helpers.cli import Cli
from tests.helpers.configs import Compose
from tests.helpers.learners import Learners

DISCRETE = {"acer"}  # takes no other actions; test_acer.py has its own packs
OTHERS = sorted(set(ALGORITHMS) - {"ppo"} - DISCRETE)
OURS = {name for name, each in SETTINGS.items() if not each.is_sb3}
# Enough for a chaotic task to magnify a difference of one bit, where there was one.
SMALL = {
    "cem": "env.num_envs=2 algorithm.candidates=4 algorithm.horizon=150",
    "a2c": "env.num_envs=4",
    "a2c_tr": "env.num_envs=4 algorithm.delta=1e-3",
    "trpo": "algorithm.horizon=128 algorithm.minibatch_size=32",
    "vpg": "algorithm.horizon=128 algorithm.epochs=2",
}
CARTPOLE = "env=gymnasium env.id=CartPole-v1 recipe=sb3"


def traces(pack: Base) -> list[bits.Trace]:
    return bits.traces(pack, max(3, 400 // pack.config.batch_size))


def overrides(name: str, *further: str) -> list[str]:
    words = [f"algorithm={name}", "total_timesteps=100000", *SMALL[name].split()]
    return [*words, *(word for text in further for word in text.split())]


def test_everything_is_listed_everywhere() -> None:
    yamls = {path.stem for path in (CONF_DIR / "algorithm").glob("*.yaml")}
    assert set(SETTINGS) == yamls and set(ALGORITHMS) == OURS == {*SMALL, "ppo", *DISCRETE}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(
    "task", ["env=half_cheetah", "env=inverted_pendulum recipe=ppo2", f"{CARTPOLE} env.num_envs=3"]
)
def test_a_learner_has_the_same_bits_alone_and_in_a_pack(
    config: Compose, learners: Learners, name: str, task: str
) -> None:
    pack = [config(*overrides(name, task, f"seed={seed}")) for seed in range(3)]
    packed = traces(learners(pack))
    for p in (0, 2):
        assert_equal_bits(packed[p], traces(learners([pack[p]]))[0])
    for p, trace in zip((2, 1), traces(learners([pack[2], pack[1]])), strict=True):
        assert_equal_bits(packed[p], trace)


@pytest.mark.parametrize("name", OTHERS)
def test_it_moves_and_says_so(config: Compose, learners: Learners, name: str) -> None:
    pack = learners([config(*overrides(name, "env=hopper"))])
    before = pack.weights(0)
    row = pack.iterate()
    after = pack.weights(0)
    moved = [key for key in before if not np.array_equal(before[key], after[key])]
    assert moved
    assert set(row.metrics) == set(store.PROGRESS) - {
        *("iteration", "step", "episodes", "return_mean"),
        *(key for key in store.PROGRESS if key.startswith("time_")),
    }
    assert row.step == pack.config.batch_size
    assert int(row.metrics["minibatches"][0]) >= 0


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_from_the_command_line(cli: Cli, name: str) -> None:
    done = cli("env=reacher", f"algorithm={name}", "budget=smoke", "seed=3")
    assert done.code == 0, done.err
    (directory,) = (path for path in Path("runs").iterdir() if path.is_dir())
    assert directory.name.startswith(f"Reacher-v4_{name}_s3_")
    info = store.read_run(directory)
    assert (info["status"], info["algorithm"], info["objective"]) == ("DONE", name, None)
    progress = store.read_table(directory / "progress.parquet")
    assert progress["step"].iloc[-1] == info["steps"] == 128
    assert len(store.read_table(directory / "episodes.parquet")) == 2
    assert store.read_parameters(directory)


def test_a_sweep_over_algorithms(cli: Cli) -> None:
    names = ",".join(ALGORITHMS)
    here = ("budget=smoke", "hydra.launcher.workers=1", "algorithm.horizon=16", "env.num_envs=2")
    task = ("env=gymnasium", "env.id=CartPole-v1")
    done = cli("-m", *task, f"algorithm={names}", "seed=0,1", *here)
    assert done.code == 0, done.err
    infos = [store.read_run(path) for path in store.run_directories(Path("runs"))]
    assert len(infos) == 2 * len(ALGORITHMS)
    assert all(info["status"] == "DONE" for info in infos)
    assert {info["algorithm"] for info in infos} == set(ALGORITHMS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("algorithm=vpg algorithm.value_coef=1", "algorithm.value_coef is not a key of"),
        ("algorithm=ppo algorithm.signal=q", "is not a key of algorithm=ppo: it has horizon,"),
        ("algorithm=vpg algorithm.sginal=q", "did you mean algorithm.signal?"),
        ("algorithm=vpg objective=none", "objective=none has no meaning for algorithm=vpg"),
        ("algorithm=vpg objective.epsilon=0.3", "objective.epsilon=0.3 has no meaning"),
        ("algorithm=vpg recipe.value_clip=0.2", "recipe.value_clip=0.2 has no meaning"),
        ("algorithm=vpg algorithm.signal=retrun", "did you mean return?"),
        ("algorithm=vpg algorithm.target_kl=0", "algorithm.target_kl=0"),
        ("algorithm=vpg policy.shared=true", "say policy.shared=false"),
        ("algorithm=vpg probe=interpolation", "probe=interpolation looks into PPO's update"),
        ("algorithm=vpg algorithm.minibatch_size=100", "does not divide"),
        ("algorithm=vpgg", "did you mean vpg?"),
        ("vpg.signal=q", "did you mean algorithm.signal?"),
        ("-m algorithm=ppo,vpg algorithm.signal=q", "is not a key of algorithm=ppo"),
        ("-m algorithm=ppo,vpg objective=clip,none", "In the job"),
    ],
)
def test_what_has_no_meaning_is_refused(cli: Cli, arguments: str, sentence: str) -> None:
    refused = cli(*f"{arguments} env=reacher".split())
    assert refused.code == 2
    assert sentence in refused.err and refused.err.count("\n") == 1
    assert not cli.left()


def test_a_recipe_and_a_budget_offer_what_some_do_not_take(config: Compose) -> None:
    recipes = (CONF_DIR / "recipe").glob("*.yaml")
    offering = [path.stem for path in recipes if "\nalgorithm:" in path.read_text()]
    assert {"paper", "ppo2"} <= set(offering)
    for name, settings in ((name, SETTINGS[name]) for name in sorted(OURS)):
        for recipe in offering:
            small = config("env=hopper", f"algorithm={name}", f"recipe={recipe}", "budget=smoke")
            assert sorted(small.as_dict()["algorithm"]) == sorted(keys(settings))
            assert bool(small.objective) == settings.takes_objective


@pytest.mark.parametrize("name", OTHERS)
def test_what_fails_is_frozen_and_its_neighbors_go_on(
    config: Compose, learners: Learners, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = [config(*overrides(name, "env=reacher", f"seed={seed}")) for seed in range(3)]
    together = learners(pack)
    together.iterate()
    good = together.weights(1)
    step = together.collector.envs.step

    def poisoned(actions: np.ndarray) -> tuple[np.ndarray, ...]:
        result = step(actions)
        size = len(result[1]) // 3
        result[1][size : 2 * size] = np.nan
        return result

    with monkeypatch.context() as patch:
        patch.setattr(together.collector.envs, "step", poisoned)
        patch.setattr(together.collector, "_many_steps", None)
        row = together.iterate()
    assert list(row.failed) == [1] and "iteration 2" in row.failed[1] and row.active == [0, 2]
    last = together.iterate()
    assert last.active == [0, 2] and not last.failed
    assert_equal_bits(good, together.weights(1))
    for p in (0, 2):
        alone = learners([pack[p]])
        for _ in range(3):
            alone.iterate()
        assert_equal_bits(alone.state(0), together.state(p))
