"""Pictures of a task and films of them, without a screen."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import subprocess
import sys
import uuid
import warnings
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import gymnasium
import numpy as np
from numpy.typing import NDArray

from repro.errors import ConfigError, StorageError, installation

Picture = NDArray[np.uint8]
GL = "MUJOCO_GL"  # which OpenGL MuJoCo draws with; Gymnasium and MuJoCo read it
OFF_SCREEN = ("egl", "osmesa")  # the former where there is a GPU or Mesa, the latter on any CPU
MESA = "apt install libegl1 libgl1-mesa-dri (or libosmesa6)"
INSTALL = installation("video")
PROBE = """\
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco/>")
with mujoco.Renderer(model, 16, 16) as renderer:
    renderer.update_scene(mujoco.MjData(model))
    renderer.render()
"""
PROBE_SECONDS = 60
DEFAULT_FPS = 30.0  # of a task that has no clock
SMOOTH_FPS = 50.0  # more is not seen, and a picture costs a CPU a tenth of a second


class Pace(NamedTuple):
    """How a film goes: a picture `every` so many steps, and `fps` pictures a second."""

    every: int
    fps: float


def choose_gl() -> str:
    """Let MuJoCo draw off-screen by whatever works here; MUJOCO_GL, where it is set, is obeyed.

    Raises:
        ConfigError: nothing works.
    """
    # It tells whoever listens that it does without an accelerator, which nobody here needs.
    logging.getLogger("OpenGL.acceleratesupport").disabled = True
    asked = os.environ.get(GL)
    for name in [asked] if asked else OFF_SCREEN:
        if _draws(name):
            os.environ[GL] = name
            return name
    if asked:
        raise ConfigError(f"MuJoCo cannot draw with {GL}={asked} here: unset it, or {MESA}.")
    raise ConfigError(f"MuJoCo finds no OpenGL to draw with off-screen: {MESA}.")


def _draws(name: str) -> bool:
    """In another process: one that has tried the first cannot try a second."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE],
            env=os.environ | {GL: name},
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def make(env_id: str, width: int | None, height: int | None) -> gymnasium.Env[Any, Any]:
    """One environment that draws itself.

    Args:
        env_id: registered with Gymnasium.
        width: of its pictures, in pixels; None is the task's own.
        height: likewise.

    Raises:
        ConfigError: it cannot be made or drawn, or has pictures of one size only.
    """
    size = {k: v for k, v in {"width": width, "height": height}.items() if v is not None}
    spec = gymnasium.registry.get(env_id)
    if spec is not None and "mujoco" in str(spec.entry_point):
        choose_gl()  # first: MuJoCo cannot even be imported with a MUJOCO_GL that does not work
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old versions, which were chosen on purpose
        try:
            env = gymnasium.make(env_id, render_mode="rgb_array", disable_env_checker=True, **size)
        except TypeError as error:
            if size:
                wrong = " and ".join(f"--{name}" for name in size)
                raise ConfigError(f"{env_id} does not take {wrong}: leave it out.") from error
            raise ConfigError(f"{env_id} cannot be drawn: it takes no render_mode.") from error
        except (gymnasium.error.Error, ImportError) as error:
            raise ConfigError(f"{env_id} cannot be made: {error}") from error
    if hasattr(env.unwrapped, "mujoco_renderer") and GL not in os.environ:
        choose_gl()
    return env


def picture(env: gymnasium.Env[Any, Any]) -> Picture:
    """What an environment looks like now, [height, width, 3].

    Raises:
        ConfigError: it cannot be drawn.
    """
    name = env.spec.id if env.spec else "the task"
    try:
        drawn = env.render()
    except gymnasium.error.DependencyNotInstalled as error:
        raise ConfigError(f"{name} cannot be drawn ({error}): {INSTALL}") from error
    except (NotImplementedError, AssertionError) as error:
        raise ConfigError(f"{name} cannot be drawn: {error}") from error
    if not isinstance(drawn, np.ndarray) or drawn.ndim != 3 or drawn.dtype != np.uint8:
        raise ConfigError(f"{name} cannot be drawn: it has no render_mode=rgb_array.")
    return drawn


def scaled(drawn: Picture, width: int, height: int) -> Picture:
    """A picture in another size, [height, width, 3], each pixel that of the nearest place."""
    rows = np.arange(height) * drawn.shape[0] // height
    columns = np.arange(width) * drawn.shape[1] // width
    return np.asarray(drawn[rows[:, None], columns], np.uint8)


def pace(env: gymnasium.Env[Any, Any]) -> Pace:
    """At which the task moves as fast as its own clock says."""
    fps = float(env.metadata.get("render_fps") or DEFAULT_FPS)
    every = math.ceil(fps / SMOOTH_FPS)
    return Pace(every, fps / every)


def check_out(path: Path) -> None:
    """Raise a ConfigError unless a film can be put at `path`."""
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ConfigError(f"a video needs the package imageio-ffmpeg: {INSTALL}")
    if path.suffix != ".mp4":
        raise ConfigError(f"--out {path} must end in .mp4.")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {path}: there is no directory {path.parent}, make it first.")


class Film:
    """An mp4 of pictures of one size: H.264, written beside its place and renamed when it ends."""

    def __init__(self, path: Path, fps: float) -> None:
        """Nothing is written before the first picture; `path` has passed `check_out`."""
        import imageio_ffmpeg  # on demand: only videos need it

        self._open = imageio_ffmpeg.write_frames
        self._path, self._fps = path, fps
        self._beside = path.with_name(f"{path.stem}.tmp-{uuid.uuid4().hex[:8]}.mp4")
        self._writer: Generator[None, Picture | None, None] | None = None

    def __enter__(self) -> Self:
        """Start."""
        return self

    def add(self, drawn: Picture) -> None:
        """One more picture, [height, width, 3]; an odd last row or column is cut off."""
        height, width = (size // 2 * 2 for size in drawn.shape[:2])  # H.264 halves the colors'
        drawn = np.ascontiguousarray(drawn[:height, :width])
        try:
            if self._writer is None:
                self._writer = self._open(
                    str(self._beside),
                    (width, height),
                    fps=self._fps,
                    macro_block_size=2,
                    ffmpeg_log_level="error",
                )
                self._writer.send(None)
            self._writer.send(drawn)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written ({error}).") from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; what an error has cut short is removed."""
        try:
            if self._writer is not None:
                self._writer.close()
            if kind is None:
                os.replace(self._beside, self._path)
        except OSError as failure:
            raise StorageError(f"{self._path} cannot be written ({failure}).") from failure
        finally:
            self._beside.unlink(missing_ok=True)
