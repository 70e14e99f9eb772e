"""One humanoid task as an environment of Gymnasium's, for use without the rest of the project."""

from __future__ import annotations

from typing import Any

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from repro.config.humanoid import HumanoidConfig
from repro.envs.humanoid.vector import FRAMES_PER_SECOND, HumanoidVectorEnv

CAMERA = (4.0, 110.0, -14.0)  # distance in m, azimuth and elevation in degrees
LOOK_AT = 0.8  # m; the height of what the camera looks at

Observation = NDArray[np.float64]
Action = NDArray[np.floating[Any]]


class HumanoidEnv(gymnasium.Env[Observation, Action]):
    """`HumanoidVectorEnv` with one simulation, with the same bits, and without autoreset.

    `infos` has the reward's terms under `reward_` and their names, and at the end of an episode its
    measures (`measures.MEANINGS`), as floats.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": FRAMES_PER_SECOND}  # noqa: RUF012  (Gymnasium's)

    def __init__(
        self,
        task_id: str,
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
        **switches: Any,
    ) -> None:
        """Make the simulation.

        Args:
            task_id: one of `rules.ids()`.
            render_mode: rgb_array, or None.
            width: of images, in pixels.
            height: likewise.
            switches: keys of `HumanoidConfig`, such as `flag_steps=150`.

        Raises:
            ConfigError: a switch that the task does not have.
        """
        self.render_mode = render_mode
        self._vector = HumanoidVectorEnv(task_id, 1, HumanoidConfig(**switches))
        self.observation_space = self._vector.single_observation_space
        self.action_space = self._vector.single_action_space
        self._size = (width, height)
        self._renderer: Any = None  # a mujoco.Renderer, made when it is first needed
        self._camera = mujoco.MjvCamera()
        self._camera.distance, self._camera.azimuth, self._camera.elevation = CAMERA

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        observations, _ = self._vector.reset(seed=[seed], options=options)
        return observations[0].copy(), {}

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take a step; after the last one of an episode the next call must be `reset`."""
        rewards, terminated, truncated, infos = self._vector.advance(np.asarray(action)[None])
        infos |= infos.pop("measures", {})
        return (
            self._vector.observations[0].copy(),
            float(rewards[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            {name: float(values[0]) for name, values in infos.items()},
        )

    def render(self) -> NDArray[np.uint8] | None:
        """An image with the flag and the cube from a camera that follows, [height, width, 3]."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            width, height = self._size
            self._vector.model.vis.global_.offwidth = max(width, 640)
            self._vector.model.vis.global_.offheight = max(height, 480)
            self._renderer = mujoco.Renderer(self._vector.model, height, width)
        data = self._vector.batch.get_data(0)
        mujoco.mj_forward(self._vector.model, data)
        self._camera.lookat[:] = *self._vector.body.xy[0], LOOK_AT
        self._renderer.update_scene(data, camera=self._camera)
        image: NDArray[np.uint8] = self._renderer.render()
        return image

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def checkpoint(self) -> dict[str, Any]:
        """The state as JSON values, for `repro.envs.plain_state`."""
        return {
            name: _encoded(value) if isinstance(value, np.ndarray) else value
            for name, value in self._vector.state().items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        self._vector.set_state(
            {k: _decoded(v) if isinstance(v, dict) else v for k, v in state.items()}
        )


def _encoded(array: NDArray[Any]) -> dict[str, Any]:
    return {"dtype": array.dtype.str, "shape": array.shape, "bytes": array.tobytes().hex()}


def _decoded(saved: dict[str, Any]) -> NDArray[Any]:
    array = np.frombuffer(bytes.fromhex(saved["bytes"]), saved["dtype"])
    return array.reshape(saved["shape"]).copy()
