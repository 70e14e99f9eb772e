"""A run that resumes from a checkpoint ends with the bits of one that was never interrupted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from repro.config.schema import Config
from repro.runs import checkpoint, store
from repro.training import resume
from repro.training.outcome import CORRUPT, SKIPPED
from repro.training.pack import run_pack
from tests.helpers.bits import assert_equal_bits
from tests.helpers.cli import Cli
from tests.helpers.faults import files
from tests.helpers.learners import make_learners
from tests.helpers.resuming import interrupt, uninterrupted
from tests.helpers.tiny import TINY, TINY_PPO, directory, result, tiny, train

TASKS = [
    "env=half_cheetah",
    "env=hopper",
    "env=inverted_double_pendulum",
    "env=inverted_pendulum",
    "env=reacher",
    "env=swimmer",
    "env=walker2d",
    "env=humanoid",
    "env=humanoid_flagrun",
    "env=humanoid_flagrun_harder",
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

ACER = "algorithm=acer algorithm.replay_size=64 algorithm.replay_start=0"

# -- F3: every task, every recipe -----------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_f3_a_run_in_pieces_has_the_bits_of_an_uninterrupted_one(tmp_path: Path, task: str) -> None:
    line = f"{task} recipe=ppo2 objective=kl_adaptive env.num_envs=2 algorithm.horizon=16"
    config = tiny(tmp_path / "pieces", line)
    (pieces,) = train([config], 1, 3, 4)
    assert_equal_bits(result(pieces.directory), uninterrupted(tmp_path, line))
    run = store.read_run(pieces.directory)
    assert [each["iteration"] for each in run["resumed"]] == [1, 3, 4]
    assert all(each["exact"] for each in run["resumed"])
    assert run["approximate"] is False and run["resumable"] == "exact"
    assert not (pieces.directory / "checkpoints").exists()


@pytest.mark.parametrize("line", ALGORITHMS)
def test_every_algorithm_resumes_alone_and_in_a_pack(tmp_path: Path, line: str) -> None:
    line = f"env=inverted_pendulum {line}"
    configs = [tiny(tmp_path / "pieces", f"{line} seed={seed}") for seed in range(3)]
    outcomes = train(configs, 2, 3)
    expected = uninterrupted(tmp_path, f"{line} seed=1")
    assert_equal_bits(result(outcomes[1].directory), expected)


@pytest.mark.parametrize("recipe", ["paper", "sb3"])
def test_a_replay_resumes_alone_and_in_a_pack(tmp_path: Path, recipe: str) -> None:
    line = f"env=gymnasium env.id=CartPole-v1 {ACER} env.num_envs=2 recipe={recipe}"
    line += " algorithm.horizon=16"
    configs = [tiny(tmp_path / "pieces", f"{line} seed={seed}") for seed in range(3)]
    outcomes = train(configs, 2, 3, 5)
    assert_equal_bits(result(outcomes[1].directory), uninterrupted(tmp_path, f"{line} seed=1"))
    assert not (outcomes[1].directory / "checkpoints").exists()


def test_a_replay_of_new_episodes_starts_empty(tmp_path: Path) -> None:
    """A task whose state cannot be saved continues; the observation after the newest is lost."""
    line = f"env=gymnasium env.id=CartPole-v1 {ACER} env.num_envs=2 algorithm.horizon=16"
    config = tiny(tmp_path, line)
    interrupt([config], 4)
    saved = checkpoint.load(directory(config), 4)
    pack = make_learners([config])
    pack.restore(0, resume.without_envs(saved.state))
    assert pack.replay.size == 0 and pack.iteration == 4
    assert pack.iterate().number == 5 and pack.replay.size == 1


@pytest.mark.parametrize("recipe", ["paper", "ppo1", "sb3", "cleanrl"])
def test_every_recipe_resumes(tmp_path: Path, recipe: str) -> None:
    line = f"env=reacher recipe={recipe} recipe.early_stop_kl=0.001 policy.shared=true"
    (pieces,) = train([tiny(tmp_path / "pieces", line)], 2)
    assert_equal_bits(result(pieces.directory), uninterrupted(tmp_path, line))


def test_a_pack_resumes_with_step_sizes_and_stds_of_schedules(tmp_path: Path) -> None:
    """Each learner's step size follows its own KL."""
    line = "env=humanoid_flagrun_harder env.num_envs=2 algorithm.horizon=16 algorithm.epochs=2"
    members = [f"{line} recipe.learning_rate_target_kl={kl}" for kl in (1e-6, 0.5)]
    configs = [tiny(tmp_path / "pieces", member) for member in members]
    outcomes = train(configs, 2, 3)
    for outcome, member in zip(outcomes, members, strict=True):
        assert_equal_bits(result(outcome.directory), uninterrupted(tmp_path / member[-4:], member))
    rates = [result(each.directory)["progress"]["learning_rate"] for each in outcomes]
    assert rates[0].iloc[-1] < 3e-4 < rates[1].iloc[-1]


# -- packs ----------------------------------------------------------------------------------------

MEMBERS = ("objective=clip seed=0", "objective=kl_adaptive seed=1", "objective=none seed=2")


def pack_of_three(tmp_path: Path) -> list[Config]:
    return [tiny(tmp_path / "pack", f"env=hopper recipe=ppo2 {member}") for member in MEMBERS]


def assert_members_equal_single_runs(tmp_path: Path, configs: list[Config]) -> None:
    for config, member in zip(configs, MEMBERS, strict=True):
        alone = uninterrupted(tmp_path, f"env=hopper recipe=ppo2 {member}")
        assert_equal_bits(result(directory(config)), alone)


def test_a_pack_resumes_as_a_pack(tmp_path: Path) -> None:
    configs = pack_of_three(tmp_path)
    outcomes = train(configs, 2, 5)
    assert [outcome.status for outcome in outcomes] == [store.DONE] * 3
    assert {store.read_run(directory(config))["pack_size"] for config in configs} == {3}
    assert_members_equal_single_runs(tmp_path, configs)


def test_a_run_of_a_pack_resumes_alone_and_then_in_the_pack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configs = pack_of_three(tmp_path)
    interrupt(configs, 2)
    interrupt([configs[1]], 2)
    assert [checkpoint.iterations(directory(config))[0] for config in configs] == [2, 4, 2]
    capsys.readouterr()
    run_pack(configs)
    assert capsys.readouterr().out.splitlines() == [
        "2 runs continue from iteration 2",
        "1 run continues from iteration 4",
    ]
    assert_members_equal_single_runs(tmp_path, configs)


def test_a_pack_that_was_killed_between_its_saves_resumes_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configs = pack_of_three(tmp_path)
    interrupt(configs, 4)
    shutil.rmtree(directory(configs[2]) / "checkpoints" / "iteration_00000004")
    capsys.readouterr()
    run_pack(configs)
    assert capsys.readouterr().out.startswith("3 runs continue from iteration 3\n")
    assert_members_equal_single_runs(tmp_path, configs)


def test_runs_are_grouped_by_the_iteration_they_resume_from() -> None:
    def groups(*kept: list[int]) -> list[tuple[int, list[int]]]:
        return resume._group(dict(enumerate(kept)))

    assert groups([], [], []) == [(0, [0, 1, 2])]
    assert groups([3, 4], [3, 4], [2, 3]) == [(3, [0, 1, 2])]
    assert groups([3, 4], [], [5, 6], [4, 5]) == [(0, [1]), (4, [0, 3]), (6, [2])]


# -- damage ---------------------------------------------------------------------------------------


def test_a_damaged_checkpoint_costs_one_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(tmp_path / "pieces", "env=hopper")
    interrupt([config], 4)
    damaged = directory(config) / "checkpoints" / "iteration_00000004" / "arrays.npz"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    run_pack([config])
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1 and str(damaged) in printed.err
    assert "continues from iteration 3" in printed.out
    assert_equal_bits(result(directory(config)), uninterrupted(tmp_path, "env=hopper"))


def test_a_run_with_only_damaged_checkpoints_is_exit_code_3(tmp_path: Path, cli: Cli) -> None:
    configs = pack_of_three(tmp_path)
    interrupt(configs, 4)
    for path in directory(configs[1]).glob("checkpoints/*/manifest.json"):
        path.write_bytes(b"{}")
    before = files(directory(configs[1]))
    outcomes = run_pack(configs)
    assert [outcome.status for outcome in outcomes] == [store.DONE, CORRUPT, store.DONE]
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


def test_f22_damaged_or_newer_tables_do_not_matter(
    tmp_path: Path,
) -> None:
    config = tiny(tmp_path / "pieces", "env=hopper")
    interrupt([config], 3)
    later = directory(config) / "progress.parquet"
    later.write_bytes(later.read_bytes()[:100])
    (directory(config) / "episodes.parquet").unlink()
    (directory(config) / "progress.parquet.tmp-0123abcd").write_bytes(b"PAR1 half of")
    run_pack([config])
    assert not list(directory(config).glob("*.tmp-*"))
    assert_equal_bits(result(directory(config)), uninterrupted(tmp_path, "env=hopper"))


def test_resume_never_sets_the_attempt_aside_and_starts_from_the_beginning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(tmp_path / "pieces", "env=hopper")
    for attempt in (1, 2):
        interrupt([config], 2)
        kept = (directory(config) / "progress.parquet").read_bytes()
        again = tiny(tmp_path / "pieces", "env=hopper resume=never")
        interrupt([again], 1)
        aside = tmp_path / "pieces" / ".set_aside" / f"{config.run_id}.{attempt}"
        assert (aside / "progress.parquet").read_bytes() == kept
        assert str(aside) in capsys.readouterr().err
        shutil.move(directory(config), tmp_path / f"half {attempt}")
    run_pack([again])
    assert_equal_bits(result(directory(config)), uninterrupted(tmp_path, "env=hopper"))
    assert store.run_directories(tmp_path / "pieces") == [directory(config)]
    assert run_pack([again])[0].status == SKIPPED  # a finished run stays


# -- simulators that cannot be saved --------------------------------------------------------------


def test_a_task_without_a_state_resumes_with_new_episodes_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "env=gymnasium env.id=tests.helpers.tasks:Unsaveable-v0 env.num_envs=2 recipe=ppo2"
    config = tiny(tmp_path, line)
    interrupt([config], 2)
    assert "Unsaveable-v0 has no way to save its state" in capsys.readouterr().out
    before = store.read_table(directory(config) / "episodes.parquet")
    run_pack([config])
    run = store.read_run(directory(config))
    assert run["resumable"] == "approximate" and run["approximate"] is True
    after = store.read_table(directory(config) / "episodes.parquet")
    assert after.head(len(before)).equals(before)
    new = after.iloc[len(before) :].groupby("actor").first()
    assert (new["length"] <= new["step"] - 2 * 64 + 1).all(), "new episodes"
    progress = store.read_table(directory(config) / "progress.parquet")
    assert progress["iteration"].tolist() == list(range(1, 1 + len(progress)))
