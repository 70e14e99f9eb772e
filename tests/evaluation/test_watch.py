"""`python -m repro.watch` writes videos of the episodes that an evaluation plays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from repro.errors import ConfigError
from repro.evaluation import film
from repro.evaluation.episodes import play_single
from repro.evaluation.evaluations import evaluate
from repro.evaluation.policies import load_policy
from repro.runs import store
from repro.runs.finished import FinishedRun
from tests.helpers.cli import ROOT, environment
from tests.helpers.films import decode, show
from tests.helpers.finished_runs import finish, single

CARTPOLE = "env=gymnasium env.id=CartPole-v1 recipe=sb3"


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def hopper(runs_dir: Path) -> FinishedRun:
    return finish(runs_dir, "env=hopper")


@pytest.fixture(scope="module")
def cartpole(runs_dir: Path) -> FinishedRun:
    return finish(runs_dir, CARTPOLE)


@pytest.fixture
def gl(monkeypatch: pytest.MonkeyPatch) -> None:
    """An OpenGL that MuJoCo can draw with; the test is skipped where there is none."""
    pytest.importorskip("imageio_ffmpeg")
    monkeypatch.setenv(film.GL, "")  # so that a value that is set is restored
    monkeypatch.delenv(film.GL)
    try:
        film.choose_gl()
    except ConfigError as error:
        pytest.skip(str(error))


# -- episodes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize(
    "line", ["env=hopper", "env=reacher recipe=cleanrl", "env=hopper algorithm=cem", CARTPOLE]
)
def test_the_episodes_are_those_of_an_evaluation_to_the_last_bit(
    runs_dir: Path, line: str, deterministic: bool
) -> None:
    run = finish(runs_dir, line)
    done = evaluate(run, 4, 9, deterministic, num_envs=3)
    seen: list[int] = []
    env = single(run.config.env.id)
    played = play_single(load_policy(run), env, 4, 9, deterministic, seen.append)
    np.testing.assert_array_equal(played.returns, done.returns)
    np.testing.assert_array_equal(played.lengths, done.lengths)
    assert seen == [step for length in played.lengths for step in range(length + 1)]


# -- images --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gl")
def test_a_video_of_a_mujoco_task(
    hopper: FinishedRun, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    size = ("--width", "97", "--height", "64")
    out = tmp_path / "hop.mp4"
    code, said, wrong = show(capsys, hopper.directory, "--episodes", 2, "--out", out, *size)
    assert (code, wrong) == (0, "")
    done = evaluate(hopper, 2)
    lines = [
        f"episode {number}: return {total:,.2f} in {length} steps"
        for number, (total, length) in enumerate(zip(done.returns, done.lengths, strict=True), 1)
    ]
    assert said.splitlines() == [*lines, f"done: {out}"]
    facts, pictures = decode(out)
    assert facts["size"] == (96, 64) and facts["codec"] == "h264"
    assert facts["fps"] == pytest.approx(125 / 3, rel=1e-3)  # every third of 125 steps a second
    assert len(pictures) == sum(length // 3 + 1 for length in done.lengths)
    assert list(tmp_path.iterdir()) == [out]

    env = film.make_env("Hopper-v4", 97, 64)
    drawn: list[Any] = []
    policy = load_policy(hopper)
    play_single(policy, env, 1, 0, on_step=lambda step: drawn.append(film.render(env)))
    env.close()
    drawn = [drawn[0], drawn[done.lengths[0] // 3 * 3]]
    shown = [pictures[0], pictures[done.lengths[0] // 3]]
    away = [[np.abs(a.astype(int) - b[:, :96]).mean() for b in drawn] for a in shown]
    assert max(away[0][0], away[1][1]) < 5  # the error of compression
    assert away[0][0] < away[0][1] and away[1][1] < away[1][0]  # and the task has moved


@pytest.mark.usefixtures("gl")
def test_an_animated_image_of_a_humanoid_loops(runs_dir: Path, tmp_path: Path) -> None:
    """In the task's real time."""
    run = finish(runs_dir, "env=humanoid_flagrun_harder env.num_envs=1")
    out, size = tmp_path / "fall.webp", ("--width", 64, "--height", 48)
    rate = ("--fps", 10, "--max-steps", 60)
    words = map(str, (run.directory, "--out", out, *size, *rate))
    done = subprocess.run(  # this process may have loaded MuJoCo with another OpenGL
        [sys.executable, "-m", "repro.watch", *words],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "It is cut off there" in done.stderr, done.stderr
    with Image.open(out) as image:
        image.load()
        assert image.size == (64, 48) and image.info["loop"] == 0
        assert image.n_frames == 60 // 7 + 1, "every seventh of 61 steps a second"
        assert image.info["duration"] == round(1000 * 7 / 61)
    assert list(tmp_path.iterdir()) == [out]


def test_a_video_of_a_task_that_pygame_draws(
    cartpole: FinishedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    pytest.importorskip("pygame")
    code, said, wrong = show(capsys, cartpole.directory, "--deterministic")
    assert (code, wrong) == (0, "")
    (length,) = evaluate(cartpole, 1, deterministic=True).lengths
    facts, pictures = decode(cartpole.directory / "video.mp4")
    assert facts["size"] == (600, 400) and facts["fps"] == 50
    assert len(pictures) == length + 1 and f" in {length} steps" in said


@pytest.mark.parametrize("name", ["x.mp4", "x.webp"])
def test_an_error_while_filming_leaves_the_earlier_file(tmp_path: Path, name: str) -> None:
    pytest.importorskip("imageio_ffmpeg")
    out = tmp_path / name
    out.write_text("before")
    with pytest.raises(RuntimeError, match="cut"), film.Film(out, 25) as video:
        video.add(np.zeros((16, 16, 3), np.uint8))
        raise RuntimeError("cut")
    assert list(tmp_path.iterdir()) == [out] and out.read_text() == "before"


# -- refusals ------------------------------------------------------------------------------------


def test_a_machine_without_opengl_is_refused(
    hopper: FinishedRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    monkeypatch.delenv(film.GL, raising=False)
    monkeypatch.setattr(film, "OFF_SCREEN", ("no", "none"))
    assert show(capsys, hopper.directory) == (
        2,
        "",
        "MuJoCo finds no OpenGL to draw with off-screen: apt install libegl1 libgl1-mesa-dri (or "
        "libosmesa6).\n",
    )


def test_a_mujoco_gl_that_does_not_work_is_kept_and_named(hopper: FinishedRun) -> None:
    pytest.importorskip("imageio_ffmpeg")
    done = subprocess.run(
        [sys.executable, "-m", "repro.watch", str(hopper.directory)],
        env=environment() | {film.GL: "nonsense"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "MuJoCo cannot draw with MUJOCO_GL=nonsense here: unset it, or" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("RUN --out x.gif", "--out x.gif must end in .mp4 or .webp."),
        ("RUN --out nowhere/x.mp4", "--out nowhere/x.mp4: there is no directory nowhere"),
        ("RUN --width 100", "CartPole-v1 does not take --width: leave it out."),
        ("RUN --height 4097", "argument --height: 4097 must be a whole number of 16 or more and"),
        ("RUN --episodes 0", "argument --episodes: 0 must be"),
        ("RUN RUN", "unrecognized arguments"),
        ("nowhere", "nowhere is not a directory"),
    ],
)
def test_wrong_arguments(
    cartpole: FinishedRun,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: str,
    sentence: str,
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    monkeypatch.chdir(tmp_path)
    code, said, wrong = show(capsys, *arguments.replace("RUN", str(cartpole.directory)).split())
    assert code == 2 and not said and sentence in wrong and wrong.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_task_that_cannot_be_drawn(
    runs_dir: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    run = finish(runs_dir, "env=gymnasium env.id=tests.helpers.tasks:Walk-v0")
    code, said, wrong = show(capsys, run.directory, "--out", tmp_path / "x.mp4")
    assert code == 2 and not said and "Walk-v0 cannot be drawn" in wrong, wrong
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_not_done(
    runs_dir: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = finish(tmp_path, "env=reacher")
    store.write_json(run.directory / "run.json", run.info | {"status": store.RUNNING})
    code, _, wrong = show(capsys, run.directory)
    assert code == 2 and "is RUNNING, not DONE" in wrong
