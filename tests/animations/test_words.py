"""What the films say: each number is a table's, and another number makes another sentence."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from animations.script import RESULTS, Script, rounded, scientific
from animations.words import FILMS, script

PACE = 17  # letters a second that subtitles may have
DRAWN = {"explain/clip_samples.csv", "explain/paths.csv"}  # without a number on the screen


def said(name: str) -> str:
    """All that stands on a film's screen."""
    words = script(name)
    return "\n".join([*(line.says for line in words.lines), *words.labels.values()])


def table(name: str, **where: object) -> pd.DataFrame:
    found = pd.read_csv(RESULTS / f"{name}.csv")
    for key, value in where.items():
        found = found[found[key] == value]
    return found


def one(name: str, **where: object) -> float:
    (value,) = table(name, **where)["value"]
    return float(value)


@pytest.mark.parametrize("name", FILMS)
def test_a_film_is_short_and_can_be_read(name: str) -> None:
    words = script(name)
    assert 15 <= words.seconds <= 40
    for line in words.lines:
        assert len(line.says) <= PACE * line.seconds and len(line.says) <= 92
        assert line.shows.endswith(".")


@pytest.mark.parametrize("name", FILMS)
def test_another_number_is_another_film(name: str, tmp_path: Path) -> None:
    """Each table in turn, with all of its measured numbers changed."""
    before = script(name)
    for source in before.sources:
        shutil.copytree(RESULTS / "explain", tmp_path / "explain", dirs_exist_ok=True)
        for other in ("table1/updates.csv", "figure3_medium/figure3_aggregates.csv"):
            (tmp_path / other).parent.mkdir(exist_ok=True)
            shutil.copy(RESULTS / other, tmp_path / other)
        assert script(name, tmp_path) == before
        changed = pd.read_csv(tmp_path / source)
        measured = [key for key in changed.select_dtypes("floating") if key not in ("at", "error")]
        if "sigma" in measured:  # whose densities are drawn, and whose sigma is written
            changed["sigma"] = changed["sigma"].replace(0.1, changed["sigma"].max() / 2)
            at = pd.read_csv(tmp_path / "explain" / "motivation.csv")
            at["at"] = at["at"].replace(0.1, 0.5)
            at.to_csv(tmp_path / "explain" / "motivation.csv", index=False)
        else:
            scale = np.random.default_rng(0).uniform(1.2, 3, (len(changed), len(measured)))
            changed[measured] *= scale
        changed.to_csv(tmp_path / source, index=False)
        assert (script(name, tmp_path).digest == before.digest) == (source in DRAWN), source


def test_statistics() -> None:
    text, errors = said("statistics"), "explain/statistics_errors"
    rms = {
        (estimate, n): one(errors, estimate=estimate, samples=n)
        for estimate in ("mean", "gradient")
        for n in (100, 10_000)
    }
    assert f"divide the error by {rms['mean', 100] / rms['mean', 10_000]:.0f}." in text
    assert f"{rms['gradient', 10_000] / rms['mean', 10_000]:.1f} times as large" in text
    last = {"epoch": 10, "measure": "effective_share"}
    free = one("explain/statistics_weights", objective="none", **last)
    clipped = one("explain/statistics_weights", objective="clip_0.2", **last)
    assert f"leave {100 * free:.0f} % of the samples" in text and free < clipped
    assert f"clipping: {100 * clipped:.0f} %" in text
    (exact,) = table(errors, estimate="gradient")["exact"].unique()
    terms = table("explain/statistics_samples", estimate="gradient")["term"]
    assert f"{terms.mean():.2f} (exact: {exact:g})".replace("-", "−") in text


def test_intuition() -> None:
    text, samples = said("intuition"), table("explain/intuition_samples")
    good, bad = (one("explain/intuition", measure=name) for name in ("good_rose", "bad_fell"))
    assert f"{100 * good:.0f} % of the good rise, only {100 * bad:.0f} % of the bad fall" in text
    assert bad < 0.5 < good
    sign = 2 * samples["action"] - 1
    change = sign * (samples["after"] - samples["before"])
    agreement = np.corrcoef(change, samples["angular_velocity"])[0, 1]
    assert f"correlation {agreement:.2f}" in text and agreement > 0.8


def test_derivation_has_seven_steps_with_a_check_each() -> None:
    words = script("derivation")
    assert [line.shows.startswith(f"Step {n}: ") for n, line in enumerate(words.lines)] == [
        False,
        *[True] * 7,
    ]
    for step in range(2, 7):
        assert scientific(one("explain/derivation", step=step)) in words.labels[f"check_{step}"]
    errors = table("explain/derivation_errors").set_index(["signal", "trajectories"])["value"]
    fewer = errors["return", 1000] / errors["advantage", 1000]
    assert f"the error is {fewer:.1f} times smaller" in words.lines[6].says and fewer > 1
    less = errors["advantage", 10] / errors["advantage", 10_000]
    assert f"error ÷ {less:.0f}; √1,000 = 32" in words.labels["check_7"]
    assert less == pytest.approx(1000**0.5, rel=0.2)


def test_motivation() -> None:
    text, kl = said("motivation"), table("explain/motivation", policy="gaussian")
    wide, narrow = (0.1**2 / (2 * sigma**2) for sigma in (1, 0.1))
    for sigma, expected in ((1, wide), (0.1, narrow)):
        (measured,) = kl[kl["at"] == sigma]["kl"]
        assert measured == pytest.approx(expected)
        assert f"KL = {expected:.3g}" in text
    assert f"{narrow / wide:.0f} times as far" in text
    moved = {
        row: table("table1/updates", row=row).set_index("task") for row in ("none", "clip_0.2")
    }
    shown = [task for task in moved["none"].index if "Pendulum" in task or "Reacher" in task]
    least, *_, most = sorted(moved["none"].loc[shown, "kl"])
    assert f"an update moves {least:.0f} to {most:.0f} nats" in text
    least, *_, most = sorted(moved["clip_0.2"].loc[shown, "kl"])
    assert f"it is {rounded(least)} to {rounded(most)}." in text and most < 0.1


def test_paths() -> None:
    text, kl = said("paths"), table("explain/paths_seeds", measure="kl")
    most = kl.groupby("algorithm")["value"].max()
    ends = table("explain/paths_seeds", measure="return", iteration=15)
    fates = sorted(ends[(ends["algorithm"] == "vpg_3") & (ends["start"] == "cliff")]["value"])
    assert "{:.0f}, {:.0f} and {:.0f}".format(*fates) in text
    assert f"TRPO bounds the KL of an update: {rounded(most['trpo'])} nats at most" in text
    assert f"{rounded(most['ppo'])} nats at most" in text
    assert most["trpo"] < 0.0101 < most["ppo"] < most["vpg_0.1"] < most["vpg_3"]
    scores = table("figure3_medium/figure3_aggregates").set_index("algorithm")["iqm"]
    for name, key in (("PPO", "ppo"), ("TRPO", "trpo"), ("VPG", "vpg")):
        assert f"{name} {scores[key]:.2f}" in text


def test_captions_are_webvtt() -> None:
    words: Script = script("derivation")
    head, *cues = words.captions().split("\n\n")
    assert head == f"WEBVTT - {words.title}" and len(cues) == len(words.lines)
    times = [re.findall(r"(\d\d):(\d\d):(\d\d\.\d{3})", cue.splitlines()[1]) for cue in cues]
    spans = [[60 * int(m) + float(s) for _, m, s in cue] for cue in times]
    assert [x for span in spans for x in span] == sorted(x for span in spans for x in span)
    assert spans == [list(span) for span in words.times] and spans[-1][1] == words.seconds
    assert [cue.splitlines()[2] for cue in cues] == [line.says for line in words.lines]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.041547, "0.042"),
        (19091.8, "19,000"),
        (0, "0"),
        (0.0099998, "0.010"),
        (63.7, "64"),
        (-0.25, "-0.25"),
    ],
)
def test_rounded(value: float, text: str) -> None:
    assert rounded(value) == text


def test_scientific() -> None:
    assert scientific(1.03e-10) == "1·10⁻¹⁰"
