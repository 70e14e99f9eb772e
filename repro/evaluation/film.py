"""Draws images of a task without a screen, and writes them as mp4 files or animated WebP images."""

from __future__ import annotations

import copy
import functools
import importlib.util
import logging
import math
import os
import subprocess
import sys
import uuid
import warnings
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import gymnasium
import numpy as np
from numpy.typing import NDArray

from repro.envs.randomness import constructing
from repro.envs.user_code import described
from repro.errors import ConfigError, StorageError, installation

Image = NDArray[np.uint8]
GL = "MUJOCO_GL"  # the OpenGL that MuJoCo draws with; Gymnasium and MuJoCo read it
DRAWN_BY_MUJOCO = ("mujoco", "repro.envs.humanoid")  # parts of entry points
# EGL needs a GPU or Mesa, OSMesa only a CPU; CGL is macOS's own.
OFF_SCREEN = ("cgl",) if sys.platform == "darwin" else ("egl", "osmesa")
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
DEFAULT_FPS = 30.0  # of a task that does not say how fast it runs
MAX_FPS = 50  # more looks the same, and drawing an image takes a CPU 0.1 s
MP4, WEBP = ".mp4", ".webp"
WEBP_QUALITY = 60  # of 100; a humanoid of 320 x 240 pixels takes some 5 kB an image


class FrameRate(NamedTuple):
    """An image after every `every` steps, and `fps` images a second."""

    every: int
    fps: float


def choose_gl() -> str:
    """Set MUJOCO_GL to the first of OFF_SCREEN that works; a value that is set is kept.

    Raises:
        ConfigError: the value that is set does not work, or none does.
    """
    # PyOpenGL logs that an accelerator is missing, which is not needed here.
    logging.getLogger("OpenGL.acceleratesupport").disabled = True
    chosen = os.environ.get(GL)
    for name in [chosen] if chosen else OFF_SCREEN:
        if _works(name):
            os.environ[GL] = name
            return name
    if chosen:
        raise ConfigError(f"MuJoCo cannot draw with {GL}={chosen} here: unset it, or {MESA}.")
    raise ConfigError(f"MuJoCo finds no OpenGL to draw with off-screen: {MESA}.")


def _works(name: str) -> bool:
    """Try in another process, since a process can load only one OpenGL."""
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


def make_env(
    env_id: str, width: int | None, height: int | None, kwargs: Mapping[str, Any] | None = None
) -> gymnasium.Env[Any, Any]:
    """Make an environment that can be drawn.

    Args:
        env_id: registered with Gymnasium.
        width: of its images, in pixels; None for the task's default.
        height: likewise.
        kwargs: further arguments of the environment.

    Raises:
        ConfigError: it cannot be made or drawn, or its images have a fixed size.
    """
    size = {k: v for k, v in {"width": width, "height": height}.items() if v is not None}
    spec = gymnasium.registry.get(env_id)
    if spec is not None and any(each in str(spec.entry_point) for each in DRAWN_BY_MUJOCO):
        choose_gl()  # first: MuJoCo cannot be imported with a MUJOCO_GL that does not work
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about old versions, which are chosen on purpose
        try:
            own = copy.deepcopy(dict(kwargs or {})) | size
            with constructing():
                env = gymnasium.make(
                    env_id, render_mode="rgb_array", disable_env_checker=True, **own
                )
        except TypeError as error:
            if size:
                options = " and ".join(f"--{name}" for name in size)
                raise ConfigError(f"{env_id} does not take {options}: leave it out.") from error
            raise ConfigError(f"{env_id} cannot be drawn: it takes no render_mode.") from error
        except Exception as error:
            raise ConfigError(f"{env_id} cannot be made: {error}") from error
    if hasattr(env.unwrapped, "mujoco_renderer") and GL not in os.environ:
        choose_gl()
    return env


def render(env: gymnasium.Env[Any, Any]) -> Image:
    """An image of the environment's current state, uint8 [height, width, 3].

    Raises:
        ConfigError: it cannot be drawn.
    """
    name = env.spec.id if env.spec else "the task"
    try:
        drawn = env.render()
    except gymnasium.error.DependencyNotInstalled as error:
        raise ConfigError(f"{name} cannot be drawn ({error}): {INSTALL}") from error
    except Exception as error:
        raise ConfigError(f"{name} cannot be drawn: {described(error)}.") from error
    if not isinstance(drawn, np.ndarray) or drawn.ndim != 3 or drawn.dtype != np.uint8:
        raise ConfigError(f"{name} cannot be drawn: it has no render_mode=rgb_array.")
    return drawn


def resize(image: Image, width: int, height: int) -> Image:
    """An image of another size, [height, width, 3], by nearest neighbors."""
    rows = np.arange(height) * image.shape[0] // height
    columns = np.arange(width) * image.shape[1] // width
    return np.asarray(image[rows[:, None], columns], np.uint8)


def frame_rate(env: gymnasium.Env[Any, Any], most: float = MAX_FPS) -> FrameRate:
    """The rate, at most `most` images a second, at which a film runs in the task's time."""
    fps = float(env.metadata.get("render_fps") or DEFAULT_FPS)
    every = math.ceil(fps / most)
    return FrameRate(every, fps / every)


def check_output(path: Path) -> None:
    """Raise a ConfigError unless a film can be written to `path`."""
    if path.suffix not in (MP4, WEBP):
        raise ConfigError(f"--out {path} must end in {MP4} or {WEBP}.")
    if path.suffix == MP4:
        check_packages()
    if not path.parent.is_dir():
        raise ConfigError(f"--out {path}: there is no directory {path.parent}, make it first.")


def check_packages() -> None:
    """Raise a ConfigError unless what writes videos is installed."""
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ConfigError(f"a video needs the package imageio-ffmpeg: {INSTALL}")


Writer = Generator[None, Image | None, None]  # takes images; writes the file when it is closed


class Film:
    """A file of images of one size, written under a temporary name and renamed.

    It is an mp4 (H.264) or an animated WebP image, which loops, by the ending of its name.
    """

    def __init__(self, path: Path, fps: float) -> None:
        """Nothing is written before the first image. `path` has passed `check_output`."""
        self._open = _webp if path.suffix == WEBP else _mp4
        self._path, self._fps = path, fps
        temporary = f"{path.stem}.tmp-{uuid.uuid4().hex[:8]}{path.suffix}"
        self._temporary = path.with_name(temporary)
        self._writer: Writer | None = None

    def __enter__(self) -> Self:
        """Start."""
        return self

    def add(self, image: Image) -> None:
        """Add an image, [height, width, 3]; an odd last row or column is cut off."""
        height, width = (size // 2 * 2 for size in image.shape[:2])  # H.264 halves color resolution
        image = np.ascontiguousarray(image[:height, :width])
        try:
            if self._writer is None:
                self._writer = self._open(self._temporary, (width, height), self._fps)
                self._writer.send(None)
            self._writer.send(image)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written ({error}).") from error

    def __exit__(self, kind: object, *error: object) -> None:
        """Finish the file; after an error it is removed."""
        try:
            if self._writer is not None:
                self._writer.close()
            if kind is None:
                os.replace(self._temporary, self._path)
        except OSError as failure:
            raise StorageError(f"{self._path} cannot be written ({failure}).") from failure
        finally:
            self._temporary.unlink(missing_ok=True)


def _mp4(path: Path, size: tuple[int, int], fps: float) -> Writer:
    import imageio_ffmpeg  # on demand: an optional package

    quiet = {"macro_block_size": 2, "ffmpeg_log_level": "error"}
    writer: Writer = imageio_ffmpeg.write_frames(str(path), size, fps=fps, **quiet)
    return writer


def _webp(path: Path, size: tuple[int, int], fps: float) -> Writer:
    from PIL import Image as Pictures  # on demand: few commands draw

    pictures: list[Pictures.Image] = []
    try:
        while (image := (yield)) is not None:
            pictures.append(Pictures.fromarray(image))
    finally:
        first, *others = pictures
        looped = functools.partial(first.save, save_all=True, append_images=others, loop=0)
        looped(path, duration=round(1000 / fps), quality=WEBP_QUALITY)
