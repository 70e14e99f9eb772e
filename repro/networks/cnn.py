"""Actor-critic networks of frames: convolutions, then the dense layers of `repro.networks.mlp`.

On a CPU convolutions run learner by learner, in channels-last layout: grouped ones take 1.3 to 5
times as long, and could make a learner's bits depend on its pack. On a GPU, where each call has its
price, they are grouped. The dense layers are batched over learners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import gymnasium
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import Tensor

from repro.config.schema import PolicyConfig, RecipeConfig
from repro.errors import ConfigError
from repro.networks.frames import FrameStacks, Inputs
from repro.networks.initialization import Array, orthogonal
from repro.networks.layers import mlp
from repro.networks.mlp import HEADS, MLPActorCritic

# Samples that pass through the convolutions at once. On a CPU their outputs should fit into the
# caches, which saves 7 to 24 % of the update's time; on a GPU the number bounds the memory.
CHUNK_SIZES = {"cpu": 32}
CHUNK_SIZE = 256
WHITE = 255.0
Layer = tuple[Tensor, Tensor, int]  # weights, biases, stride; of P learners or of one


class CNNActorCritic(MLPActorCritic):
    """Convolutions with ReLUs and a trunk, both shared by policy and value.

    Weights are [O, C, k, k] as in torch. The output of the last convolution is flattened pixel by
    pixel: the channels of a pixel are neighbors.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[object],
        action_space: gymnasium.Space[object],
        config: PolicyConfig,
    ) -> None:
        """Derive the shapes of one learner's parameters.

        Raises:
            ConfigError: observations that are not frames, or too small for the convolutions.
        """
        self._strides = [stride for _, _, stride in config.convolutions or ()]
        self._convolutions, features = convolution_shapes(observation_space, config)
        self.trunk: Callable[[Mapping[str, Tensor], Inputs], Tensor] | None = None
        assert observation_space.shape is not None
        self.frame_size = observation_space.shape[-2], observation_space.shape[-1]
        flat = gymnasium.spaces.Box(-np.inf, np.inf, (features,))
        super().__init__(flat, action_space, config)

    def _shapes(self, config: PolicyConfig) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, shape in enumerate(self._convolutions):
            shapes[f"conv.{layer}.weight"] = shape
            shapes[f"conv.{layer}.bias"] = shape[:1]
        return shapes | super()._shapes(config)

    def _draw(
        self, rng: np.random.Generator, name: str, shape: tuple[int, ...], recipe: RecipeConfig
    ) -> Array:
        if not name.startswith("conv."):
            return super()._draw(rng, name, shape, recipe)
        outputs, inputs = shape[0], int(np.prod(shape[1:]))
        if recipe.initialization == "orthogonal":
            return orthogonal(rng, (inputs, outputs), recipe.hidden_gain).T.reshape(shape)
        # As Baselines' ppo1 (tf_util.conv2d at d9f194f): uniform, Glorot & Bengio (2010).
        bound = np.sqrt(6 / (inputs + outputs * shape[2] * shape[3]))
        return rng.uniform(-bound, bound, shape).astype(np.float32)

    def _pad(self, name: str, array: Array) -> Array:
        return array if name.startswith("conv.") else super()._pad(name, array)

    def heads(
        self, parameters: Mapping[str, Tensor], observations: Inputs
    ) -> tuple[Tensor, Tensor]:
        """Of frames [P, M, S, H, W] or of stacks of them."""
        if self.trunk is not None:
            hidden = self.trunk(parameters, observations)
            policy, value = (mlp(hidden, [], self._head(parameters, h), "relu") for h in HEADS)
            return policy, value
        return super().heads(parameters, self._features(parameters, observations))

    def _network(self, parameters: Mapping[str, Tensor], x: Inputs, head: str) -> Tensor:
        if self.trunk is not None:
            return mlp(self.trunk(parameters, x), [], self._head(parameters, head), "relu")
        return super()._network(parameters, self._features(parameters, x), head)

    @property
    def convolutions(self) -> list[tuple[int, int, int, int]]:
        """(outputs, inputs, kernel, stride) of each."""
        shapes = zip(self._convolutions, self._strides, strict=True)
        return [(*shape[:3], stride) for shape, stride in shapes]

    def _features(self, parameters: Mapping[str, Tensor], frames: Inputs) -> Tensor:
        """Frames [P, M, S, H, W] -> features [P, M, F]."""
        layers = [
            (parameters[f"conv.{layer}.weight"], parameters[f"conv.{layer}.bias"], stride)
            for layer, stride in enumerate(self._strides)
        ]
        convolve = one_by_one if frames.device.type == "cpu" else grouped
        parts = [convolve(chunk, layers) for chunk in _chunks(frames)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _chunks(frames: Inputs) -> Iterable[Tensor]:
    size = CHUNK_SIZES.get(frames.device.type, CHUNK_SIZE)
    if isinstance(frames, FrameStacks):
        return frames.chunks(size)
    return torch.split(frames, size, dim=1)


def grouped(frames: Tensor, layers: Sequence[Layer]) -> Tensor:
    """All learners' features by one convolution a layer: uint8 [P, M, S, H, W] -> [P, M, F]."""
    learners = len(frames)
    x = frames.transpose(0, 1).flatten(1, 2).float()  # [M, P S, H, W]
    scale = 1 / WHITE
    for weight, bias, stride in layers:
        x = F.conv2d(
            x, (weight * scale).flatten(0, 1), bias.flatten(), stride, groups=learners
        ).relu_()
        scale = 1.0
    return x.view(len(x), learners, -1, *x.shape[2:]).permute(1, 0, 3, 4, 2).flatten(2)


def one_by_one(frames: Tensor, layers: Sequence[Layer]) -> Tensor:
    """The same, learner by learner."""
    own = [[(w[p], b[p], stride) for w, b, stride in layers] for p in range(len(frames))]
    return torch.stack([_convolve(*each) for each in zip(frames, own, strict=True)])


def _convolve(frames: Tensor, layers: Sequence[Layer]) -> Tensor:
    """One learner's features: uint8 [M, S, H, W] -> [M, F]."""
    x = _channels_last(frames)
    scale = 1 / WHITE  # scales the frames to [0, 1]; scaling the first weights instead is cheaper
    for weight, bias, stride in layers:
        weight = (weight * scale if scale != 1 else weight).contiguous(
            memory_format=torch.channels_last
        )
        x = F.conv2d(x, weight, bias, stride).relu_()
        scale = 1.0
    return x.permute(0, 2, 3, 1).flatten(1)


def _channels_last(frames: Tensor) -> Tensor:
    """uint8 [M, S, H, W] -> float32. Plane by plane takes a third of the time of `Tensor.to`."""
    x = torch.empty(
        frames.shape, device=frames.device, memory_format=torch.channels_last, dtype=torch.float32
    )
    for plane in range(frames.shape[1]):
        x[:, plane].copy_(frames[:, plane])
    return x


def convolution_shapes(
    space: gymnasium.Space[object], config: PolicyConfig
) -> tuple[list[tuple[int, int, int, int]], int]:
    """Shapes of the weights, and the number of features F.

    Args:
        space: of observations.
        config: with convolutions.

    Raises:
        ConfigError: observations that are not frames, or too small for the convolutions.
    """
    is_frames = isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 3
    if not is_frames or space.dtype != np.uint8:
        raise ConfigError(
            f"policy={config.name} takes frames (uint8 [stack, height, width]), not {space}: "
            "say policy=mlp, or choose another task."
        )
    assert space.shape is not None
    channels, height, width = space.shape
    shapes = []
    for outputs, kernel, stride in config.convolutions or ():
        if kernel > min(height, width):
            raise ConfigError(
                f"policy={config.name} has a kernel of {kernel} for {height} x {width} pixels: "
                "raise env.atari.screen_size."
            )
        shapes.append((outputs, channels, kernel, kernel))
        channels = outputs
        height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    return shapes, channels * height * width
