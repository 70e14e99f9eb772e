"""`python -m repro.evaluate` plays whole episodes of the trained policy, and loses no row."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro import envs, evaluate
from repro.algorithms import ALGORITHMS
from repro.errors import LockedError
from repro.evaluation import episodes, evaluations, policies
from repro.evaluation.evaluations import interval
from repro.runs import locks, store
from repro.runs.finished import FinishedRun, open_run
from repro.runs.schema import EVALUATIONS_FILE, LOCK
from repro.training import pack
from tests.helpers.cli import environment
from tests.helpers.faults import files
from tests.helpers.finished_runs import Oracle, finish, refused
from tests.helpers.tiny import directory, tiny, train

EPISODES = 6
CARTPOLE = "env=gymnasium env.id=CartPole-v1"
SMALL = {"cem": "algorithm.candidates=4"}  # so that generations end


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def hopper(runs_dir: Path) -> FinishedRun:
    return finish(runs_dir, "env=hopper")


@pytest.fixture
def reacher(tmp_path: Path) -> FinishedRun:
    """A run whose files a test may damage."""
    return finish(tmp_path / "runs", "env=reacher policy.hidden_sizes=[8]")


def rows(run: FinishedRun, number: int, *without: str) -> Any:
    frame = store.read_evaluations(run.directory)
    chosen = frame[frame["evaluation"] == number]
    return chosen.drop(columns=["evaluation", *without]).reset_index(drop=True)


def assert_equals_oracle(run: FinishedRun, seed: int, deterministic: bool) -> None:
    done = evaluations.evaluate(run, EPISODES, seed, deterministic)
    without_noise = deterministic or run.config.algorithm.name == "cem"
    assert done.deterministic == without_noise
    returns, lengths = Oracle(run).episodes(seed, EPISODES, without_noise)
    np.testing.assert_array_equal(done.lengths, lengths)
    np.testing.assert_allclose(done.returns, returns, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize(
    "line",
    [
        "env=hopper recipe=paper",
        "env=hopper recipe=cleanrl recipe.initial_log_std=1",  # clips actions
        "env=inverted_pendulum recipe=ppo2 policy.shared=true policy.activation=relu",
        f"{CARTPOLE} recipe=sb3",
    ],
)
def test_episodes_equal_those_of_one_environment_and_plain_torch(
    runs_dir: Path, line: str, deterministic: bool
) -> None:
    assert_equals_oracle(finish(runs_dir, line), 5, deterministic)


@pytest.mark.parametrize(
    ("name", "task"),
    [
        *((name, CARTPOLE) for name in sorted(ALGORITHMS)),
        *((name, "env=inverted_pendulum") for name in sorted(set(ALGORITHMS) - {"acer"})),
    ],
)
def test_every_algorithm_can_be_evaluated(runs_dir: Path, name: str, task: str) -> None:
    run = finish(runs_dir, f"{task} algorithm={name} {SMALL.get(name, '')}")
    assert_equals_oracle(run, 0, False)


def test_the_table_holds_settings_and_results(hopper: FinishedRun) -> None:
    kept = files(hopper.directory)
    done = evaluations.evaluate(hopper, EPISODES, 3, num_envs=4)
    again = evaluations.evaluate(hopper, 2, 1 << 62, deterministic=True)
    assert again.number == done.number + 1
    frame = rows(hopper, done.number)
    assert list(frame["episode"]) == list(range(1, EPISODES + 1))
    assert set(frame["seed"]) == {3} and not frame["deterministic"].any()
    np.testing.assert_array_equal(frame["return"], done.returns)
    np.testing.assert_array_equal(frame["length"], done.lengths)
    versions = json.loads(frame["versions"][0])
    assert versions.items() >= hopper.info["versions"].items()
    assert versions["git_revision"] == hopper.info["git_revision"]
    other = rows(hopper, again.number)
    assert set(other["seed"]) == {1 << 62} and other["deterministic"].all()
    own = (EVALUATIONS_FILE, LOCK, "run.json")
    sums = store.read_run(hopper.directory).pop("evaluations_sha256")
    assert store.read_run(hopper.directory) == hopper.info | {"evaluations_sha256": sums}
    left = files(hopper.directory)
    assert {k: v for k, v in left.items() if k not in own} == {
        k: v for k, v in kept.items() if k not in own
    }


@pytest.mark.parametrize("deterministic", [True, False])
def test_rows_do_not_depend_on_how_many_run_at_once(
    hopper: FinishedRun, runs_dir: Path, deterministic: bool
) -> None:
    for run in (hopper, finish(runs_dir, f"{CARTPOLE} seed=1")):
        number, *others = [
            evaluations.evaluate(run, 8, 7, deterministic, n).number for n in (1, 3, 7, 8, 20)
        ]
        first = rows(run, number, "time_at")
        assert (
            first["length"].nunique() > 3
        )  # so that environments start episodes at different times
        for other in others:
            assert first.equals(rows(run, other, "time_at"))


def test_seeds_make_a_difference_and_few_episodes_are_the_first_of_many(
    hopper: FinishedRun,
) -> None:
    many = evaluations.evaluate(hopper, 6, 0)
    assert len({*many.returns, *evaluations.evaluate(hopper, 6, 1).returns}) == 12
    np.testing.assert_array_equal(evaluations.evaluate(hopper, 2, 0).returns, many.returns[:2])


def test_noise_has_the_saved_std_and_is_independent_across_rows(hopper: FinishedRun) -> None:
    vector = envs.make(hopper.config.env.id, "mujoco", 1)
    policy = policies.load_policy(hopper)
    n = 4000
    observations = np.repeat(vector.reset(seed=0)[0], n, 0)
    streams = [episodes.start(0, k).generator for k in range(n)]
    noise = policy.act(observations, streams) - policy.act(observations, None)
    std = np.exp(store.read_parameters(hopper.directory)["log_std"][0])
    # 5 standard errors of a standard deviation, of a mean, and of a correlation
    np.testing.assert_allclose(noise.std(0), std, rtol=5 / np.sqrt(2 * n))
    assert (np.abs(noise.mean(0)) < 5 * std / np.sqrt(n)).all()
    neighbors = (noise[1:] * noise[:-1]).mean(0) / std**2
    assert (np.abs(neighbors) < 5 / np.sqrt(n)).all()


def test_playing_does_not_change_the_normalizer(hopper: FinishedRun) -> None:
    vector = envs.make(hopper.config.env.id, "mujoco", 3)
    policy = policies.load_policy(hopper)
    first = episodes.play(policy, vector, EPISODES, 0)
    np.testing.assert_array_equal(first[:2], episodes.play(policy, vector, EPISODES, 0)[:2])


def test_a_resumed_run_evaluates_as_an_uninterrupted_one(tmp_path: Path) -> None:
    found = []
    for place, interruptions in (("uninterrupted", ()), ("resumed", (2, 4))):
        config = tiny(tmp_path / place, "env=reacher")
        train([config], *interruptions)
        run = open_run(directory(config))
        evaluations.evaluate(run, 3)
        found.append(rows(run, 1, "time_at"))
    assert found[0].equals(found[1])


def test_a_policy_of_another_library_is_called_row_by_row(runs_dir: Path) -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    run = finish(runs_dir, f"{CARTPOLE} seed=2")
    model = sb3.PPO("MlpPolicy", "CartPole-v1", seed=0, device="cpu")

    class Predictor:
        def predict(self, observations: Any, deterministic: bool) -> Any:
            return model.policy.predict(observations, deterministic=deterministic)[0]

    policy = policies.RowByRow(Predictor(), (4,))
    found = []
    for n in (1, 3):
        vector = envs.make(run.config.env.id, run.config.env.backend, n)
        found.append(episodes.play(policy, vector, 5, 0))
    np.testing.assert_array_equal(found[0][:2], found[1][:2])
    assert len(set(found[0].lengths)) > 1


# -- output --------------------------------------------------------------------------------------


def test_one_line_is_printed_for_each_run(
    hopper: FinishedRun, reacher: FinishedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(hopper.directory), str(reacher.directory), "--episodes", "5", "--seed", "2"]
    assert evaluate.run(words) == 0
    first, second = capsys.readouterr().out.splitlines()
    number = store.read_evaluations(hopper.directory)["evaluation"].max()
    returns = rows(hopper, number)["return"]
    low, high = interval(returns.to_numpy(), 2)
    assert returns.min() < low < returns.mean() < high < returns.max()
    assert first == (
        f"{hopper.run_id}: mean return {returns.mean():,.2f} [{low:,.2f}, {high:,.2f}], from "
        f"{returns.min():,.2f} to {returns.max():,.2f}, mean length "
        f"{rows(hopper, number)['length'].mean():,.1f} (evaluation {number}: 5 episodes, seed 2, "
        "stochastic)"
    )
    assert second.startswith(f"{reacher.run_id}: mean return -") and "mean length 50.0" in second


def test_the_interval_is_that_of_the_mean() -> None:
    sample = np.random.default_rng(0).normal(10, 3, 400)
    low, high = interval(sample, 0)
    mean, half = sample.mean(), 1.96 * sample.std() / np.sqrt(400)
    np.testing.assert_allclose([low, high], [mean - half, mean + half], atol=0.1 * half)
    assert interval(np.full(5, 500.0), 0) == (500, 500)
    assert interval(np.array([3.0]), 0) == (3, 3)


# -- concurrent evaluations ----------------------------------------------------------------------

RECORD = """
import sys
from pathlib import Path
import numpy as np
from repro.evaluation import evaluations
from repro.evaluation.episodes import PlayedEpisodes
seed = int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(10):
    played = PlayedEpisodes(np.ones(3), np.arange(3), {})
    evaluations._record(Path(sys.argv[1]), seed, False, played)
"""


def test_concurrent_evaluations_lose_no_row(reacher: FinishedRun) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", RECORD, str(reacher.directory), str(seed)],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(3)
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:  # all start before the first is waited for
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    frame = store.read_evaluations(reacher.directory)
    assert len(frame) == 90
    by_number = frame.groupby("evaluation")
    assert list(by_number.groups) == list(range(1, 31))
    assert (by_number.size() == 3).all() and (by_number["seed"].nunique() == 1).all()
    assert list(frame.groupby("seed").size()) == [30, 30, 30]


def test_a_run_that_another_process_owns(
    reacher: FinishedRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluations, "PATIENCE", 0.1)
    with locks.owning([reacher.directory]):
        with pytest.raises(LockedError, match="belongs to process"):
            evaluations.evaluate(reacher, 1)
        assert refused(capsys, reacher.directory, "--episodes", "1")[0] == 75
    assert evaluations.evaluate(reacher, 1).number == 1


def test_a_run_that_starts_again_has_no_evaluations(reacher: FinishedRun) -> None:
    evaluations.evaluate(reacher, 1)
    (reacher.directory / "run.json").unlink()
    (outcome,) = pack.run_pack([reacher.config])
    assert outcome.status == store.DONE
    assert store.read_evaluations(reacher.directory).empty
