"""A search proposes, prunes, resumes, and leaves runs that can be made again alone."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

import repro
from repro import status, tune
from repro.errors import ConfigError
from repro.runs import store
from repro.sweeps.heartbeats import Heartbeat
from repro.sweeps.summary import final_return
from repro.tuning import scores, space
from repro.tuning.search import Plan, _iteration, _with_rungs
from repro.tuning.study import Study
from tests.helpers.bits import assert_equal_bits
from tests.helpers.cli import Cli
from tests.helpers.configs import compose
from tests.helpers.tiny import ITERATIONS, STEPS, TINY, TINY_PPO, result

STEP_SIZES = "algorithm.learning_rate=tag(log,interval(1e-5,1e-2))"
SPACE = (STEP_SIZES, "objective=clip(0.1,0.3),kl_adaptive(0.01)")
SEARCH = (
    *(word for word in (*TINY, *TINY_PPO) if not word.startswith("checkpoint")),
    "env=reacher",
    f"total_timesteps={STEPS * ITERATIONS}",
    "hydra.launcher.backend=serial",
    *SPACE,
    *("--trials", "7", "--batch", "4", "--rungs", "1", "--eta", "2"),
)


def trials(path: Path = Path("runs/study.db")) -> list[FrozenTrial]:
    """As Optuna itself reads them."""
    return optuna.load_study(study_name=None, storage=f"sqlite:///{path}").trials


def runs_of(trial: FrozenTrial) -> list[str]:
    """Their directories."""
    return list(trial.user_attrs["runs"])


def told(found: list[FrozenTrial]) -> list[tuple[Any, ...]]:
    """All of a study but its clock."""
    return [
        (
            each.number,
            each.state,
            each.params,
            each.values,
            each.intermediate_values,
            each.user_attrs["step"],
            each.user_attrs["trained_steps"],
        )
        for each in found
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs and the study of a search that nothing interrupted."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert tune.run(SEARCH) == 0
    return place


def test_each_round_keeps_its_best_and_prunes_the_others(whole: Path) -> None:
    found = trials(whole / "runs/study.db")
    assert [each.number for each in found] == list(range(7))
    half, end = STEPS * ITERATIONS // 2, STEPS * ITERATIONS
    for members in (found[:4], found[4:]):
        at_rung = {each.number: each.intermediate_values[half] for each in members}
        ranked = sorted(at_rung, key=lambda number: -at_rung[number])
        complete = {each.number for each in members if each.state == TrialState.COMPLETE}
        assert complete == set(ranked[: len(members) // 2])
        assert all(each.number in complete or each.state == TrialState.PRUNED for each in members)
    trained = [each.user_attrs["trained_steps"] for each in found]
    assert sorted(trained) == [half] * 4 + [end] * 3
    assert len({each.params["algorithm.learning_rate"] for each in found}) == 7


def test_a_complete_trial_is_the_run_alone_to_the_last_bit(whole: Path, cli: Cli) -> None:
    best = max(
        (each for each in trials(whole / "runs/study.db") if each.value is not None),
        key=lambda each: each.value or 0,
    )
    (command,), (run,) = best.user_attrs["commands"], best.user_attrs["runs"]
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "repro"]
    assert cli(*words[3:]).code == 0
    (pause,) = store.read_run(whole / run)["resumed"]
    assert pause["iteration"] == ITERATIONS // 2 and pause["exact"]
    assert_equal_bits(result(Path(run)), result(whole / run))
    assert final_return(Path(run))[0] == best.value


def test_a_pruned_trial_has_the_number_of_the_whole_run_at_its_step(whole: Path, cli: Cli) -> None:
    pruned = next(
        each for each in trials(whole / "runs/study.db") if each.state == TrialState.PRUNED
    )
    (command,), (run,) = pruned.user_attrs["commands"], pruned.user_attrs["runs"]
    assert store.read_run(whole / run)["status"] == store.PREEMPTED
    assert cli(*shlex.split(command)[3:]).code == 0
    step = pruned.user_attrs["step"]
    assert scores.score(Path(run), "final_return", step) == pruned.intermediate_values[step]


def at_call(number: int, of: Callable[..., Any]) -> Callable[..., Any]:
    """`of`, interrupted at its call with this number."""
    calls = 0

    def interrupted(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            raise KeyboardInterrupt
        return of(*arguments, **named)

    return interrupted


def test_a_killed_search_goes_on_with_the_same_study(
    whole: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it proposes, trains to a rung, tells, and trains to the end."""
    for owner, name, number in (
        (optuna.Study, "ask", 3),
        (Heartbeat, "__call__", 2),
        (Study, "end", 2),
        (Heartbeat, "__call__", 2),
        (Study, "end", 1),
        (optuna.Study, "ask", 1),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, at_call(number, getattr(owner, name)))
            assert tune.run(SEARCH) == 75
    assert tune.run(SEARCH) == 0
    assert told(trials()) == told(trials(whole / "runs/study.db"))
    before = trials()
    assert tune.run(SEARCH) == 0
    assert trials() == before


def test_pruned_runs_are_not_waited_for(
    whole: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(whole)
    assert status.run(["runs", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["expected"], found["done"], found["pruned"], found["preempted"]) == (7, 3, 4, 0)
    assert found["complete"]
    pruned = {run for each in trials() if each.state == TrialState.PRUNED for run in runs_of(each)}
    assert {run["directory"] for run in found["runs"] if run["state"] == "pruned"} == pruned
    table = repro.runs("runs")
    assert set(table[table["status"] == "PRUNED"]["directory"]) == pruned
    assert table["final_return"].isna().sum() == len(pruned)
    assert status.run(["runs"]) == 0
    assert capsys.readouterr().out.startswith("3 of 7 done, 4 pruned")


def test_a_proposal_that_is_refused_is_a_failed_trial(
    cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    """A minibatch of 24 does not divide the batch; it is the lower end."""
    searched = "algorithm.minibatch_size=24,16"
    line = [*SEARCH[:-8], searched, "--trials", "4", "--batch", "4", "--rungs", "0"]
    assert tune.run(line) == 0
    assert "fails: " in capsys.readouterr().out
    found = trials()
    refused = [each for each in found if each.params["algorithm.minibatch_size"] == "24"]
    assert 0 < len(refused) < 4
    for each in found:
        state = TrialState.FAIL if each in refused else TrialState.COMPLETE
        assert each.state == state
    assert all("24" in each.user_attrs["error"] for each in refused)
    assert all(each.value is None for each in refused)
    assert tune.run(line) == 0 and trials() == found


def test_another_search_is_refused_in_the_same_study(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(whole)
    assert tune.run([*SEARCH, "--metric", "mean_return"]) == 2
    error = capsys.readouterr().err
    assert "metric was final_return and is mean_return" in error and "--study" in error


def test_a_trial_is_the_mean_over_its_seeds(cli: Cli) -> None:
    line = [*SEARCH[:-8], "--trials", "1", "--rungs", "0", "--seeds", "0,1"]
    assert tune.run([*line, "--metric", "mean_return"]) == 0
    (trial,) = trials()
    runs = [Path(run) for run in trial.user_attrs["runs"]]
    assert [store.read_config(run)["seed"] for run in runs] == [0, 1]
    means = [store.read_run_table(run, "episodes")["return"].mean() for run in runs]
    assert trial.value == pytest.approx(sum(means) / 2, rel=1e-12)


def test_spaces_are_read_in_the_grammar_of_hydra() -> None:
    found = space.read(
        (
            "env=reacher",
            STEP_SIZES,
            "algorithm.epochs=int(interval(1,9))",
            "algorithm.gamma=0.9,1",
            "objective=clip(0.1,0.2)",
            "algorithm.gae_lambda=interval(0.8,1)",
        )
    )
    assert found.fixed == ["env=reacher"]
    assert found.distributions == {
        "algorithm.learning_rate": optuna.distributions.FloatDistribution(1e-5, 1e-2, log=True),
        "algorithm.epochs": optuna.distributions.IntDistribution(1, 9),
        "algorithm.gamma": optuna.distributions.CategoricalDistribution(("0.9", "1")),
        "objective": optuna.distributions.CategoricalDistribution(
            ("'clip(epsilon=0.1)'", "'clip(epsilon=0.2)'")
        ),
        "algorithm.gae_lambda": optuna.distributions.FloatDistribution(0.8, 1),
    }


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("env=reacher", "Nothing is searched"),
        ("env=reacher seed=0,1", "--seeds"),
        ("algorithm.gamma=interval(1,0.5)", "no range"),
        ("algorithm.learning_rate=tag(log,interval(0,1))", "no range"),
        ("algorithm.gamma=tag(loud,interval(0,1))", "loud is no tag"),
        ("hydra.launcher.workers=1,2", "cannot be searched"),
    ],
)
def test_impossible_spaces_are_refused(line: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        space.read(line.split())


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("env=reacher algorithm.gama=0.9,1", "did you mean algorithm.gamma"),
        ("env=reacher,hopper algorithm.gamma=0.9,1 --seeds 0,0", "twice"),
        ("env=reacher algorithm=sb3_ppo algorithm.gamma=0.9,1 --rungs 1", "--rungs 0"),
        ("env=reacher total_timesteps=20480 algorithm.gamma=0.9,1 --rungs 2", "first of 10"),
        ("+experiment=table1 algorithm.gamma=0.9,1", "is a sweep of"),
    ],
)
def test_bad_searches_are_refused_before_anything_is_written(
    cli: Cli, capsys: pytest.CaptureFixture[str], line: str, complaint: str
) -> None:
    assert tune.run(line.split()) == 2
    assert complaint in capsys.readouterr().err
    assert not cli.left()


def test_a_file_that_is_no_study_is_named(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    Path("notes.db").write_text("no database " * 100)
    assert tune.run([*SEARCH, "--study", "notes.db"]) == 3
    assert "notes.db cannot be read as a study" in capsys.readouterr().err


def test_the_options_of_the_command_are_the_defaults_of_a_plan() -> None:
    options = vars(tune._parser().parse_args([]))
    plan = Plan(space.Space([], {}))
    options.pop("overrides")
    assert options.pop("batch") is None
    assert all(getattr(plan, name) == value for name, value in options.items())


@pytest.mark.parametrize(
    ("line", "rungs"),
    [
        ("", [54, 163]),
        ("budget=quick", [5, 8]),
        (f"total_timesteps={2048 * 14}", [5, 5]),
        (f"total_timesteps={2048 * 13}", []),
        ("algorithm=sb3_ppo", []),
    ],
)
def test_rungs_of_short_runs_are_not_before_the_fifth_iteration(
    line: str, rungs: list[int]
) -> None:
    config = compose("env=reacher", *line.split())
    plan = _with_rungs(Plan(space.Space([], {})), config)
    shares = [plan.eta**-rung for rung in range(plan.rungs or 0, 0, -1)]
    assert [_iteration(plan, config, share) for share in shares] == rungs


def test_a_round_with_rungs_takes_less_than_half_of_the_steps() -> None:
    for updates in (14, 15, 16, 20, 25, 45, 46, 200):
        config = compose("env=reacher", f"total_timesteps={2048 * updates}")
        plan = _with_rungs(Plan(space.Space([], {})), config)
        taken, left = 0, plan.batch
        places = [_iteration(plan, config, plan.eta**-rung) for rung in (2, 1, 0)]
        for begin, end in itertools.pairwise((0, *places)):
            taken += left * (end - begin)
            left = max(1, left // plan.eta)
        assert taken <= 0.5 * plan.batch * updates
