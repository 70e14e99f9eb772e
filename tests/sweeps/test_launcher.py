"""Sweeps: checked before they start, packed, spread over processes, and honest about what failed.

Hydra's own `LauncherTestSuite` does not apply: its jobs call functions of the tests with free-form
configurations, where ours train packs of `Config`. What it checks of a launcher (jobs
with their overrides in order, batches, mandatory choices, errors that reach the caller) is checked
here on real jobs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobStatus

import repro
from repro.config.compose import register_schema
from repro.config.schema import CONF_DIR, Config
from repro.config.validation import from_omegaconf
from repro.errors import ConfigError, RunsFailedError
from repro.runs import store
from repro.sweeps import dispatch, jobs, packs, sweeper
from repro.training.outcome import SKIPPED, Outcome
from tests.helpers.cli import Cli
from tests.helpers.sweeps import composed, statuses, untrained

SERIAL = "hydra.launcher.workers=1"
PARALLEL = "hydra.launcher.workers=2"
FOLDER = Path(__file__).parents[1] / "helpers"
INTERRUPTED = "Interrupted: the same command again continues.\n"


def results(directory: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """What a run computed, without the times."""
    progress = store.read_table(directory / "progress.parquet")
    kept = [name for name in progress if not name.startswith("time_")]
    episodes = store.read_table(directory / "episodes.parquet")
    return progress[kept], episodes, store.read_parameters(directory)


def test_a_sweep_leaves_what_its_runs_alone_would(cli: Cli) -> None:
    axes = ("env=reacher,inverted_pendulum", "objective=clip,kl_adaptive", "seed=0,1")
    done = cli("-m", *axes, "budget=smoke", PARALLEL, "runs_dir=swept")
    assert done.code == 0 and not done.err
    assert done.out.splitlines()[0] == "8 runs: 2 packs on 2 workers"
    assert done.out.splitlines()[-1] == "8 done: swept"
    assert len(store.read_sweep(Path("swept"))) == len(statuses(Path("swept"))) == 8
    # Hydra leaves nothing, and neither do the heartbeats.
    assert {path.split("/")[0] for path in cli.left()} == {"swept"}
    assert sum("/" in path and path.count("/") == 1 for path in cli.left()) == 9

    cli("env=reacher", "objective=kl_adaptive", "seed=1", "budget=smoke", "runs_dir=alone")
    (alone,) = store.run_directories(Path("alone"))
    for here, there in zip(results(alone), results(Path("swept") / alone.name), strict=True):
        if isinstance(here, pd.DataFrame):
            pd.testing.assert_frame_equal(here, there, check_exact=True)
        else:
            assert all(np.array_equal(value, there[name]) for name, value in here.items())

    before = {path: path.stat().st_mtime_ns for path in Path("swept").rglob("*.parquet")}
    again = cli("-m", *axes, "budget=smoke", PARALLEL, "runs_dir=swept")
    assert again.code == 0
    assert again.out == "8 runs, 8 of them done before\n0 done, 8 done before: swept\n"
    assert before == {path: path.stat().st_mtime_ns for path in Path("swept").rglob("*.parquet")}


def test_only_what_is_missing_is_trained(cli: Cli) -> None:
    line = ("env=reacher", "budget=smoke", SERIAL)
    cli("-m", *line, "seed=0,1")
    done = cli("-m", *line, "seed=0,1,2")
    assert done.out.splitlines()[0] == "3 runs, 2 of them done before: 1 pack on 1 worker"
    assert done.out.splitlines()[-1] == "1 done, 2 done before: runs"
    assert {run["seed"] for run in store.read_sweep(Path("runs"))} == {0, 1, 2}


def test_the_grid_is_written_before_the_first_run(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def run_packs(plan: Sequence[packs.Pack], *_: object) -> list[list[Outcome]]:
        seen.append(cli.left())
        return untrained(plan)

    monkeypatch.setattr(dispatch, "run_packs", run_packs)
    cli("-m", "env=reacher", "seed=0,1", "runs_dir=a,b", "budget=smoke")
    assert seen == [["a", "a/sweep.json", "b", "b/sweep.json"]]
    assert [run["seed"] for run in store.read_sweep(Path("a"))] == [0, 1]


def test_batches_go_on_after_a_failure(cli: Cli) -> None:
    done = cli(
        *("-m", "env=reacher", "seed=0,1,2", "algorithm.learning_rate=1e30,3e-4", "budget=smoke"),
        *(SERIAL, "hydra.sweeper.max_batch_size=2"),
    )
    assert done.code == 4 and done.err == "3 of 6 runs failed.\n"
    assert done.out.count("2 runs: 1 pack on 1 worker") == 3
    assert len(statuses()) == len(store.read_sweep(Path("runs"))) == 6


def test_batches_are_checked_before_the_first(cli: Cli) -> None:
    done = cli("-m", "env=reacher", "seed=0,1,-1", "hydra.sweeper.max_batch_size=1")
    assert done.code == 2 and "seed=-1" in done.err and not cli.left()


def test_a_preview_trains_and_writes_nothing(cli: Cli) -> None:
    line = ("env=reacher", "objective='clip(0.1,0.2),none'", "budget=smoke", SERIAL)
    shown = cli("-m", *line, "seed=0,1", "--dry-run")
    assert shown.code == 0 and not cli.left()
    first, pack, last = shown.out.splitlines()
    assert first == "6 runs: 1 pack on 1 worker"
    assert pack.startswith("  6 runs: Reacher-v4 ppo clip_0.1 clip_0.2 none, seeds 0 1: 768 steps")
    assert re.fullmatch(r"768 steps in about \d+ s if nothing else .* Nothing was trained\.", last)
    cli("-m", *line, "seed=0")
    assert cli("-m", *line, "seed=0,1", "--dry-run").out.startswith("6 runs, 3 of them done before")
    assert cli("-m", *line, "seed=0", "--dry-run").out == "3 runs, 3 of them done before\n"
    alone = cli("env=reacher", "objective='clip(0.3)'", "budget=smoke", "--dry-run").out
    assert alone.startswith("1 run: 1 pack on 1 worker\n  1 run: Reacher-v4 ppo clip_0.3, seed 0")
    wrong = cli("-m", *line, "seed=0,x", "--dry-run")
    assert wrong.code == 2 and "seed=x must be a whole number" in wrong.err


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("seed=range(3,3)", "is a sweep without values"),
        ("seed=shuffle(range(3,3))", "is a sweep without values"),
        ("seed=choice()", "is a sweep without values"),
        ("seed=glob(*)", "seed is no group"),
        ("objective=glob(zz*)", "matches no choice: objective can be"),
    ],
)
def test_a_sweep_of_nothing_is_refused(cli: Cli, line: str, remedy: str) -> None:
    done = cli("-m", "env=hopper", "algorithm.gamma=0.9,0.99", line)
    assert done.code == 2 and not done.out and done.err.count("\n") == 1
    assert done.err.startswith(line) and remedy in done.err
    with pytest.raises(ConfigError, match=re.escape(line)):
        repro.train("env=hopper", line)
    assert not cli.left()


def test_hydras_own_launcher_and_sweeper_work_too(cli: Cli) -> None:
    line = ("-m", "env=reacher", "seed=0,1", "budget=smoke")
    done = cli(*line, "hydra/launcher=basic")
    assert done.code == 0 and len(statuses()) == 2
    done = cli(*line, "hydra/sweeper=basic", SERIAL, "runs_dir=other")
    assert done.code == 0 and len(statuses(Path("other"))) == 2
    assert {path.split("/")[0] for path in cli.left()} == {"runs", "other"}
    done = cli(*line, "hydra/sweeper=basic", SERIAL, "algorithm.learning_rate=1e30")
    assert done.code == 4


def test_sweeps_of_an_experiment_can_be_narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = ("env=hopper", "objective=table1/none,clip", "seed=5", "algorithm.gamma=0.9,0.99")
    configs = composed(monkeypatch, "+experiment=table1", "budget=quick", *narrow)
    assert [(c.objective_label, c.algorithm.gamma) for c in configs] == [
        ("none", 0.9),
        ("none", 0.99),
        ("clip_0.2", 0.9),
        ("clip_0.2", 0.99),
    ]
    assert {(c.env.name, c.seed, c.total_timesteps) for c in configs} == {("hopper", 5, 51_200)}
    assert {c.runs_dir for c in configs} == {"runs/table1/quick"}


def test_jobs_compose_as_hydra_composes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reusing a composition for other values changes nothing."""
    axes = {
        "env": ["hopper", "gymnasium"],
        "env.id": ["CartPole-v1", "${env.name}-v${seed}"],
        "recipe": ["cleanrl", "sb3"],
        "algorithm.gamma": ["0.9", "0.99"],
        "total_timesteps": ["${algorithm.horizon}"],
        "policy.hidden_sizes": ["[8,8]"],
    }
    swept = [f"{key}={','.join(values)}" for key, values in axes.items()]
    for extra in ([], ["algorithm.epochs=5", "algorithm={epochs: 3}"]):
        configs = composed(monkeypatch, *swept, *extra)
        assert len(configs) == 16
        for index in (0, 3, 6, 9, 15):
            assert configs[index] == by_hydra([*combination(axes, index), *extra])


def test_jobs_do_not_leak_into_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = composed(monkeypatch, "env=hopper,reacher", "env.version=v4,v5")
    ids = [config.env.id for config in configs]
    assert ids == ["Hopper-v4", "Hopper-v5", "Reacher-v4", "Reacher-v5"]


def combination(axes: dict[str, list[str]], index: int) -> list[str]:
    """The overrides of the job number `index`, the last axis moving fastest."""
    chosen = []
    for key, values in reversed(axes.items()):
        index, at = divmod(index, len(values))
        chosen.append(f"{key}={values[at]}")
    return chosen[::-1]


def by_hydra(overrides: list[str]) -> Config:
    register_schema()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return from_omegaconf(hydra_compose("config", overrides=overrides))


def test_the_time_is_the_same_for_all_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    where = "runs_dir=runs/${now:%f}"
    configs = composed(monkeypatch, "env=hopper,reacher", "seed=0,1", where)
    assert len({config.runs_dir for config in configs}) == 1


def test_novel_jobs_are_checked_first(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Sequence[str]] = []
    compose = jobs.Composer.compose

    def counting(self: jobs.Composer, overrides: Sequence[str]) -> Any:
        tried.append(overrides)
        return compose(self, overrides)

    monkeypatch.setattr(jobs.Composer, "compose", counting)
    seeds = ",".join(map(str, range(30)))
    done = cli("-m", "algorithm.gamma=0.9,7", f"seed={seeds}", "env=hopper,reacher")
    assert done.code == 2 and "algorithm.gamma=7" in done.err
    assert len(tried) <= 33, "not the 60 jobs before it"


def test_hydra_gets_a_return_for_each_job(cli: Cli) -> None:
    """For sweepers that look at them."""
    captured: list[Any] = []
    sweep_all = sweeper.PopulationSweeper.sweep

    def sweep_and_keep(self: sweeper.PopulationSweeper, arguments: list[str]) -> Any:
        returns = [self.launcher.launch(batch, 0) for batch in self.batches(arguments)]
        captured.extend(returns)
        return returns

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeper.PopulationSweeper, "sweep", sweep_and_keep)
        cli("-m", "env=reacher", "algorithm.learning_rate=3e-4,1e30", "budget=smoke", SERIAL)
    assert sweep_all is sweeper.PopulationSweeper.sweep
    ((good, bad),) = captured
    (done,) = [path for path in store.run_directories(Path("runs")) if store.is_done(path)]
    last = store.read_run_table(done, "episodes")["return"].tail(100).mean()
    assert good.status == JobStatus.COMPLETED and good.return_value == pytest.approx(last)
    assert good.overrides == ["env=reacher", "algorithm.learning_rate=0.0003", "budget=smoke"]
    assert good.cfg.algorithm.learning_rate == 3e-4 and "hydra" not in good.cfg
    assert bad.status == JobStatus.FAILED
    with pytest.raises(RunsFailedError, match="iteration 1"):
        _ = bad.return_value
    assert not GlobalHydra.instance().is_initialized()


def test_the_grid_is_json_that_others_can_read(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "run_packs", lambda plan, *_: untrained(plan))
    cli("-m", "env=reacher", "objective=none,clip", "budget=smoke")
    runs = json.loads(Path("runs/sweep.json").read_text())["runs"]
    assert [run["objective"] for run in runs] == ["none", "clip"]
    assert all(run["updates"] == 4 and run["steps"] == 128 for run in runs)
    assert SKIPPED not in json.dumps(runs)
