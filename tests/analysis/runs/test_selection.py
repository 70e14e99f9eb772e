"""Loading and selecting runs: expected against found, and the refusal to mix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.errors import AnalysisError
from analysis.runs.load import frame, load_sweep
from analysis.runs.run import Sweep
from analysis.runs.selection import check_table, selected
from repro.runs import store
from tests.helpers.synthetic_runs import identity, write_run


def _write(runs_dir: Path, *infos: dict[str, Any]) -> None:
    for info in infos:
        write_run(runs_dir, info, [1.0, 2.0])


def _chosen(runs_dir: Path, *conditions: str) -> Sweep:
    return selected([runs_dir], conditions)


def test_every_hole_is_kept_with_its_reason(tmp_path: Path) -> None:
    infos = [identity(seed=seed) for seed in range(6)]
    store.write_sweep(tmp_path, infos)
    write_run(tmp_path, infos[0], [1.0, 3.0])
    write_run(
        tmp_path, infos[1], [9.0], status=store.FAILED, failed_iteration=7, error="line\nNaN: loss"
    )
    write_run(tmp_path, infos[2], [9.0], status=store.RUNNING)
    write_run(tmp_path, infos[3], [9.0], status=store.PREEMPTED)
    write_run(tmp_path, infos[4], [])
    table = frame(load_sweep(tmp_path).runs, episodes=100).set_index("seed")
    assert table["hole"].to_dict() == {
        0: "",
        1: "failed in iteration 7: NaN: loss",
        2: "still running, or killed while it ran",
        3: "stopped before its end",
        4: "finished without completing an episode",
        5: "never started",
    }
    assert table["return"].dropna().to_dict() == {0: 2.0}


def test_returns_that_are_not_finite_are_a_hole(tmp_path: Path) -> None:
    write_run(tmp_path, identity(), [1.0, float("nan")])
    assert frame(load_sweep(tmp_path).runs, 100)["hole"].tolist() == [
        "holds returns that are not finite"
    ]


def test_episodes_count_in_the_order_in_which_they_ended(tmp_path: Path) -> None:
    # Two actors' episodes may lie in the table one actor after the other.
    write_run(tmp_path, identity(), [1.0, 2.0, 9.0, 4.0], steps=[10, 30, 20, 40])
    assert frame(load_sweep(tmp_path).runs, episodes=2)["return"].tolist() == [3.0]


def test_without_sweep_json_the_expected_runs_are_the_ones_found(tmp_path: Path) -> None:
    _write(tmp_path, identity(seed=0))
    sweep = load_sweep(tmp_path)
    assert len(sweep.runs) == 1
    assert "no sweep.json" in sweep.notes[0]


def test_a_run_that_no_sweep_lists_is_counted_and_named(tmp_path: Path) -> None:
    store.write_sweep(tmp_path, [identity(seed=0)])
    _write(tmp_path, identity(seed=0), extra := identity(seed=1))
    sweep = load_sweep(tmp_path)
    assert len(sweep.runs) == 2
    assert extra["run_id"] in sweep.notes[0]


def test_sweeps_below_the_directory_are_expected_too(tmp_path: Path) -> None:
    store.write_sweep(tmp_path / "a", [identity(seed=0)])
    store.write_sweep(tmp_path / "b", [identity(seed=1)])
    assert len(load_sweep(tmp_path).runs) == 2


def test_a_run_found_twice_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "a", identity())
    _write(tmp_path / "b", identity())
    with pytest.raises(AnalysisError, match=r"lies in .* and in"):
        load_sweep(tmp_path)


@pytest.mark.parametrize(
    ("changes", "key", "option"),
    [
        ({"total_timesteps": 51200, "budget": "quick"}, "total_timesteps", "--budget"),
        ({"recipe": "sb3"}, "recipe", "--recipe paper"),
        ({"num_envs": 8}, "num_envs", "--where num_envs=1"),
        ({"recipe.clip_actions": True}, "recipe.clip_actions", "--where recipe.clip_actions=false"),
        ({"algorithm.learning_rate": 1e-3}, "algorithm.learning_rate", "--where"),
        ({"objective.other": 1}, None, None),
    ],
)
def test_mixing_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], key: str | None, option: str | None
) -> None:
    _write(tmp_path, identity(seed=0))
    write_run(tmp_path, identity(seed=1, **changes), [1.0], config_changes=changes)
    if key is None:
        check_table(load_sweep(tmp_path).runs)  # one of the runs does not have the key at all
        return
    with pytest.raises(AnalysisError) as caught:
        check_table(load_sweep(tmp_path).runs)
    assert f"for {key} differs" in str(caught.value)
    assert option is not None and option in str(caught.value)


def test_rows_must_agree_in_every_key_of_their_objective(tmp_path: Path) -> None:
    for seed, beta in ((0, 1.0), (1, 2.0)):
        changes: dict[str, Any] = {"objective.beta": beta}
        info = identity(kind="kl_adaptive", value=0.01, seed=seed, **changes)
        write_run(tmp_path, info, [1.0], config_changes=changes)
    with pytest.raises(AnalysisError, match=r"objective\.beta differs"):
        check_table(load_sweep(tmp_path).runs)


def test_two_versions_of_one_task_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, identity("Hopper-v4"), identity("Hopper-v5"))
    with pytest.raises(AnalysisError, match="env_id differs"):
        check_table(load_sweep(tmp_path).runs)


def test_two_configurations_of_one_seed_are_refused_even_unseen(tmp_path: Path) -> None:
    # Neither run started, so nothing but the hash can tell them apart.
    changes: dict[str, Any] = {"algorithm.learning_rate": 1e-3}
    infos = [identity(), identity(**changes)]
    store.write_sweep(tmp_path, infos)
    with pytest.raises(AnalysisError, match="two configurations"):
        check_table(load_sweep(tmp_path).runs)


def test_objective_task_and_seed_may_differ(tmp_path: Path) -> None:
    _write(tmp_path, identity(), identity("Reacher-v4", "kl_fixed", 1.0, seed=3))
    check_table(load_sweep(tmp_path).runs)


def test_placement_may_differ(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"logger.name": "wandb"}
    _write(tmp_path, identity(seed=0))
    write_run(tmp_path, identity(seed=1, **changes), [1.0], config_changes=changes)
    check_table(load_sweep(tmp_path).runs)


def test_where_selects_by_field_and_by_dotted_key(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"recipe.clip_actions": True}
    write_run(tmp_path, clipped := identity(seed=1, **changes), [1.0], config_changes=changes)
    _write(tmp_path, identity(seed=0), identity(seed=2))
    assert [run.info["seed"] for run in _chosen(tmp_path, "seed=2").runs] == [2]
    found = _chosen(tmp_path, "recipe.clip_actions=true").runs
    assert [run.run_id for run in found] == [clipped["run_id"]]
    assert len(_chosen(tmp_path, "algorithm.learning_rate=3e-4").runs) == 3
    for condition in ("recipe.clip_actions=false", "recipe.clip_actions!=true"):
        assert [run.info["seed"] for run in _chosen(tmp_path, condition).runs] == [0, 2]


def test_a_run_that_a_condition_cannot_place_is_named(tmp_path: Path) -> None:
    store.write_sweep(tmp_path, [identity(seed=0), missing := identity(seed=1)])
    _write(tmp_path, identity(seed=0))
    sweep = _chosen(tmp_path, "recipe.clip_actions=false")
    assert len(sweep.runs) == 1
    assert missing["run_id"] in sweep.notes[-1]
    # What identifies a run is known before it starts.
    assert len(_chosen(tmp_path, "recipe=paper").runs) == 2


def test_a_configuration_in_sweep_json_places_a_run_that_never_started(tmp_path: Path) -> None:
    info = identity(seed=1)
    store.write_sweep(tmp_path, [info | {"config": {"recipe": {"clip_actions": False}}}])
    assert len(_chosen(tmp_path, "recipe.clip_actions=false").runs) == 1


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("seed", "no KEY=VALUE"),
        ("recpe.clip_actions=true", r"did you mean recipe\.clip_actions"),
        ("seed=9", "No run has seed=9: the runs there have 0"),
        ("recipe.clip_actions=0", "No run has"),
    ],
)
def test_bad_conditions(tmp_path: Path, condition: str, message: str) -> None:
    _write(tmp_path, identity())
    with pytest.raises(AnalysisError, match=message):
        _chosen(tmp_path, condition)
