"""What the numbers of a report depend on besides its runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from analysis.errors import AnalysisError

_PACKAGE = Path(__file__).resolve().parent
_PACKAGED = _PACKAGE / "reference"  # in a wheel; a checkout has it in results
DEFAULT_REFERENCE = _PACKAGED if _PACKAGED.is_dir() else _PACKAGE.parent / "results" / "reference"
# The two things that the paper's score leaves open: what is 1, and what is 0.
BEST = ("run", "mean")
RANDOM_POLICIES = {
    "gaussian": "unit Gaussian actions, not clipped",
    "gaussian_clipped": "unit Gaussian actions, clipped to the action space",
    "uniform": "uniform actions",
}


@dataclass(frozen=True)
class Settings:
    """The options that reports share, with the defaults of the command line.

    Raises:
        AnalysisError: for another `best` or `random`.
    """

    episodes: int = 100  # how many of a run's last training episodes count
    replicates: int = 2000  # of each estimate, drawn or resampled
    seed: int = 0  # of the replicates
    best: str = "run"  # the return that scores 1: of the best single run, or the best row's mean
    random: str = "gaussian"  # the policy that scores 0
    reference: Path = DEFAULT_REFERENCE  # of the published numbers and the random policies'

    def __post_init__(self) -> None:
        for name, choices in (("best", BEST), ("random", tuple(RANDOM_POLICIES))):
            if getattr(self, name) not in choices:
                raise AnalysisError(
                    f"{name} is {getattr(self, name)}: choose one of {', '.join(choices)}."
                )


DEFAULTS = Settings()
