"""A search: rounds of trials, each trained in packs from rung to rung.

At a rung every run of a round pauses with a checkpoint, the best 1/eta of the trials go on from
theirs, and the others are pruned (successive halving: Jamieson and Talwalkar 2016,
arXiv 1502.07943). A run that pauses and goes on is, to the last bit, the whole run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from repro.config import grammar
from repro.config.schema import Config
from repro.console import say
from repro.errors import ConfigError, StorageError
from repro.runs import locks, store
from repro.sweeps import grid, sweep
from repro.sweeps.settings import Settings
from repro.tuning import scores
from repro.tuning.space import Space
from repro.tuning.study import Study

STUDY_FILE = "study.db"
RUNGS = 2
LEARNED = 5  # iterations until the first rung, unless `rungs` is given: returns lag behind updates


@dataclass(frozen=True)
class Plan:
    """What the command line asks for, and `repro.tune` explains.

    Attributes:
        earliest: the iteration before which no rung is; `search` sets it where `rungs` is None.
    """

    space: Space
    seeds: tuple[int, ...] = (0,)
    trials: int = 64
    batch: int = 32
    rungs: int | None = None
    eta: int = 3
    metric: str = "final_return"
    direction: str = "maximize"
    sampler: str = "tpe"
    sampler_seed: int = 0
    study: Path | None = None
    earliest: int = 1

    def settings(self) -> dict[str, Any]:
        """What makes it this search, as JSON values: all but how long and where it runs."""
        fixed = [line for line in self.space.fixed if not line.startswith("hydra")]
        names = (
            *("batch", "rungs", "earliest", "eta", "metric", "direction"),
            *("sampler", "sampler_seed"),
        )
        space = {key: str(value) for key, value in self.space.distributions.items()}
        own = {name: getattr(self, name) for name in names}
        return {"overrides": sorted(fixed), "space": space, "seeds": list(self.seeds), **own}


@dataclass(frozen=True)
class Trial:
    """A trial of the round, and its runs, one a seed."""

    frozen: FrozenTrial
    configs: tuple[Config, ...]

    @property
    def number(self) -> int:
        """Optuna's, from 0."""
        return self.frozen.number

    @property
    def running(self) -> bool:
        """Whether it has not been told to Optuna."""
        return self.frozen.state == TrialState.RUNNING


def search(plan: Plan) -> Study:
    """Run a search to its end, from wherever its study is.

    Raises:
        ConfigError: bad input. Nothing has been trained then.
        CorruptError: the study, or a run of it, is damaged.
        RunsFailedError: runs could not be trained for now: the same command continues.
        StorageError: the study cannot be written.
        KeyboardInterrupt: interrupted, and saved: the same command continues.
    """
    example = _example(plan)
    plan = _with_rungs(plan, example)
    path = plan.study or Path(example.runs_dir) / STUDY_FILE
    lock = path.with_name(f".{path.name}.lock")
    with locks.owning([lock]) as refused:
        if refused:
            raise ConfigError(f"{path} is in use by another search: {refused[0]}")
        study = Study(path, plan.settings(), plan.sampler, plan.batch)
        try:
            for members in study.rounds(plan.trials, plan.space.distributions):
                _round(plan, study, members)
        except (SQLAlchemyError, StorageInternalError) as error:
            raise StorageError(
                f"{path} cannot be written to ({type(error).__name__}): make room and give the "
                "same command again; it continues."
            ) from error
    return study


def _example(plan: Plan) -> Config:
    """A run of the search, at one end of all that is searched.

    Raises:
        ConfigError: the configuration refuses both ends.
    """
    lowest, highest = plan.space.ends()
    try:
        return _compose(plan, [lowest])[0][0][0]
    except ConfigError as error:
        with contextlib.suppress(ConfigError):
            return _compose(plan, [highest])[0][0][0]
        raise error


def _with_rungs(plan: Plan, config: Config) -> Plan:
    """The plan with its number of rungs.

    By default there are RUNGS of them, those before iteration LEARNED moved there; none where even
    the last one would have to move.

    Raises:
        ConfigError: a rung at which nothing is known of a run, or no run can pause.
    """
    resumes = not config.algorithm.is_sb3
    if plan.rungs is None:
        late = _iteration(plan, config, 1 / plan.eta) >= LEARNED
        rungs = RUNGS if resumes and late else 0
        return dataclasses.replace(plan, rungs=rungs, earliest=LEARNED)
    if plan.rungs and not resumes:
        raise ConfigError(
            f"algorithm={config.algorithm.name} has no checkpoints to go on from: say --rungs 0."
        )
    if plan.rungs and _iteration(plan, config, plan.eta**-plan.rungs) < 2:
        raise ConfigError(
            f"--rungs {plan.rungs} prunes after the first of {config.updates} iterations, when no "
            "update has changed a return: give fewer rungs, or a larger total_timesteps."
        )
    return plan


def _compose(
    plan: Plan, values: Sequence[Mapping[str, Any]]
) -> tuple[list[tuple[Config, ...]], Settings]:
    """The runs of each trial, and how they are spread. Two trials may have the same runs."""
    jobs = [(*plan.space.overrides(each), f"seed={seed}") for each in values for seed in plan.seeds]
    unique = list(dict.fromkeys(jobs))
    (batch,), settings, _ = grid.compose_each(plan.space.fixed, unique)
    found = dict(zip(unique, batch, strict=True))
    configs = [found[job] for job in jobs]
    size = len(plan.seeds)
    return [tuple(configs[i : i + size]) for i in range(0, len(configs), size)], settings


def _round(plan: Plan, study: Study, members: Sequence[FrozenTrial]) -> None:
    """Train the trials of a round from rung to rung, and tell Optuna of each."""
    keys = set(plan.space.distributions)
    for broken in [each for each in members if set(each.params) != keys]:  # killed meanwhile
        if broken.state == TrialState.RUNNING:
            study.end(broken, TrialState.FAIL)
    members = [each for each in members if set(each.params) == keys]
    if not members:
        return
    members = _accepted(plan, study, members)
    if not members:
        return
    configs, settings = _compose(plan, [each.params for each in members])
    alive = [Trial(*pair) for pair in zip(members, configs, strict=True)]
    sweep.expect(_runs([trial for trial in alive if trial.running]), settings)
    for trial in alive:
        if trial.running and "commands" not in trial.frozen.user_attrs:
            study.note(trial.frozen, **_attributes(plan, trial))
    for rung in range(plan.rungs or 0, -1, -1):
        share = plan.eta**-rung
        _train(plan, [trial for trial in alive if trial.running], share, settings)
        scored = {trial.number: _score(plan, trial, share) for trial in alive}
        kept = _decide(plan, study, alive, scored, share)
        alive = [trial for trial in alive if trial.number in kept]


def _accepted(plan: Plan, study: Study, members: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Those whose runs the configuration accepts; the others end as failed, with its sentence."""
    with contextlib.suppress(ConfigError):
        _compose(plan, [each.params for each in members])
        return list(members)
    accepted = []
    for trial in members:
        try:
            _compose(plan, [trial.params])
        except ConfigError as error:
            if trial.state == TrialState.RUNNING:
                say(f"trial {trial.number} fails: {error}")
                study.note(trial, error=str(error))
                study.end(trial, TrialState.FAIL)
        else:
            accepted.append(trial)
    return accepted


def _decide(
    plan: Plan,
    study: Study,
    alive: Sequence[Trial],
    scored: Mapping[int, float | None],
    share: float,
) -> set[int]:
    """Report the numbers of a rung, end what does not go on, and return what does.

    A study may have been killed between two of these: what was told before is told no more.
    """
    numbers = {number: value for number, value in scored.items() if value is not None}
    ranked = study.ranked({n: v for n, v in numbers.items() if not math.isnan(v)})
    ranked = [*ranked, *(n for n, v in numbers.items() if math.isnan(v))]
    kept = set(ranked[: max(1, len(ranked) // plan.eta)]) if share < 1 else set()
    if share < 1:
        going_on = {config.directory for config in _runs([t for t in alive if t.number in kept])}
        out = _runs([trial for trial in alive if trial.running and trial.number not in kept])
        sweep.prune([config for config in out if config.directory not in going_on])
    for trial in [trial for trial in alive if trial.running]:
        value, steps = scored[trial.number], _steps(plan, trial, share)
        finite = value is not None and not math.isnan(value)
        if value is not None and finite:
            study.report(trial.frozen, value, steps)
        if trial.number in kept:
            continue
        study.note(trial.frozen, step=steps, trained_steps=_trained(trial))
        if value is None or (share == 1 and not finite):
            study.end(trial.frozen, TrialState.FAIL)
        elif share < 1:
            study.end(trial.frozen, TrialState.PRUNED)
        else:
            study.end(trial.frozen, TrialState.COMPLETE, value)
    return kept


def _train(plan: Plan, trials: Sequence[Trial], share: float, settings: Settings) -> None:
    """Train the runs of trials up to a share of their iterations.

    Raises:
        RunsFailedError: one of them could not be trained for now.
    """
    waiting: dict[int | None, list[Config]] = {}
    for config in _runs(trials):
        until = _iteration(plan, config, share)
        if store.is_done(config.directory) or (share < 1 and scores.reached(config) >= until):
            continue
        waiting.setdefault(until if share < 1 else None, []).append(config)
    for pause, configs in waiting.items():
        ends = sweep.train(configs, settings, pause)
        open_ends = [end for end in ends if end.outcome.status != store.FAILED and end.exit_code]
        sweep.raise_failures([end.exit_code for end in open_ends], len(ends))


def _score(plan: Plan, trial: Trial, share: float) -> float | None:
    """The mean over the seeds; None of a trial of which a run has failed."""
    numbers = []
    for config in trial.configs:
        if store.read_run(config.directory)["status"] == store.FAILED:
            return None
        until = _iteration(plan, config, share) * config.batch_size if share < 1 else None
        numbers.append(scores.score(config.directory, plan.metric, until))
    return math.fsum(numbers) / len(numbers)


def _attributes(plan: Plan, trial: Trial) -> dict[str, Any]:
    """What makes each number of a trial again, alone."""
    fixed = [line for line in plan.space.fixed if not line.startswith("hydra")]
    own = grammar.decoded(plan.space.overrides(trial.frozen.params))
    words = ["python", "-m", "repro", *fixed, *own]
    return {
        "commands": [shlex.join([*words, f"seed={config.seed}"]) for config in trial.configs],
        "runs": [str(config.directory) for config in trial.configs],
        "whole_steps": sum(config.updates * config.batch_size for config in trial.configs),
    }


def _runs(trials: Sequence[Trial]) -> list[Config]:
    """Their runs, each once."""
    return list({config.directory: config for each in trials for config in each.configs}.values())


def _iteration(plan: Plan, config: Config, share: float) -> int:
    """The iteration of a run at which the rung with this share of it is; its last one for 1."""
    return min(max(plan.earliest, round(config.updates * share)), config.updates)


def _steps(plan: Plan, trial: Trial, share: float) -> int:
    """Environment steps of one run."""
    return _iteration(plan, trial.configs[0], share) * trial.configs[0].batch_size


def _trained(trial: Trial) -> int:
    """Environment steps that its runs have taken."""
    return sum(scores.reached(config) * config.batch_size for config in trial.configs)


def summary(study: Study) -> None:
    """Say what was found, and what it cost."""
    trials = study.trials
    counts = {state: sum(each.state == state for each in trials) for state in TrialState}
    trained, whole = (
        sum(each.user_attrs.get(name, 0) for each in trials)
        for name in ("trained_steps", "whole_steps")
    )
    say(
        f"{len(trials)} trials: {counts[TrialState.COMPLETE]} complete, "
        f"{counts[TrialState.PRUNED]} pruned, {counts[TrialState.FAIL]} failed, with "
        f"{trained:,} steps, {trained / max(1, whole):.0%} of whole runs"
    )
    best = study.best()
    if best is not None:
        say(f"best: trial {best.number}, {best.value:.6g}")
        for command in best.user_attrs["commands"]:
            say(f"  {command}")
