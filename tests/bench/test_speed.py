"""The benchmark measures what it says, and its file has the keys others read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.bench import contenders
from repro.bench.__main__ import main
from repro.bench.rows import PHASES
from repro.bench.speed import _row
from tests.helpers.configs import compose

SMALL = ["algorithm.horizon=64", "algorithm.epochs=1"]


def test_the_file_holds_ratios_of_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "bench.json"
    arguments = ["--env", "hopper,swimmer", "--population", "1,3", "--rounds", "1"]
    # Without a name, the benchmark is speed.
    assert main([*arguments, "--out", str(out), *SMALL]) == 0
    result = json.loads(out.read_text())
    assert result["command"].startswith("python -m repro.bench speed --env hopper,swimmer")
    assert len(result["rows"]) == 2 * 4
    for env in ("hopper", "swimmer"):
        rows = {(r["contender"], r["population"]): r for r in result["rows"] if r["env"] == env}
        physics, sb3 = (rows[name, None]["cpu_us"] for name in ("physics", "sb3"))
        assert 0 < physics < sb3
        for population in (1, 3):
            row = rows["ours", population]
            phases = sum(row[f"{phase}_us"] for phase in PHASES)
            # What lies between two phases is little, but a busy machine may take the core there.
            assert phases == pytest.approx(row["total_us"], rel=0.2)
            assert row["over_physics"] == pytest.approx(row["cpu_us"] / physics)
            assert row["over_sb3"] == pytest.approx(sb3 / row["cpu_us"])
            assert row["env_us"] > physics / 3 and row["cpu_us"] < 1.5 * row["total_us"]
    assert "pack of 3" in capsys.readouterr().out


def test_each_algorithm_is_compared_with_sb3s_of_the_same_name(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    line = "--env half_cheetah --algorithm a2c,vpg,trpo --population 2 --rounds 1 --out"
    further = ["policy.hidden_sizes=[8,8]", "algorithm.horizon=64", "recipe=sb3"]
    assert main(["speed", *line.split(), str(out), *further]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [(r["algorithm"], r["contender"]) for r in rows] == [
        *(("a2c", contender) for contender in ("sb3", "ours", "physics")),
        *(("vpg", contender) for contender in ("ours", "physics")),  # SB3 has none
        *(("trpo", contender) for contender in ("sb3", "ours", "physics")),
    ]
    for row in rows:
        assert row["total_us"] > 0 and (row["over_sb3"] is None) == (row["algorithm"] == "vpg")


@pytest.mark.parametrize("algorithm", contenders.COMPARED)
def test_sb3s_algorithm_has_all_settings_that_both_have(algorithm: str) -> None:
    line = "env=hopper env.num_envs=3 algorithm.horizon=64 policy.hidden_sizes=[8]"
    line += " algorithm.gamma=0.8"
    further = [*line.split(), *contenders.COMPARABLE_OVERRIDES.get(algorithm, [])]
    config = compose(f"algorithm={algorithm}", *further)
    other = contenders.sb3_config(config)
    assert other.algorithm.name == f"sb3_{algorithm}" and other.batch_size == 192
    assert (other.env, other.policy) == (config.env, config.policy)
    for key in ("horizon", "gamma", "gae_lambda", "epochs", "minibatch_size"):
        assert getattr(other.algorithm, key, 0) == getattr(config.algorithm, key, 0)
    model = contenders.StableBaselines3(config).model
    assert (model.n_steps, model.n_envs, model.gamma) == (64, 3, 0.8)


def test_ratios_are_taken_round_by_round() -> None:
    """A machine that slows down between rounds slows both sides of a round's ratio."""
    samples = {
        "ours 3": [{"total_us": 2.0}, {"total_us": 20.0}, {"total_us": 200.0}],
        "physics": [{"total_us": 1.0}, {"total_us": 10.0}, {"total_us": 100.0}],
        "sb3": [{"total_us": 8.0}, {"total_us": 80.0}, {"total_us": 800.0}],
    }
    row = _row("ours 3", samples)
    assert row["over_physics"] == 2 and row["over_sb3"] == 4
    assert (row["low_us"], row["total_us"], row["high_us"]) == (2, 20, 200)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--env gymnasium --population 1 env.id=Pendulum-v1", "say --baselines sb3"),
        ("--algorithm ppo,cem", "--algorithm takes ppo, a2c, a2c_tr, vpg, trpo"),
        ("--baselines sb2", "--baselines takes physics, sb3"),
        ("--population 0", "argument --population: 0 must be a whole number of 1 or more"),
        ("--population x", "argument --population: x must be a whole number"),
        ("--population 1,,2", "argument --population: must be a whole number"),
        ("--rounds 0", "argument --rounds: 0 must be a whole number of 1 or more"),
        ("sped --rounds 1", "NAME=sped is not known (did you mean speed?)"),
    ],
)
def test_wrong_input_is_one_sentence(
    capsys: pytest.CaptureFixture[str], line: str, sentence: str
) -> None:
    assert main([*line.split(), *([] if line.startswith("sped") else SMALL)]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_the_help_lists_the_benchmarks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    for name in ("speed", "scaling", "atari"):
        assert f"  {name} " in listed
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0
        assert f"usage: python -m repro.bench {name}" in capsys.readouterr().out
