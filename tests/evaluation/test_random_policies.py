"""Random-policy returns, and the committed reference values."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.spaces import Box
from numpy.typing import NDArray
from scipy import stats

from repro.errors import EXIT_BAD_INPUT, ConfigError
from repro.evaluation import random_policies

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


def read_csv(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class FixedLengths:
    """Environment i plays episodes of i + 1 steps, and each step is worth 1."""

    def __init__(self, env_id: str, num_envs: int) -> None:
        self.num_envs = num_envs
        self.single_action_space = Box(-1, 1, (2,))
        self.clock = 0

    def reset(self, seed: list[int]) -> None:
        assert len(set(seed)) == self.num_envs

    def step(self, actions: NDArray[np.float32]) -> tuple[Any, ...]:
        assert actions.shape == (self.num_envs, 2)
        self.clock += 1
        truncated = self.clock % np.arange(1, self.num_envs + 1) == 0
        nothing = np.zeros(self.num_envs, dtype=bool)
        return None, np.ones(self.num_envs), nothing, truncated, {}


def test_long_episodes_count_as_often_as_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_policies, "MujocoVectorEnv", FixedLengths)
    returns = random_policies.episode_returns("Hopper-v4", "uniform", 45)
    lengths = np.arange(1, 21)
    assert np.array_equal(returns, np.repeat(lengths, [3] * 5 + [2] * 15))


@pytest.mark.filterwarnings("ignore:.*out of date.*:DeprecationWarning")
def test_returns_equal_gymnasium_stepped_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One environment, so that its actions come one after another from one stream."""
    monkeypatch.setattr(random_policies, "MAX_PARALLEL", 1)
    found = random_policies.episode_returns("Walker2d-v4", "gaussian_clipped", 5, seed=3)

    action_stream, env_stream = random_policies._streams("Walker2d-v4", "gaussian_clipped", 3)
    rng = np.random.default_rng(action_stream)
    env = gymnasium.make("Walker2d-v4", disable_env_checker=True)
    env.reset(seed=int(env_stream.generate_state(1)[0]))
    for expected in found:
        total, done = 0.0, False
        while not done:
            action = np.clip(rng.standard_normal((1, 6), dtype=np.float32), -1, 1)[0]
            _, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            done = terminated or truncated
        env.reset()
        assert total == expected


def test_samplers_draw_what_their_names_say() -> None:
    space = Box(np.array([-3.0, -0.5], np.float32), np.array([1.0, 0.5], np.float32))
    rng = np.random.default_rng(0)
    drawn = {kind: sample(rng, space, 20_000) for kind, sample in random_policies.SAMPLERS.items()}
    assert all(actions.dtype == np.float32 for actions in drawn.values())
    assert all(actions.shape == (20_000, 2) for actions in drawn.values())

    assert stats.kstest(drawn["uniform"][:, 0], stats.uniform(-3, 4).cdf).pvalue > 0.001
    assert stats.kstest(drawn["uniform"][:, 1], stats.uniform(-0.5, 1).cdf).pvalue > 0.001
    assert stats.kstest(drawn["gaussian"][:, 1], stats.norm.cdf).pvalue > 0.001
    clipped = drawn["gaussian_clipped"][:, 1]
    assert (clipped.min(), clipped.max()) == (-0.5, 0.5)
    assert np.mean(clipped == 0.5) == pytest.approx(stats.norm.sf(0.5), abs=0.02)


def test_a_row_is_determined_by_its_name_and_seed() -> None:
    row = random_policies.measure("InvertedPendulum-v4", "uniform", 30)
    assert row == random_policies.measure("InvertedPendulum-v4", "uniform", 30)
    assert row.mean != random_policies.measure("InvertedPendulum-v4", "uniform", 30, seed=1).mean
    returns = random_policies.episode_returns("InvertedPendulum-v4", "uniform", 30)
    interval = stats.ttest_1samp(returns, 0).confidence_interval(0.95)
    assert (row.ci_low, row.ci_high) == pytest.approx((interval.low, interval.high), abs=1e-4)
    assert (row.mean, row.std) == pytest.approx((returns.mean(), returns.std(ddof=1)), abs=1e-4)


def test_fewer_than_two_episodes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        random_policies.measure("InvertedPendulum-v4", "uniform", 1)
    out = tmp_path / "table.csv"
    assert random_policies.main(["--episodes", "1", "--out", str(out)]) == EXIT_BAD_INPUT
    assert not out.exists()


def test_the_command_writes_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(random_policies, "scored_ids", lambda: ["InvertedPendulum-v5"])
    out = tmp_path / "new" / "table.csv"
    assert random_policies.main(["--episodes", "4", "--seed", "5", "--out", str(out)]) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["uniform", "gaussian", "gaussian_clipped"]
    assert rows[0]["mujoco"] == mujoco.__version__
    assert rows[0]["seed"] == "5"
    assert [path.name for path in out.parent.iterdir()] == ["table.csv"]
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_committed_table_is_complete_and_tells_the_policies_apart() -> None:
    rows = read_csv("random_policies.csv")
    assert list(rows[0]) == [
        *("env_id", "kind", "episodes", "mean", "std", "ci_low", "ci_high"),
        *("seed", "mujoco", "gymnasium"),
    ]
    expected = [
        (env_id, kind)
        for env_id in random_policies.scored_ids()
        for kind in random_policies.SAMPLERS
    ]
    assert [(row["env_id"], row["kind"]) for row in rows] == expected
    assert {row["seed"] for row in rows} == {str(random_policies.SEED)}
    assert all(int(row["episodes"]) >= 200 for row in rows)
    assert all(float(r["ci_low"]) < float(r["mean"]) < float(r["ci_high"]) for r in rows)
    by_name = {(row["env_id"], row["kind"]): row for row in rows}
    for env_id in ("HalfCheetah-v4", "HalfCheetah-v5", "Reacher-v4", "Reacher-v5"):
        gaussian, clipped, uniform = (
            by_name[env_id, kind] for kind in ("gaussian", "gaussian_clipped", "uniform")
        )
        assert float(gaussian["ci_high"]) < float(clipped["ci_low"])
        assert float(clipped["ci_high"]) < float(uniform["ci_low"])


@pytest.mark.parametrize("env_id", ["InvertedPendulum-v4", "Reacher-v5"])
def test_the_committed_table_can_be_made_again(env_id: str) -> None:
    committed = {r["kind"]: r for r in read_csv("random_policies.csv") if r["env_id"] == env_id}
    if committed["gaussian"]["mujoco"] != mujoco.__version__:
        pytest.skip("the table was made with another version of MuJoCo")
    again = random_policies.measure(env_id, "gaussian", int(committed["gaussian"]["episodes"]))
    # Not to the last digit: the C library's sine and cosine differ between processors.
    assert again.mean == pytest.approx(float(committed["gaussian"]["mean"]), rel=1e-3)
    assert again.std == pytest.approx(float(committed["gaussian"]["std"]), rel=1e-3)


def test_quoted_values_have_the_shape_the_readme_says() -> None:
    table1 = read_csv("paper_table1.csv")
    assert len(table1) == 11
    assert max(table1, key=lambda row: float(row["score"]))["value"] == "0.2"
    table6 = json.loads((REFERENCE / "paper_table6.json").read_text())
    assert len(table6) == 49
    fig3 = json.loads((REFERENCE / "paper_fig3_digitised.json").read_text())
    assert {len(curve["curve"]) for task in fig3.values() for curve in task.values()} == {11}
    fig2 = [{key: float(value) for key, value in row.items()} for row in read_csv("paper_fig2.csv")]
    assert [row["x"] for row in fig2] == [-0.5, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2]
    assert all(row["l_clip"] <= min(row["l_cpi"], row["l_clipped_ratio"]) for row in fig2)
