"""F16 and F17: whatever is typed, it is refused before anything starts, or it can be run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import gymnasium
import pytest

from repro.config import keys
from repro.sweeps import sweep
from repro.sweeps.backends import Settings
from repro.training import preflight
from tests.helpers.cli import Cli
from tests.helpers.configs import compose
from tests.helpers.faults import report
from tests.helpers.sweeps import composed
from tests.helpers.tasks import Walk

VALUES = ["-1", "0", "1", "1.5", "1e400", "nan", "-inf", "null", "true", "abc", "[1,2]", "{a: 1}"]
VALUES += ["''", "${seed}", "${nowhere}", "9" * 30, "ü🙂", "a=b", "[", "range(3)", "hopper", "''''"]
LIKELY = ["0", "1", "2", "0.25", "64", "true", "null"]
FORMS = ["{key}={value}"] * 20 + ["+{key}={value}", "++{key}={value}", "~{key}", "{key}", "{key}="]
LAUNCHER = ["hydra.launcher.workers", "hydra.launcher.retries", "hydra.launcher.backend"]
LAUNCHER += ["hydra/launcher", "hydra.sweeper.max_batch_size", "hydra.launcher.submitit.cluster"]


def misspelled(key: str, dice: random.Random) -> str:
    at = dice.randrange(len(key))
    return key[:at] + dice.choice(["", "x", key[at] * 2]) + key[at + 1 :]


def mutation(dice: random.Random) -> str:
    """One override, of a key that there is or nearly is."""
    key = dice.choice(dice.choice([keys.known_keys(), list(keys.groups()), LAUNCHER]))
    key = misspelled(key, dice) if dice.random() < 0.1 else key
    return dice.choice(FORMS).format(key=key, value=dice.choice(dice.choice([VALUES, LIKELY])))


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that comes before the training of a run or a sweep, and not that."""

    monkeypatch.setattr(sweep, "train_one", lambda config: preflight.preflight([config]))
    monkeypatch.setattr(sweep, "expect", lambda configs, settings: preflight.preflight(configs))
    done = [sweep.End(sweep.Outcome("run", Path(), "DONE", None), 0)]
    monkeypatch.setattr(sweep, "train", lambda configs, settings: done * len(configs))


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.faults)])
def test_f16_random_mutations_are_refused_in_a_sentence_or_accepted(cli: Cli, count: int) -> None:
    dice, refused = random.Random(16), 0
    for number in range(count):
        line = ["env=reacher", *(mutation(dice) for _ in range(dice.choice([1, 1, 2])))]
        line = ["-m", *line, "seed=0,1"] if number % 4 == 0 else line
        finished = cli(*line)
        assert finished.code in (0, 2), (line, finished.err)
        assert finished.err.count("\n") == (finished.code == 2), (line, finished.err)
        assert "Traceback" not in finished.err and not cli.left(), line
        refused += finished.code == 2
    assert count / 2 < refused < count * 0.95, "some of each"
    report("f16_mutations", {"mutations": count, "refused": refused, "tracebacks": 0})


UNKNOWN = {
    "env=gymnasium env.id=CartPol-v1": "did you mean CartPole-v1?",
    "env=gymnasium env.id=CartPole-v9": "CartPole-v9",
    "env=gymnasium env.id=HalfCheetah-v3": "HalfCheetah-v3",  # removed from Gymnasium
    "env=half_cheetah env.version=v2": "HalfCheetah-v2",
    "env=gymnasium env.id=Nowhere/Pong-v5": "Nowhere",
    "env=gymnasium env.id=nowhere:Pong-v5": "nowhere",
    "env=gymnasium env.id=LunarLander-v3": "gymnasium[box2d]",
}


@pytest.mark.parametrize("line", UNKNOWN)
@pytest.mark.parametrize("also", [(), ("-m", "seed=0,1")])
def test_f17_a_task_that_is_not_to_be_had(cli: Cli, line: str, also: Sequence[str]) -> None:
    finished = cli(*also, *line.split())
    assert finished.code == 2 and finished.err.count("\n") == 1 and not finished.out
    assert UNKNOWN[line] in finished.err and not cli.left()


def test_f17_a_task_that_vanishes_after_it_was_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a node that lacks what the driver's machine has."""
    gymnasium.register("ReproVanishing-v0", entry_point=Walk)
    config = compose("env=gymnasium", "env.id=ReproVanishing-v0", f"runs_dir={tmp_path}/runs")
    sweep.expect([config])
    del gymnasium.registry["ReproVanishing-v0"]
    (end,) = sweep.train([config], Settings("serial"))
    assert end.exit_code == 2 and "ReproVanishing-v0" in str(end.outcome.error)
    assert "0 done, 1 refused" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["sweep.json"]


def test_the_mutations_reach_every_kind_of_key(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(0)
    seen = {mutation(dice).strip("+~").partition("=")[0] for _ in range(2000)}
    assert {*LAUNCHER, *keys.groups()} <= seen
    assert len(seen & set(keys.known_keys())) > 60
    assert len(composed(monkeypatch, "env=reacher", "seed=0,1")) == 2
