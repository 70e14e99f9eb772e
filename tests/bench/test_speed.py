"""The benchmark measures what it says, and its file has the keys others read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.bench import contenders, speed
from tests.helpers.configs import compose

SMALL = ["algorithm.horizon=64", "algorithm.epochs=1"]


def test_the_file_holds_ratios_of_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "bench.json"
    arguments = ["--env", "hopper,swimmer", "--population", "1,3", "--rounds", "1"]
    assert speed.main([*arguments, "--out", str(out), *SMALL]) == 0
    result = json.loads(out.read_text())
    assert result["command"].startswith("python -m repro.bench.speed --env hopper,swimmer")
    assert len(result["rows"]) == 2 * 4
    for env in ("hopper", "swimmer"):
        rows = {(r["contender"], r["population"]): r for r in result["rows"] if r["env"] == env}
        physics, sb3 = (rows[name, None]["total_us"] for name in ("physics", "sb3"))
        assert 0 < physics < sb3
        for population in (1, 3):
            row = rows["ours", population]
            phases = sum(row[f"{phase}_us"] for phase in contenders.PHASES)
            assert phases == pytest.approx(row["total_us"], rel=0.05)
            assert row["over_physics"] == pytest.approx(row["total_us"] / physics)
            assert row["over_sb3"] == pytest.approx(sb3 / row["total_us"])
            assert row["env_us"] > physics / 3
    assert "pack of 3" in capsys.readouterr().out


def test_each_algorithm_meets_its_namesake(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    line = "--env half_cheetah --algorithm a2c,trpo --population 2 --rounds 1 --out"
    further = ["policy.hidden_sizes=[8,8]", "algorithm.horizon=64", "recipe=sb3"]
    assert speed.main([*line.split(), str(out), *further]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [(r["algorithm"], r["contender"]) for r in rows] == [
        (name, contender) for name in ("a2c", "trpo") for contender in ("sb3", "ours", "physics")
    ]
    for row in rows:
        assert row["total_us"] > 0 and row["over_sb3"] is not None


@pytest.mark.parametrize("algorithm", contenders.COMPARED)
def test_the_namesake_has_all_that_both_have(algorithm: str) -> None:
    line = "env=hopper env.num_envs=3 algorithm.horizon=64 policy.hidden_sizes=[8]"
    further = [*line.split(), "algorithm.gamma=0.8", *contenders.COMPARABLE.get(algorithm, [])]
    config = compose(f"algorithm={algorithm}", *further)
    theirs = contenders.counterpart(config)
    assert theirs.algorithm.name == f"sb3_{algorithm}" and theirs.batch_size == 192
    assert (theirs.env, theirs.policy) == (config.env, config.policy)
    for key in ("horizon", "gamma", "gae_lambda", "epochs", "minibatch_size"):
        assert getattr(theirs.algorithm, key, 0) == getattr(config.algorithm, key, 0)
    model = contenders.StableBaselines3(config).model
    assert (model.n_steps, model.n_envs, model.gamma) == (64, 3, 0.8)


def test_an_algorithm_without_a_namesake_is_refused() -> None:
    with pytest.raises(SystemExit) as stop:
        speed.main(["--algorithm", "ppo,cem"])
    assert stop.value.code == 2


def test_ratios_are_taken_round_by_round() -> None:
    """A machine that slows down between rounds slows both sides of a round's ratio."""
    samples = {
        "ours 3": [{"total_us": 2.0}, {"total_us": 20.0}, {"total_us": 200.0}],
        "physics": [{"total_us": 1.0}, {"total_us": 10.0}, {"total_us": 100.0}],
        "sb3": [{"total_us": 8.0}, {"total_us": 80.0}, {"total_us": 800.0}],
    }
    row = speed._row("ours 3", samples)
    assert row["over_physics"] == 2 and row["over_sb3"] == 4
    assert (row["low_us"], row["total_us"], row["high_us"]) == (2, 20, 200)


def test_a_task_without_physics_is_told_what_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--env", "gymnasium", "--population", "1", "env.id=Pendulum-v1", *SMALL]
    assert speed.main(arguments) == 2
    assert "say --baselines sb3" in capsys.readouterr().err


@pytest.mark.parametrize("population", ["0", "x", "1,,2"])
def test_a_wrong_population_is_refused(population: str) -> None:
    with pytest.raises(SystemExit) as stop:
        speed.main(["--population", population])
    assert stop.value.code == 2
