"""The command line: what it refuses, how it says so, and what it leaves behind."""

from __future__ import annotations

import importlib.util
import os
import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import repro
from repro import __main__ as command
from repro.config import hydra_errors, keys
from repro.config.overrides import check_overrides
from repro.errors import ConfigError
from repro.runs import store
from repro.sweeps import sweep
from tests.helpers.cli import Cli, finish, start
from tests.helpers.sweeps import composed

SECONDS = 3  # of processor time: how busy the machine is makes no difference

# What is typed -> what must be in the one sentence about it.
WRONG = {
    "": "env has no value",
    "env=hopper algorithm.horzion=3": "did you mean algorithm.horizon?",
    "env=hopper +algorithm.horzion=3": "did you mean algorithm.horizon?",
    "env=hopper horizon=3": "did you mean algorithm.horizon?",
    "env=hopper optimizer.learning_rate=1": "did you mean algorithm.learning_rate?",
    "env=hopper +foo.bar=1": "foo.bar is not a key",
    "env=hopper recipe.foo=1": "recipe has name, observation_normalization",
    "env=hopper enf=hopper": "did you mean env?",
    "env=hopper foo/bar=1": "foo/bar is not a key",
    "env=hoper": "did you mean hopper?",
    "env=reacher env.atari.frame_skip=2": "a key of env=atari only",
    "env=hopper objective=clp": "did you mean clip?",
    "env=hopper objective=table1/clp_0.1": "did you mean table1/clip_0.1?",
    "env=hopper recipe=ppo3": "did you mean ppo2?",
    "env=hopper recipe=null": "recipe=null is not known",
    "env=hopper algorithm=3": "algorithm=3 is not known",
    "env=hopper +experiment=tabel1": "did you mean table1?",
    "env=hopper experiment=table1": "must be written as +experiment=table1",
    "env=hopper +recipe=ppo1": "must be written as recipe=ppo1",
    "env=hopper +seed=3": "leave out the +",
    "env=hopper ~seed": "set seed instead",
    "env=hopper env@other=hopper": "say env=",
    "env=[hopper,walker2d]": "say -m env=hopper,walker2d",
    "env=hopper seed=1,2": "add -m",
    "env=hopper algorithm.gamma=abc": "algorithm.gamma=abc must be a number",
    "env=hopper seed=x": "seed=x must be a whole number",
    "env=hopper seed=1.5": "seed=1.5 must be a whole number",
    "env=hopper seed=null": "it needs a value",
    "env=hopper progress=maybe": "progress=maybe must be true or false",
    "env=hopper policy.hidden_sizes=3": "policy.hidden_sizes=3",
    "env=hopper algorithm.gamma=1.1": "algorithm.gamma=1.1",
    "env=hopper algorithm.minibatch_size=100": "does not divide",
    "env=hopper objective=kl_fixed objective.epsilon=0.2": "objective has kind, beta",
    "env=hopper objective.kind=none": "objective.epsilon is not known",
    "env=hopper objective.kind=kl_fixed": "objective.kind=kl_fixed has beta",
    "env=hopper env.id=${nothing}": "env.id",
    "env=gymnasium": "env.id has no value",
    "env=gymnasium env.id=CartPol-v1": "did you mean CartPole-v1?",
    "env=gymnasium env.id=FrozenLake-v1": "FrozenLake-v1",
    "env=hopper env.version=v9": "did you mean Hopper-v5?",
    "env=hopper seed=[1,2": "seed=[1,2 cannot be read",
    "env=hopper seed": "seed cannot be read",
    "env=hopper =3": "=3",
    "env=hopper hydra.launcher.wokers=1": "did you mean hydra.launcher.workers?",
    "env=hopper hydra/launcher=foo": "it can be basic, population",
    "-m env=range(3)": "env=range(3) holds numbers, but env can be",
    "env=hopper hydra/launcher=0": "write one name",
    "-m env=hopper hydra/launcher=[1,2]": "write one name",
    "env=hopper --foo": "--foo",
    "env=hopper --cfg foo": "foo",
    "env=hopper runs_dir=": "runs_dir has no value",
    "env=hopper runs_dir=/dev/null/runs": "runs_dir=/dev/null/runs cannot be written to",
    "env=hopper runs_dir=/proc/runs": "runs_dir=/proc/runs cannot be written to",
    "env=hopper device=gpu": "device=gpu is not known",
    "env=hopper device=1": "as in device=cuda:1",
    "env=hopper device=cuda:one": "as in device=cuda:1",
    "env=hopper device=cuda:1+1": "names a GPU twice",
    "-m env=hopper device=cuda:0,1": "for a sweep device=cuda:0+1",
    "-m env=hopper device=cuda:0 hydra.launcher.backend=submitit": "hands out GPUs by itself",
    "env=hopper logger=wandb logger.mode=onlin": "logger.mode=onlin is not known",
    "-m env=hopper,hoper seed=0,1": "did you mean hopper?",
    "-m seed=0,1": "env has no value",
    "-m env=hopper seed=0,x": "In the job env=hopper seed=x",
    "-m env=hopper,gymnasium": "In the job env=gymnasium: env.id has no value",
    "-m env=hopper algorithm.epochs=1,0": "In the job env=hopper algorithm.epochs=0",
    "-m +experiment=table1 algorithm.minibatch_size=100": "does not divide",
    "-m env=hopper seed=0,0": "are the same run",
    "-m env=hopper logger=none,tensorboard": "are the same run",
    "-m env=hopper hydra.launcher.workers=0": "hydra.launcher.workers=0",
    "-m env=hopper hydra.launcher.max_pack=x": "hydra.launcher.max_pack=x",
    "-m env=hopper hydra.launcher.backend=luky": "did you mean loky?",
    "-m env=hopper hydra.sweeper.max_batch_size=0": "hydra.sweeper.max_batch_size=0",
    "-m env=hopper hydra.verbose=true,false": "hydra.verbose",
    "-m env=hopper algorithm.gamma=interval(0,1)": "INTERVAL",
}
# Again from a shell, and measured: one of each way in which a command can be refused.
TIMED = [
    "env=hopper algorithm.horzion=3",
    "env=hoper",
    "env=hopper seed=x",
    "env=hopper algorithm.minibatch_size=100",
    "env=gymnasium env.id=CartPol-v1",
    "env=hopper env.version=v9",
    "env=hopper runs_dir=/dev/null/runs",
    "-m +experiment=table1 algorithm.minibatch_size=100",
]


@pytest.mark.parametrize("line", WRONG)
def test_bad_input_is_one_sentence(cli: Cli, line: str) -> None:
    finished = cli(*line.split())
    assert finished.code == 2
    assert WRONG[line] in finished.err
    assert finished.err.count("\n") == 1 and finished.err.endswith("\n")
    assert not finished.out and not cli.left()
    assert "HYDRA_FULL_ERROR" not in os.environ


@pytest.mark.parametrize("line", TIMED)
def test_bad_input_is_refused_at_once(tmp_path: Path, line: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    finished = finish(start(tmp_path, *line.split()))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS
    assert finished.code == 2 and finished.err.count("\n") == 1
    assert WRONG[line] in finished.err
    assert not finished.out and not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "wandb" else find(name, *a)
    )
    for mode in ([], ["-m"]):
        finished = cli(*mode, "env=hopper", "logger=wandb")
        assert finished.code == 2 and finished.err.count("\n") == 1
        assert "pip install 'ppo-repro[wandb]'" in finished.err
    assert not cli.left()


def test_online_needs_a_key(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    finished = cli("env=hopper", "logger=wandb", "logger.mode=online")
    assert finished.code == 2 and "logger.mode=offline" in finished.err
    assert finished.err.count("\n") == 1 and not cli.left()


def test_a_launcher_in_an_experiment_is_refused(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [override /env: hopper, override /hydra/launcher: basic]\n"
    )
    finished = cli("-m", "--config-dir", str(folder.parent), "+experiment=mine", "seed=0,1")
    assert finished.code == 2 and finished.err.count("\n") == 1
    assert "experiment=mine chooses hydra/launcher" in finished.err and not cli.left()


def test_an_experiment_of_ones_own(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [override /env: reacher]\nrunsdir: there\n"
    )
    finished = cli("--config-dir", str(folder.parent), "+experiment=mine", "budget=smoke")
    assert finished.code == 2 and "did you mean runs_dir?" in finished.err
    (folder / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [override /env: reacher]\nruns_dir: there\n"
    )
    finished = cli("--config-dir", str(folder.parent), "+experiment=mine", "budget=smoke")
    assert finished.code == 0 and cli.left()[0] == "there"


def test_a_damaged_grid_is_named(cli: Cli) -> None:
    Path("runs").mkdir()
    Path("runs/sweep.json").write_text("[")
    finished = cli("-m", "env=hopper", "seed=0,1")
    assert finished.code == 3 and "sweep.json" in finished.err
    assert cli.left() == ["runs", "runs/sweep.json"]


def test_full_errors_where_they_are_asked_for(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    finished = cli("env=hopper", "seed=x")
    assert finished.code == 2 and "Traceback" in finished.err
    assert finished.err.splitlines()[-1] == "seed=x must be a whole number."
    assert os.environ["HYDRA_FULL_ERROR"] == "1"


def test_a_bug_keeps_its_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(config: object) -> int:
        raise ValueError("a bug")

    monkeypatch.setattr(sweep, "train_one", bug)
    with pytest.raises(ValueError, match="a bug"):
        cli("env=hopper")


PLAIN = [
    "env=hopper",
    "objective=table1/clip_0.1",
    "algorithm.gamma=0.9",
    "policy.hidden_sizes=[8]",
]
MUTATION = st.tuples(
    st.sampled_from(PLAIN),
    st.integers(0, 30),
    st.integers(0, 3),
    st.text(st.sampled_from("aeh0.,=[]{}()$'\"+~@:/ \\-_#*"), max_size=3),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutation=MUTATION)
def test_typing_errors_never_show_a_traceback(
    capsys: pytest.CaptureFixture[str], mutation: tuple[str, int, int, str]
) -> None:
    line, at, cut, inserted = mutation
    typed = line[:at] + inserted + line[at + cut :]
    capsys.readouterr()
    if typed.startswith("-"):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "train_one", lambda config: None)
        code = command.run([*(each for each in PLAIN if each != line), typed])
    printed = capsys.readouterr()
    assert code in (0, 2)
    assert printed.err.count("\n") == (code == 2), (typed, printed.err)
    assert not printed.out


def test_help_names_every_option(cli: Cli) -> None:
    finished = cli("--help")
    assert finished.code == 0 and not finished.err
    for group, options in keys.groups().items():
        assert group in finished.out and all(option in finished.out for option in options)


def test_help_is_a_page_for_a_terminal(cli: Cli) -> None:
    lines = cli("-m", "env=hopper", "-h").out.splitlines()
    assert max(map(len, lines)) < 80
    examples = lines[lines.index("examples:") + 1 :][:5]
    for example in examples:
        program, *given = example.partition("   ")[0].strip().partition("  ")[0].split()
        assert program == "repro"
        check_overrides([each for each in given if each != "-m"])
    assert "--hydra-help" in lines[lines.index("other commands:") + 6]
    assert cli("--version").out == f"ppo-repro {repro.__version__}\n"
    assert cli("--hydra-help").out.startswith("Hydra (")


@pytest.mark.parametrize(
    "line",
    [
        "env=hopper -m seed=0,1 progress=false",
        "env=hopper seed=0,1 progress=false --multirun",
        "-m env=hopper seed=0,1 progress=false",
    ],
)
def test_options_may_stand_anywhere(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    configs = composed(monkeypatch, *line.split())
    assert [config.seed for config in configs] == [0, 1]
    assert not any(config.progress for config in configs)


def test_showing_a_configuration_trains_nothing(cli: Cli) -> None:
    for line in (("env=hopper", "--cfg", "job"), ("--cfg", "job", "env=hopper")):
        finished = cli(*line)
        assert finished.code == 0 and "epsilon: 0.2" in finished.out and not cli.left()


def test_one_run(cli: Cli) -> None:
    line = ("env=reacher", "budget=smoke", "seed=3", "recipe=ppo2")
    finished = cli(*line)
    assert finished.code == 0 and not finished.err
    (directory,) = store.run_directories(Path("runs"))
    assert store.read_run(directory)["status"] == store.DONE
    where, score = finished.out.splitlines()[-2:]
    assert where == f"done: {directory}"
    assert score.startswith("  mean return of the last 2 episodes: -")
    # Hydra leaves nothing in the working directory, nor changes it.
    assert {path.split("/")[0] for path in cli.left()} == {"runs"}
    assert len(cli.left()) == 2 + len(list(directory.iterdir()))
    assert Path.cwd() == cli.directory

    before = {path: path.stat().st_mtime_ns for path in directory.iterdir()}
    again = cli(*line)
    assert again.code == 0 and again.out == f"done before: {directory}\n{score}\n"
    assert before == {path: path.stat().st_mtime_ns for path in directory.iterdir()}


def test_silence(cli: Cli) -> None:
    finished = cli("env=reacher", "budget=smoke", "progress=false")
    assert finished.code == 0 and finished.out.count("\n") == 2


def test_a_run_that_stops_being_finite(cli: Cli) -> None:
    finished = cli("env=reacher", "budget=smoke", "algorithm.learning_rate=1e30")
    assert finished.code == 4 and finished.err.count("\n") == 1
    (directory,) = store.run_directories(Path("runs"))
    info = store.read_run(directory)
    assert info["status"] == store.FAILED and info["failed_iteration"] == 1
    assert str(directory) in finished.err and "iteration 1" in finished.err


def test_a_task_that_breaks(cli: Cli) -> None:
    finished = cli("env=gymnasium", "env.id=faulty:FaultyRaises-v0", "budget=smoke")
    (directory,) = store.run_directories(Path("runs"))
    assert finished.code == 1 and finished.err.count("\n") == 1
    assert "failed with RuntimeError: the simulator broke, in step 41" in finished.err
    assert finished.err.endswith(f"(see {directory / 'error.log'})\n")
    assert store.read_run(directory)["status"] == store.FAILED
    assert "in fail" in (directory / "error.log").read_text()


def test_sentences_for_what_hydra_says_otherwise() -> None:
    error = RuntimeError("first line\nsecond line\nthird line")
    assert str(hydra_errors.sentence(error)) == "first line second line"
    known = ConfigError("known.")
    error.__cause__ = known
    assert hydra_errors.sentence(error) is known
