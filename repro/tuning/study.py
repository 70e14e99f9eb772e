"""The trials of a search, in a file of Optuna's: what its own dashboard reads.

Trials are proposed in rounds. Round k has the numbers from `k * batch` on, and every number has a
random stream of its own, so that a study that was killed goes on as if it had not been.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from repro.errors import ConfigError, CorruptError
from repro.tuning.space import Distribution

NAME, SETTINGS = "repro", "settings"
SAMPLERS = ("tpe", "random")


class Study:
    """One search.

    Attributes:
        batch: trials of a round.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], sampler: str, batch: int) -> None:
        """Open the file, or begin it.

        Args:
            path: of the file.
            settings: JSON values; of another search they are refused. `direction` and
                `sampler_seed` are among them.
            sampler: one of SAMPLERS.
            batch: trials of a round.

        Raises:
            ConfigError: the file holds another search.
            CorruptError: it is no file of Optuna's.
        """
        self.batch, self._sampler, self._seed = batch, sampler, settings["sampler_seed"]
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._study = optuna.create_study(
                storage=f"sqlite:///{path.absolute()}",
                study_name=NAME,
                direction=settings["direction"],
                load_if_exists=True,
            )
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
            raise CorruptError(
                f"{path} cannot be read as a study ({type(error).__name__}): say --study FILE for "
                "another file, or move it away."
            ) from error
        before = self._study.user_attrs.get(SETTINGS)
        if before is None:
            self._study.set_user_attr(SETTINGS, dict(settings))
        elif before != settings:
            names = [name for name in settings if before.get(name) != settings[name]]
            listed = "; ".join(f"{n} was {before.get(n)} and is {settings[n]}" for n in names)
            raise ConfigError(
                f"{path} is the study of another search ({listed}): say --study FILE for another "
                "file, or give the same command again."
            )

    @property
    def trials(self) -> list[FrozenTrial]:
        """All, by number."""
        return self._study.trials

    def rounds(
        self, trials: int, distributions: Mapping[str, Distribution]
    ) -> Iterator[list[FrozenTrial]]:
        """The rounds that are not done, each proposed when the one before it is."""
        for first in range(0, trials, self.batch):
            last = min(first + self.batch, trials)
            for number in range(len(self.trials), last):
                self._study.sampler = self._sampler_of(number)
                self._study.ask(dict(distributions))
            self._study.sampler = RandomSampler()
            members = self.trials[first:last]
            if any(trial.state == TrialState.RUNNING for trial in members):
                yield members

    def note(self, trial: FrozenTrial, **values: Any) -> None:
        """Add attributes to a trial that runs."""
        handle = optuna.Trial(self._study, trial._trial_id)
        for name, value in values.items():
            handle.set_user_attr(name, value)

    def report(self, trial: FrozenTrial, value: float, step: int) -> None:
        """Keep the number of a trial at a step, once."""
        handle = optuna.Trial(self._study, trial._trial_id)
        if step not in self._study.trials[trial.number].intermediate_values:
            handle.report(value, step)

    def end(self, trial: FrozenTrial, state: TrialState, value: float | None = None) -> None:
        """End a trial as COMPLETE with its number, PRUNED or FAIL."""
        self._study.tell(trial.number, value, state)

    def best(self) -> FrozenTrial | None:
        """The best of the complete trials, if there is one."""
        complete = any(trial.state == TrialState.COMPLETE for trial in self.trials)
        return self._study.best_trial if complete else None

    def ranked(self, scored: Mapping[int, float]) -> Sequence[int]:
        """Trial numbers, the best first; of equals the older one."""
        sign = -1 if self._study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
        return sorted(scored, key=lambda number: (sign * scored[number], number))

    def _sampler_of(self, number: int) -> BaseSampler:
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        if self._sampler == "random":
            return RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # The first round knows nothing: it is random. Later ones know that others are running.
            return TPESampler(
                seed=seed, n_startup_trials=self.batch, multivariate=True, constant_liar=True
            )
