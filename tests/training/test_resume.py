"""A run that goes on from a checkpoint ends with the bits of one that never stopped."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
import torch
from gymnasium.envs.mujoco import mujoco_env

from repro.config.schema import Config
from repro.errors import ConfigError, PreemptedError
from repro.runs import archive, checkpoint, provenance, store
from repro.training import pack as session
from repro.training import resume
from tests.helpers.bits import assert_equal_bits, equal_bits
from tests.helpers.cli import Cli
from tests.helpers.configs import compose
from tests.helpers.faults import files, report
from tests.helpers.tiny import TINY, TINY_PPO, directory, result, tiny, train

TASKS = [
    "env=half_cheetah",
    "env=hopper",
    "env=inverted_double_pendulum",
    "env=inverted_pendulum",
    "env=reacher",
    "env=swimmer",
    "env=walker2d",
    "env=gymnasium env.id=CartPole-v1",
    "env=gymnasium env.id=Pendulum-v1",
    "env=gymnasium env.id=Acrobot-v1",
    "env=gymnasium env.id=tests.helpers.tasks:Walk-v0",
]
CRITIC = "algorithm.minibatch_size=16 algorithm.epochs=2"
ALGORITHMS = [
    f"algorithm=vpg {CRITIC}",
    f"algorithm=trpo {CRITIC}",
    "algorithm=a2c env.num_envs=2 algorithm.horizon=16",
    "algorithm=a2c_tr env.num_envs=2 algorithm.horizon=16",
    "algorithm=cem env.num_envs=2 algorithm.horizon=16 algorithm.candidates=3",
]
# Every kind of state: both normalizers, accumulators, an adaptive beta, schedules, early ends.
RICH = "recipe=ppo2 objective=kl_adaptive recipe.end_of_run=finished_episodes"
RICH += " recipe.learning_rate_schedule=linear"


def interrupt(configs: Sequence[Config], iterations: int) -> None:
    """Leave a pack after so many iterations."""
    seen = []

    def leave(progress: session.PackProgress) -> None:
        seen.append(progress)
        if len(seen) == iterations:
            raise PreemptedError("SIGTERM")

    with pytest.raises(PreemptedError):
        session.run_pack(configs, leave)


def whole(tmp_path: Path, line: str) -> dict[str, Any]:
    """The undisturbed run, alone."""
    (outcome,) = session.run_pack([tiny(tmp_path / "whole", line)])
    return result(outcome.directory)


# -- F3: every task, every recipe -----------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_f3_a_run_in_pieces_is_the_run(tmp_path: Path, task: str) -> None:
    line = f"{task} recipe=ppo2 objective=kl_adaptive env.num_envs=2 algorithm.horizon=16"
    config = tiny(tmp_path / "pieces", line)
    (pieces,) = train([config], 1, 3, 4)
    assert_equal_bits(result(pieces.directory), whole(tmp_path, line))
    run = store.read_run(pieces.directory)
    assert [each["iteration"] for each in run["resumed"]] == [1, 3, 4]
    assert all(each["exact"] for each in run["resumed"])
    assert run["approximate"] is False and run["resumable"] == "exact"
    assert not (pieces.directory / "checkpoints").exists()


@pytest.mark.parametrize("line", ALGORITHMS)
def test_every_algorithm_resumes_alone_and_in_a_pack(tmp_path: Path, line: str) -> None:
    line = f"env=inverted_pendulum {line}"
    pack = [tiny(tmp_path / "pieces", f"{line} seed={seed}") for seed in range(3)]
    outcomes = train(pack, 2, 3)
    expected = whole(tmp_path, f"{line} seed=1")
    assert_equal_bits(result(outcomes[1].directory), expected)


@pytest.mark.parametrize("recipe", ["paper", "ppo1", "sb3", "cleanrl"])
def test_every_recipe_resumes(tmp_path: Path, recipe: str) -> None:
    line = f"env=reacher recipe={recipe} recipe.early_stop_kl=0.001 policy.shared=true"
    (pieces,) = train([tiny(tmp_path / "pieces", line)], 2)
    assert_equal_bits(result(pieces.directory), whole(tmp_path, line))


# -- packs ----------------------------------------------------------------------------------------

MEMBERS = ("objective=clip seed=0", "objective=kl_adaptive seed=1", "objective=none seed=2")


def pack(tmp_path: Path) -> list[Config]:
    return [tiny(tmp_path / "pack", f"env=hopper recipe=ppo2 {member}") for member in MEMBERS]


def assert_members_are_as_if_alone(tmp_path: Path, configs: list[Config]) -> None:
    for config, member in zip(configs, MEMBERS, strict=True):
        alone = whole(tmp_path, f"env=hopper recipe=ppo2 {member}")
        assert_equal_bits(result(directory(config)), alone)


def test_a_pack_resumes_as_a_pack(tmp_path: Path) -> None:
    configs = pack(tmp_path)
    outcomes = train(configs, 2, 5)
    assert [outcome.status for outcome in outcomes] == [store.DONE] * 3
    assert {store.read_run(directory(config))["pack_size"] for config in configs} == {3}
    assert_members_are_as_if_alone(tmp_path, configs)


def test_a_run_of_a_pack_goes_on_alone_and_joins_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configs = pack(tmp_path)
    interrupt(configs, 2)
    interrupt([configs[1]], 2)
    assert [checkpoint.iterations(directory(config))[0] for config in configs] == [2, 4, 2]
    capsys.readouterr()
    session.run_pack(configs)
    assert capsys.readouterr().out.splitlines() == [
        "2 runs go on from iteration 2",
        "1 run goes on from iteration 4",
    ]
    assert_members_are_as_if_alone(tmp_path, configs)


def test_a_pack_that_was_killed_between_its_saves_goes_on_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configs = pack(tmp_path)
    interrupt(configs, 4)
    shutil.rmtree(directory(configs[2]) / "checkpoints" / "iteration_00000004")
    capsys.readouterr()
    session.run_pack(configs)
    assert capsys.readouterr().out.startswith("3 runs go on from iteration 3\n")
    assert_members_are_as_if_alone(tmp_path, configs)


def test_who_goes_on_with_whom() -> None:
    def groups(*kept: list[int]) -> list[tuple[int, list[int]]]:
        return resume._common(dict(enumerate(kept)))

    assert groups([], [], []) == [(0, [0, 1, 2])]
    assert groups([3, 4], [3, 4], [2, 3]) == [(3, [0, 1, 2])]
    assert groups([3, 4], [], [5, 6], [4, 5]) == [(0, [1]), (4, [0, 3]), (6, [2])]


# -- damage ---------------------------------------------------------------------------------------


def test_a_damaged_checkpoint_costs_an_interval_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(tmp_path / "pieces", "env=hopper")
    interrupt([config], 4)
    damaged = directory(config) / "checkpoints" / "iteration_00000004" / "arrays.npz"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    session.run_pack([config])
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1 and str(damaged) in printed.err
    assert "goes on from iteration 3" in printed.out
    assert_equal_bits(result(directory(config)), whole(tmp_path, "env=hopper"))


def test_only_damaged_ones_are_exit_code_3_and_others_go_on(tmp_path: Path, cli: Cli) -> None:
    configs = pack(tmp_path)
    interrupt(configs, 4)
    for path in directory(configs[1]).glob("checkpoints/*/manifest.json"):
        path.write_bytes(b"{}")
    before = files(directory(configs[1]))
    outcomes = session.run_pack(configs)
    assert [outcome.status for outcome in outcomes] == [store.DONE, session.CORRUPT, store.DONE]
    assert "say resume=never" in str(outcomes[1].error)
    assert files(directory(configs[1])) == before
    line = (
        *TINY,
        *TINY_PPO,
        "env=hopper",
        "recipe=ppo2",
        *MEMBERS[1].split(),
        "total_timesteps=192",
    )
    finished = cli(*line, f"runs_dir={tmp_path / 'pack'}")
    assert finished.code == 3 and finished.err == f"{outcomes[1].error}\n"


def test_f22_tables_that_are_damaged_or_ahead_do_not_matter(tmp_path: Path) -> None:
    config = tiny(tmp_path / "pieces", "env=hopper")
    interrupt([config], 3)
    later = directory(config) / "progress.parquet"
    later.write_bytes(later.read_bytes()[:100])
    (directory(config) / "episodes.parquet").unlink()
    (directory(config) / "progress.parquet.tmp-0123abcd").write_bytes(b"PAR1 half of")
    session.run_pack([config])
    assert not list(directory(config).glob("*.tmp-*"))
    assert_equal_bits(result(directory(config)), whole(tmp_path, "env=hopper"))


# -- F18: what has changed ------------------------------------------------------------------------


@pytest.fixture
def other_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = provenance.machine()
    changed = machine | {"versions": machine["versions"] | {"torch": "1.0"}}
    monkeypatch.setattr(provenance, "machine", lambda: changed)


def test_f18_another_version_is_refused(
    tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(tmp_path, "env=hopper")
    interrupt([config], 2)
    request.getfixturevalue("other_torch")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError) as caught:
        session.run_pack([config])
    text = str(caught.value)
    assert f"versions.torch was {torch.__version__} and is 1.0" in text
    assert "resume=approximate" in text and config.run_id in text
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_f18_approximate_goes_on_and_says_so(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    config = tiny(tmp_path, "env=hopper")
    interrupt([config], 2)
    request.getfixturevalue("other_torch")
    approximate = tiny(tmp_path, "env=hopper resume=approximate")
    assert approximate.run_id == config.run_id
    interrupt([approximate], 2)
    session.run_pack([config])  # from a checkpoint of the new version, hence exactly
    run = store.read_run(directory(config))
    assert run["approximate"] is True and run["status"] == store.DONE
    assert [each["exact"] for each in run["resumed"]] == [False, True]
    assert run["resumed"][0]["changed"] == {"versions.torch": [torch.__version__, "1.0"]}
    assert len(store.read_table(directory(config) / "progress.parquet")) == 6


def test_f18_another_simulator_goes_on_with_new_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt([tiny(tmp_path, "env=hopper")], 2)
    monkeypatch.setattr(mujoco, "__version__", "3.0")
    with pytest.raises(ConfigError, match="mujoco 4"):
        session.run_pack([tiny(tmp_path, "env=hopper")])
    config = tiny(tmp_path, "env=hopper resume=approximate")
    session.run_pack([config])
    run = store.read_run(directory(config))
    assert run["approximate"] is True and not run["resumed"][0]["exact"]


def test_f18_another_thread_count_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(tmp_path, "env=hopper")
    interrupt([config], 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(ConfigError, match="threads was 1 and is 2"):
        session.run_pack([config])


def test_f18_other_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(tmp_path, "env=hopper")
    interrupt([config], 2)
    before = resume.code()
    monkeypatch.setattr(resume, "code", lambda: "another")
    with pytest.raises(ConfigError, match=f"code was {before} and is another"):
        session.run_pack([config])


def test_f18_another_model_of_the_task_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same version: somebody has edited the XML."""
    config = tiny(tmp_path, "env=hopper")
    interrupt([config], 2)
    assets = Path(mujoco_env.__file__).parent / "assets"
    edited = shutil.copytree(assets, tmp_path / "assets")
    xml = edited / "hopper.xml"
    text = xml.read_text()
    assert 'friction="0.9"' in text
    xml.write_text(text.replace('friction="0.9"', 'friction="0.8"'))
    monkeypatch.setattr(mujoco_env, "expand_model_path", lambda name: str(edited / name))
    with pytest.raises(ConfigError, match="model"):
        session.run_pack([config])
    session.run_pack([tiny(tmp_path, "env=hopper resume=approximate")])
    run = store.read_run(directory(config))
    assert run["approximate"] is True and run["status"] == store.DONE


@pytest.mark.parametrize(
    "changed", ["seed=1", "algorithm.gamma=0.9", "env.num_envs=2 algorithm.horizon=16"]
)
def test_f18_another_configuration_is_refused_key_by_key(tmp_path: Path, changed: str) -> None:
    config, other = tiny(tmp_path, "env=hopper"), tiny(tmp_path, f"env=hopper {changed}")
    interrupt([config], 2)
    directory(config).rename(directory(other))
    with pytest.raises(ConfigError) as caught:
        session.run_pack([other])
    for each in changed.split():
        key, value = each.split("=")
        assert f"config.{key} was " in str(caught.value) and f"and is {value}" in str(caught.value)


def test_the_identity_holds_what_bits_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(tmp_path, "env=hopper")
    here = resume.identity(config, "cpu")
    assert json.loads(json.dumps(here)) == here
    elsewhere = resume.changes(here, resume.identity(config, "cuda"))
    assert elsewhere == {"device": ("cpu", "cuda"), "engine": ("native", "torch")}
    plain = tiny(tmp_path, "env=hopper engine=torch")
    assert resume.changes(here, resume.identity(plain, "cpu")) == {"engine": ("native", "torch")}
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: 2)
        assert resume.changes(here, resume.identity(config, "cpu")) == {"threads": (1, 2)}
    atari = compose("env=atari", "env.game=pong")
    versions = resume.identity(atari, "cpu")["versions"]
    assert versions.keys() - here["versions"].keys() == {"ale-py", "opencv-python-headless"}
    assert all(versions.values())
    # A key that was not there yet, or is no longer, is a change too.
    assert resume.changes({"a": {}}, {"a": {"engine": "native"}}) == {"a.engine": (None, "native")}


def test_the_code_counts_where_it_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "repro"
    shutil.copytree(Path(resume.repro.__file__).parent, copy)
    monkeypatch.setattr(resume.repro, "__file__", str(copy / "__init__.py"))
    here = resume.code.__wrapped__()
    for name in ("sinks.py", "session.py"):
        (copy / name).write_text("# changed")
        assert resume.code.__wrapped__() == here, name
    for name in ("rollout.py", "envs/mujoco.py", "algorithms/new.py"):
        (copy / name).write_text("# changed")
        assert resume.code.__wrapped__() != here, name
        here = resume.code.__wrapped__()


def test_never_sets_the_attempt_aside_and_begins_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(tmp_path / "pieces", "env=hopper")
    for attempt in (1, 2):
        interrupt([config], 2)
        kept = (directory(config) / "progress.parquet").read_bytes()
        anew = tiny(tmp_path / "pieces", "env=hopper resume=never")
        interrupt([anew], 1)
        aside = tmp_path / "pieces" / ".set_aside" / f"{config.run_id}.{attempt}"
        assert (aside / "progress.parquet").read_bytes() == kept
        assert str(aside) in capsys.readouterr().err
        shutil.move(directory(config), tmp_path / f"half {attempt}")
    session.run_pack([anew])
    assert_equal_bits(result(directory(config)), whole(tmp_path, "env=hopper"))
    assert store.run_directories(tmp_path / "pieces") == [directory(config)]
    assert session.run_pack([anew])[0].status == session.SKIPPED  # a finished run stays


# -- simulators that cannot be saved --------------------------------------------------------------


def test_an_opaque_task_says_so_and_goes_on_with_new_episodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "env=gymnasium env.id=tests.helpers.tasks:Opaque-v0 env.num_envs=2 recipe=ppo2"
    config = tiny(tmp_path, line)
    interrupt([config], 2)
    assert "Opaque-v0 has no way to save its state" in capsys.readouterr().out
    before = store.read_table(directory(config) / "episodes.parquet")
    session.run_pack([config])
    run = store.read_run(directory(config))
    assert run["resumable"] == "approximate" and run["approximate"] is True
    after = store.read_table(directory(config) / "episodes.parquet")
    assert after.head(len(before)).equals(before)
    new = after.iloc[len(before) :].groupby("actor").first()
    assert (new["length"] <= new["step"] - 2 * 64 + 1).all(), "episodes that began anew"
    progress = store.read_table(directory(config) / "progress.parquet")
    assert progress["iteration"].tolist() == list(range(1, 1 + len(progress)))


# -- F27: the comparison sees every field ---------------------------------------------------------


def mutated(leaf: Any) -> Any:
    """Something else of the same kind."""
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f":
        return np.where(np.isnan(leaf), 1, leaf * leaf.dtype.type(1.01) + leaf.dtype.type(0.01))
    if isinstance(leaf, np.ndarray):
        return leaf + leaf.dtype.type(1)
    if isinstance(leaf, list):  # of generators
        return [{**each, "state": {**each["state"], "state": 12345}} for each in leaf]
    return {bool: lambda: not leaf, str: lambda: f"{leaf}?"}.get(type(leaf), lambda: leaf + 1)()


def part_of_integration(state: np.ndarray[Any, Any], name: str) -> slice:
    """Where a part lies in the simulator's state of Walker2d."""
    model = gymnasium.make("Walker2d-v5").unwrapped.model  # type: ignore[attr-defined]
    signature, part = mujoco.mjtState.mjSTATE_INTEGRATION, getattr(mujoco.mjtState, name)
    assert state.shape[-1] == mujoco.mj_stateSize(model, signature)
    before = [bit for bit in range(part.value.bit_length() - 1) if signature & 1 << bit]
    start = sum(mujoco.mj_stateSize(model, 1 << bit) for bit in before)
    return slice(start, start + mujoco.mj_stateSize(model, part))


def noticed(
    config: Config, saved: checkpoint.Checkpoint, change: dict[str, Any], golden: dict[str, Any]
) -> bool:
    """Whether going on from a checkpoint with some leaves changed gives something else."""
    arrays, values = archive.flatten({"state": saved.state, "tables": saved.tables})
    tree = archive.unflatten(arrays | values | change)
    shutil.rmtree(directory(config))
    altered = dataclasses.replace(saved, state=tree["state"], tables=tree["tables"])
    checkpoint.save(directory(config), altered)
    try:
        session.run_pack([config])
    except Exception:
        return True
    return not equal_bits(result(directory(config)), golden)


def assert_each_is_noticed(
    tmp_path: Path, line: str, changes: Callable[[dict[str, Any]], dict[str, Any]]
) -> int:
    golden = whole(tmp_path, line)
    config = tiny(tmp_path / "pieces", line)
    interrupt([config], 4)
    saved = checkpoint.load(directory(config), 4)
    config = tiny(tmp_path / "pieces", f"{line} checkpoint.every_seconds=1000")
    arrays, values = archive.flatten({"state": saved.state, "tables": saved.tables})
    altered = changes(arrays | values)
    assert not noticed(config, saved, {}, golden), "unchanged, it is the golden run"
    unnoticed = [
        name
        for name, leaf in altered.items()
        if not noticed(config, saved, {name.partition("@")[0]: leaf}, golden)
    ]
    assert not unnoticed
    return len(altered)


def test_f27_each_saved_field_matters(tmp_path: Path) -> None:
    # Time enough for new episodes after the interruption, so that counters and seeds matter.
    line = f"env=reacher {RICH} env.num_envs=2 algorithm.horizon=16 total_timesteps=320"

    def changes(leaves: dict[str, Any]) -> dict[str, Any]:
        return {
            name: mutated(leaf)
            for name, leaf in leaves.items()
            if leaf is not None and "time_" not in name
        }

    fields = assert_each_is_noticed(tmp_path, line, changes)
    assert fields > 40
    report("f27_sensitivity", {"fields_changed": fields, "noticed": fields})


def test_f27_the_warm_start_matters(tmp_path: Path) -> None:
    """Positions and velocities alone would not do."""

    def changes(leaves: dict[str, Any]) -> dict[str, Any]:
        path = "state/collector/envs/integration"
        altered = {}
        for part in ("QPOS", "QVEL", "WARMSTART"):
            state = leaves[path].copy()
            columns = part_of_integration(state, f"mjSTATE_{part}")
            state[:, columns] = mutated(state[:, columns])
            altered[f"{path}@{part}"] = state
        return altered

    assert assert_each_is_noticed(tmp_path, "env=walker2d", changes) == 3
