"""The networks of a configuration as Stable-Baselines3 takes them: for vectors, and for frames."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from gymnasium.spaces import Space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN
from torch import Tensor, nn

from repro.config.schema import PolicyConfig
from repro.networks.cnn import convolution_shapes
from repro.networks.mlp import flat_size

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}
NATURE = [[32, 8, 4], [64, 4, 2], [64, 3, 1]]  # what is written down in NatureCNN (torch_layers.py)


def policy_name(config: PolicyConfig) -> str:
    """The first argument of a model."""
    return "MlpPolicy" if config.convolutions is None else "CnnPolicy"


def network_keywords(config: PolicyConfig) -> dict[str, Any]:
    """What a policy's constructor takes of its networks.

    For frames all layers are the features extractor's, which in SB3 is what policy and value
    function share.
    """
    sizes = list(config.hidden_sizes)
    activation = ACTIVATIONS[config.activation]
    if config.convolutions is None:
        return {"net_arch": {"pi": sizes, "vf": sizes}, "activation_fn": activation}
    nature = config.convolutions == NATURE and len(sizes) == 1 and config.activation == "relu"
    kind: dict[str, Any] = {"features_extractor_class": FramesExtractor}
    kind["features_extractor_kwargs"] = {"config": config}
    if nature:
        kind = {"features_extractor_class": NatureCNN}
        kind["features_extractor_kwargs"] = {"features_dim": sizes[0]}
    return kind | {"net_arch": [], "activation_fn": activation}


def check_space(config: PolicyConfig, space: Space[Any]) -> None:
    """Refuse observations that our networks refuse, and SB3's would take as something else.

    Raises:
        ConfigError: vectors for convolutions, frames for none, or too small ones.
    """
    if config.convolutions is None:
        flat_size(space, "observations")
    else:
        convolution_shapes(space, config)


class FramesExtractor(BaseFeaturesExtractor):
    """What `NatureCNN` is, with the layers of a configuration: `cnn_a3c`, for one.

    Its layers have the names of that class, so that a `state_dict` tells them alike.
    """

    def __init__(self, space: Space[Any], config: PolicyConfig) -> None:
        """Make the layers, which the policy initializes.

        Args:
            space: of frames, uint8 [S, H, W].
            config: with convolutions.
        """
        shapes, features = convolution_shapes(space, config)
        sizes = [features, *config.hidden_sizes]
        super().__init__(space, sizes[-1])
        convolutions: list[nn.Module] = []
        for (outputs, inputs, kernel, _), (_, _, stride) in zip(
            shapes, config.convolutions or (), strict=True
        ):
            convolutions += [nn.Conv2d(inputs, outputs, kernel, stride), nn.ReLU()]
        self.cnn = nn.Sequential(*convolutions, nn.Flatten())
        dense: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            dense += [nn.Linear(inputs, outputs), ACTIVATIONS[config.activation]()]
        self.linear = nn.Sequential(*dense)

    def forward(self, observations: Tensor) -> Tensor:
        """Frames divided by 255, float32 [M, S, H, W], to features [M, F]."""
        features: Tensor = self.linear(self.cnn(observations))
        return features
