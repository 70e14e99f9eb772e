"""`import repro`: the command line's runs from Python, and nothing of the caller's changed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pandas as pd
import pytest
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hypothesis import given
from hypothesis import strategies as st
from omegaconf.basecontainer import BaseContainer

import repro
from repro.config import overrides, quoting
from repro.evaluation import episodes
from repro.evaluation.policies import load_policy
from repro.runs import store
from repro.runs.finished import open_run
from repro.sweeps import frame, grid
from repro.sweeps.backends import ONE_THREAD
from tests.helpers.bits import assert_equal_bits
from tests.helpers.cli import ROOT, Cli, environment
from tests.helpers.tiny import result

SMALL = ("env=reacher", "budget=smoke")
SERIAL = {"hydra.launcher.workers": 1}


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def untouched(request: pytest.FixtureRequest) -> Iterator[None]:
    """What calls from Python leave as it was; the command line need not."""

    def state() -> list[Any]:
        handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
        singletons = [GlobalHydra.instance().hydra, HydraConfig.instance().cfg]
        configs, resolvers = set(ConfigStore.instance().repo), set(BaseContainer._resolvers)
        # Libraries add others when they are imported.
        variables = [os.environ.get(name) for name in ("HYDRA_FULL_ERROR", *ONE_THREAD)]
        threads = torch.get_num_threads()
        return [handlers, threads, singletons, configs, resolvers, sys.argv, variables]

    before = state()
    yield
    assert "cli" in request.fixturenames or state() == before


def test_the_quick_start_of_the_documentation() -> None:
    """As a script: without `if __name__ == "__main__"`, with worker processes."""
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    Path("quick_start.py").write_text(block, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "quick_start.py"], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("env=hoper is not known (did you mean hopper?)")
    assert Path("policy.pt2").exists() and len(store.run_directories(Path("runs"))) == 4


def test_the_same_run_as_by_the_command_line(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    run = repro.train(*SMALL, objective="kl_fixed", seed=3, runs_dir=Path("from python"))
    assert isinstance(run, repro.Run) and run.status == "DONE"
    said = capsys.readouterr().out.splitlines()[-2]
    assert said.startswith("done: from python/Reacher-v4_ppo_kl_fixed")
    done = cli(*SMALL, "objective=kl_fixed", "seed=3", "runs_dir=typed")
    assert done.code == 0
    (typed,) = store.run_directories(Path("typed"))
    assert typed.name == run.run_id
    assert_equal_bits(result(typed), result(run.directory))
    assert not list(Path().glob("*/sweep.json"))


def test_the_same_sweep_as_by_the_command_line(cli: Cli) -> None:
    runs = repro.train(*SMALL, objective=["clip", "none"], seed=range(2), progress=False, **SERIAL)
    assert cli("-m", *SMALL, "objective=clip,none", "seed=0,1", "runs_dir=typed").code == 0
    expected = [entry["run_id"] for entry in store.read_sweep(Path("typed"))]
    assert isinstance(runs, repro.Runs) and [run.run_id for run in runs] == expected
    for run in runs:
        assert_equal_bits(result(Path("typed") / run.run_id), result(run.directory))
    assert store.read_sweep(Path("runs"))[0]["run_id"] == expected[0]
    assert len(runs[1:3]) == 2 and runs[-1].config.seed == 1
    pd.testing.assert_frame_equal(
        runs.frame, repro.runs("runs").assign(directory=[str(run.directory) for run in runs])
    )


def test_an_experiment_is_a_sweep_and_a_list_of_one_too() -> None:
    table1 = grid.compose([quoting.override("experiment", "table1"), "env=hopper", "seed=0"])
    assert table1.swept and sum(map(len, table1.batches)) == 11
    assert not grid.compose(SMALL).swept
    one = repro.train(*SMALL, seed=[0], progress=False, **SERIAL)
    assert isinstance(one, repro.Runs) and len(one) == 1 and Path("runs/sweep.json").exists()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)


@given(VALUES)
def test_python_values_are_read_back_as_they_were(value: Any) -> None:
    def plain(each: Any) -> Any:
        return [plain(part) for part in each] if isinstance(each, tuple) else each

    (one,) = overrides.parse([quoting.override("key", value)])
    assert not one.is_sweep_override() and one.value() == plain(value)
    assert type(one.value()) is type(plain(value))
    (several,) = overrides.parse([quoting.override("key", [value, 1])])
    assert several.is_sweep_override()
    read = [getattr(part, "text", part) for part in several.value().list]
    assert read[1] == 1 and (isinstance(value, tuple) or read[0] == value)


def test_other_values() -> None:
    assert quoting.override("seed", np.arange(3)) == "seed=0,1,2"
    assert quoting.override("seed", np.int64(3)) == "seed=3"
    assert quoting.override("objective", {"kind": "clip"}) == "objective={kind:clip}"
    assert quoting.override("experiment", "table1") == "+experiment=table1"
    for value, sentence in ((object(), "is of type object"), ([], "sweep without values")):
        with pytest.raises(repro.ConfigError, match=sentence):
            quoting.override("seed", value)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"env": "hoper"}, "did you mean hopper?"),
        ({"env": "hopper", "seed": "x"}, "seed=x must be a whole number"),
        ({"env": "hopper", "seed": [0, 0]}, "are the same run"),
        ({"env": "reacher", "env.atari.frame_skip": 2}, "a key of env=atari only"),
        ({"seed": 0}, "env has no value"),
        ({"env": "hopper", "hydra/launcher": "basic"}, "on the command line only"),
        ({"env": "hopper", "seed": [0, 1], "hydra.launcher.workers": 0}, "workers=0"),
        ({"env": "hopper", "runs_dir": "/dev/null/runs"}, "cannot be written to"),
    ],
)
def test_bad_input_is_an_exception_with_the_same_sentence(
    line: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(repro.ConfigError, match=re.escape(sentence)):
        repro.train(**line)
    assert not list(Path().iterdir())


def test_runs_that_fail_are_told_with_all_others() -> None:
    rates = {"algorithm.learning_rate": [3e-4, 1e30]}
    with pytest.raises(repro.RunsFailedError, match=r"1 of 2 runs failed\.") as raised:
        repro.train(*SMALL, progress=False, **rates, **SERIAL)
    good, bad = raised.value.runs
    assert raised.value.exit_code == 4 and (good.status, bad.status) == ("DONE", "FAILED")
    with pytest.raises(repro.RunsFailedError, match=r"in iteration 1.*error\.log\)"):
        repro.train(*SMALL, progress=False, **{"algorithm.learning_rate": 1e30})
    with pytest.raises(repro.ConfigError, match="is FAILED, not DONE"):
        repro.load(bad.directory)
    table = repro.runs(".")
    assert list(table.status) == ["DONE", "FAILED"] and "iteration 1" in table.error.iloc[1]
    assert list(table.final_return.isna()) == [False, True]


def test_missing_and_damaged_runs_are_rows() -> None:
    runs = repro.train(*SMALL, seed=[0, 1, 2], progress=False, **SERIAL)
    for path in runs[1].directory.iterdir():
        path.unlink()
    runs[1].directory.rmdir()
    (runs[2].directory / "run.json").write_text("{")
    table = repro.runs("runs")
    assert list(table.status) == ["DONE", "MISSING", "DAMAGED"] and list(table.seed) == [0, 1, 2]
    assert "is damaged" in table.error.iloc[2]
    assert list(table.columns) == [*frame.IDENTITY, *frame.RESULTS]
    assert runs[1].info == {} and runs[1].episodes.empty and runs[1].status == "MISSING"
    assert list(runs[1].progress) == list(store.PROGRESS)
    with pytest.raises(repro.ConfigError, match="has not started"):
        _ = runs[1].config
    Path("empty").mkdir()
    with pytest.raises(repro.ConfigError, match="holds no run and no sweep"):
        repro.runs("empty")
    with pytest.raises(repro.ConfigError, match="is not a directory"):
        repro.runs("nowhere")


def test_the_tables_have_the_documented_columns() -> None:
    run = repro.train(*SMALL, progress=False)
    assert isinstance(run, repro.Run)
    for table, schema in (
        (run.episodes, store.EPISODES),
        (run.progress, store.PROGRESS),
        (run.evaluations, store.EVALUATIONS),
    ):
        assert list(table) == list(schema)
    assert run.config.env.id == run.info["env_id"] == "Reacher-v4"
    assert repro.load(run.directory).run_id == run.run_id


def test_beside_a_hydra_of_the_callers_own() -> None:
    store_of_all = ConfigStore.instance()
    Path("theirs").mkdir()
    Path("theirs/app.yaml").write_text("x: 1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_of_all, "repo", dict(store_of_all.repo))
        patch.setattr(BaseContainer, "_resolvers", dict(BaseContainer._resolvers))
        store_of_all.store("schema", {"mine": 1})
        with hydra.initialize_config_dir(str(Path("theirs").absolute()), version_base="1.3"):
            own = GlobalHydra.instance().hydra
            repro.train(*SMALL, progress=False)
            assert GlobalHydra.instance().hydra is own
            assert hydra.compose("app").x == 1
        assert store_of_all.load("schema.yaml").node == {"mine": 1}


def test_from_another_thread_and_with_other_threads_of_torch() -> None:
    ended: list[Any] = []
    torch.set_num_threads(2)
    try:
        line = {"seed": [0, 1], "progress": False} | SERIAL
        thread = threading.Thread(target=lambda: ended.append(repro.train(*SMALL, **line)))
        thread.start()
        thread.join()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    ((one, other),) = ended
    assert one.status == other.status == "DONE"


def test_importing_it_is_quick() -> None:
    script = "import sys, repro; print({'torch', 'pandas', 'hydra', 'numpy'} & set(sys.modules))"
    script += "; from repro import train, runs; print('torch' in sys.modules, callable(runs))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True
    )
    assert done.stdout == "set()\nFalse True\n"
    assert set(repro.__all__) <= set(dir(repro))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = repro.trian


TASKS = {
    "normalized": ("env=reacher", "recipe=ppo2"),
    "discrete": ("env=gymnasium", "env.id=CartPole-v1"),
    "cem": ("env=reacher", "algorithm=cem"),
    "frames": ("env=atari", "env.game=pong"),
}


@pytest.mark.parametrize("task", TASKS)
def test_a_policy_acts_as_in_an_evaluation_and_as_its_export(task: str) -> None:
    run = repro.train(*TASKS[task], budget="smoke", progress=False)
    assert isinstance(run, repro.Run)
    policy, reference = run.policy(seed=5), load_policy(open_run(run.directory))
    rng = np.random.default_rng(0)
    batch: Any
    if task == "frames":
        batch = rng.integers(0, 256, (3, *policy.observation_shape), np.uint8)
        raw = batch
    else:
        batch = rng.normal(size=(3, *policy.observation_shape)).astype(np.float32)
        raw = batch.astype(np.float64)
    expected = reference.act(raw, None)
    np.testing.assert_array_equal(policy(batch, deterministic=True), expected)
    one = policy(batch[1], deterministic=True)
    assert np.array_equal(one, expected[1]) and isinstance(one, int) == (expected.ndim == 1)

    first = [policy(batch) for _ in range(4)]
    streams = [np.random.default_rng(each) for each in np.random.SeedSequence(5).spawn(3)]
    again = [reference.act(raw, streams) for _ in range(4)]
    np.testing.assert_array_equal(first, again)
    alone = run.policy(seed=5)
    np.testing.assert_array_equal([alone(batch[0]) for _ in range(4)], [each[0] for each in first])

    policy.export("policy.pt2")
    program = torch.export.load("policy.pt2").module()
    for rows in (1, 3):
        exported = program(torch.from_numpy(batch[:rows])).detach().numpy()
        np.testing.assert_allclose(exported, expected[:rows], rtol=1e-5, atol=1e-6)


def test_a_policy_plays_the_episodes_of_an_evaluation() -> None:
    """In Gymnasium's own environment, from the same start: the same return."""
    import gymnasium

    from repro import envs

    run = repro.train("env=gymnasium", "env.id=CartPole-v1", "budget=smoke", progress=False)
    assert isinstance(run, repro.Run)
    policy, env = run.policy(), gymnasium.make("CartPole-v1")
    observation, _ = env.reset(seed=episodes.start(0, 1).env_seed)
    total, over = 0.0, False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(policy(observation, True))
        total, over = total + float(reward), terminated or truncated
    vector = envs.make("CartPole-v1", "gymnasium", 1)
    played = episodes.play(load_policy(open_run(run.directory)), vector, 1, 0, deterministic=True)
    assert played.returns[0] == total


def test_observations_that_do_not_fit_are_named() -> None:
    run = repro.train(*SMALL, progress=False)
    assert isinstance(run, repro.Run)
    policy = run.policy()
    with pytest.raises(repro.ConfigError, match=r"have the shape \[11\], or \[N, 11\].*not \[10\]"):
        policy(np.zeros(10))
    with pytest.raises(repro.ConfigError, match=r"must end with \.pt2"):
        policy.export("policy.onnx")
    assert policy([0.0] * 11).shape == (2,)
