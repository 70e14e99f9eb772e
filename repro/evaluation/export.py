"""A policy as a program of `torch.export`, which runs without this project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from gymnasium.spaces import Space
from torch import Tensor

from repro.errors import ConfigError
from repro.evaluation.policies import FramesPolicy, NetworkPolicy, Policy
from repro.learning.normalize import ObservationNormalizer
from repro.networks.mlp import MLPActorCritic
from repro.runs.finished import FinishedRun

EXAMPLES = 2  # rows of the example that a program is traced with
MOST_FRAMES = 16  # stacks of frames at a time


def write(policy: Policy, run: FinishedRun, path: Path) -> None:
    """Write a policy's most likely actions as a `.pt2` file.

    Args:
        policy: that of `run`.
        run: a finished one.
        path: ends with `.pt2`.

    Raises:
        ConfigError: a policy of Stable-Baselines3, or a path with another ending.
    """
    if path.suffix != ".pt2":
        raise ConfigError(f"{path} must end with .pt2.")
    if isinstance(policy, NetworkPolicy):
        normalizer = policy.normalizer if policy.normalizer.enabled else None
        program = Program(policy.networks, policy.parameters, normalizer, policy.box, policy.space)
        kind, most = torch.float32, None
    elif isinstance(policy, FramesPolicy):
        parameters = {name: tensor[0] for name, tensor in policy.parameters.items()}
        program = Program(policy.networks, parameters)
        kind, most = torch.uint8, MOST_FRAMES
    else:
        raise ConfigError(
            f"{run.run_id} is a run of Stable-Baselines3, whose policies are not exported here: "
            "see its documentation."
        )
    example = torch.zeros((EXAMPLES, *policy.observation_shape), dtype=kind)
    rows = torch.export.Dim("rows", max=most)
    exported = torch.export.export(program, (example,), dynamic_shapes=({0: rows},))
    exported.example_inputs = None  # torch would pickle it
    torch.export.save(exported, path)


class Program(torch.nn.Module):
    """Normalization, network, clipping of actions: [N, D] or [N, S, H, W] to [N, A] or [N]."""

    def __init__(
        self,
        networks: MLPActorCritic,
        parameters: Mapping[str, Tensor],
        normalizer: ObservationNormalizer | None = None,
        box: tuple[Tensor, Tensor] | None = None,
        space: Space[Any] | None = None,
    ) -> None:
        """Copy the numbers of one learner.

        Args:
            networks: which have no parameters of their own.
            parameters: of one learner, by name.
            normalizer: of its observations.
            box: the least and the largest action, [A] each, to which actions are clipped.
            space: of the task's actions; None for indices from 0.
        """
        super().__init__()
        self._networks = networks
        self._names = {name: f"parameter_{i}" for i, name in enumerate(parameters)}
        self._limit = None if normalizer is None else float(normalizer.clip)
        self._clips, self._start = box is not None, int(getattr(space, "start", 0))
        name = None if space is None else str(space.dtype)
        self._dtype: torch.dtype | None = getattr(torch, name, None) if name else None
        buffers = {self._names[name]: tensor for name, tensor in parameters.items()}
        if normalizer is not None:
            buffers["center"] = torch.from_numpy(normalizer.center[0])
            buffers["scale"] = torch.from_numpy(normalizer.scale[0])
        if box is not None:
            buffers["low"], buffers["high"] = box
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor.clone())

    def forward(self, observations: Tensor) -> Tensor:
        """The most likely actions."""
        buffers = dict(self.named_buffers())
        if self._limit is not None:  # in float64, as in training
            scaled = (observations.double() - buffers["center"]) * buffers["scale"]
            observations = scaled.clamp(-self._limit, self._limit).float()
        # Rows take the learners' axis, as in `NetworkPolicy`; for frames that would cost too much.
        rows, axis = (observations.shape[0], 1) if observations.dim() == 2 else (1, 0)
        parameters = {
            name: buffers[buffer].expand(rows, *buffers[buffer].shape)
            for name, buffer in self._names.items()
        }
        inputs = observations.unsqueeze(axis)
        actions = self._networks.distribution(parameters, inputs).mode().squeeze(axis)
        actions = torch.clamp(actions, buffers["low"], buffers["high"]) if self._clips else actions
        actions = actions + self._start if self._start else actions
        return actions if self._dtype is None else actions.to(self._dtype)
