"""The trunk of networks of frames by the kernels of frames.cpp, with their gradients."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.engines.native.kernels import check_layout, library, pointer
from repro.networks.cnn import CNNActorCritic
from repro.networks.frames import FrameStacks, Inputs

STEPS = (4, 16, 32, 64)  # `kSteps` of convolution.h
LANES = 32  # two registers: the width of the kernels' blocks


class _Trunk(ctypes.Structure):
    """`Trunk` of frames.cpp, field by field; `check_layout` compares the sizes."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("layers", "frames", "index", "parameters")),
        *((name, ctypes.c_void_p) for name in ("gradients", "outputs", "strides", "upstream")),
        *((name, ctypes.c_int64) for name in ("height", "width", "frames_per_learner")),
        *((name, ctypes.c_int64) for name in ("learners", "samples", "units")),
    ]


class Trunk:
    """Frames -> the hidden layer that policy and value share, [P, M, H]; differentiable."""

    def __init__(self, policy: CNNActorCritic) -> None:
        """Take the shapes."""
        check_layout(_Trunk, library().trunk_size())
        self._names = [*(f"conv.{i}" for i in range(len(policy.convolutions))), "shared.0"]
        numbers = [len(policy.convolutions)]
        for outputs, inputs, kernel, stride in policy.convolutions:
            numbers += [inputs, outputs, kernel, stride]
        self._layers = np.array(numbers, np.int64)
        self._sizes = _output_sizes(policy)
        self._spare: list[Tensor] = []

    def __call__(self, parameters: Mapping[str, Tensor], frames: Inputs) -> Tensor:
        """Frames uint8 [P, M, S, H, W], or stacks of them -> [P, M, units]."""
        stacks = frames if isinstance(frames, FrameStacks) else FrameStacks.of(frames)
        named = [parameters[f"{n}.{part}"] for n in self._names for part in ("weight", "bias")]
        if torch.is_grad_enabled():
            out: Tensor = _Features.apply(self, stacks, *named)  # type: ignore[no-untyped-call]
            return out
        return self.forward(stacks, named, self._empty(stacks, 2))

    def forward(
        self, stacks: FrameStacks, parameters: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> Tensor:
        """Fill the outputs of the layers, or of the last two, [P, M, ...] each; returns the last.

        Without the others there is no gradient.
        """
        struct = self._struct(stacks, parameters, outputs)
        library().trunk_forward(ctypes.byref(struct))
        return outputs[-1]

    def backward(
        self,
        stacks: FrameStacks,
        parameters: Sequence[Tensor],
        outputs: Sequence[Tensor],
        upstream: Tensor,
    ) -> list[Tensor]:
        """The gradients of the parameters from that of the last outputs."""
        gradients = [torch.empty(x.shape) for x in parameters]
        upstream = upstream.contiguous()
        struct = self._struct(stacks, parameters, outputs, gradients, upstream)
        library().trunk_backward(ctypes.byref(struct))
        return gradients

    def take(self, stacks: FrameStacks) -> list[Tensor]:
        """Memory for the outputs of all layers.

        What an earlier pass has given back: new memory costs more than a layer's arithmetic.
        """
        spare, self._spare = self._spare, []
        fits = bool(spare) and spare[0].shape[:2] == stacks.index.shape[:2]
        return [*spare, *self._empty(stacks, 1)] if fits else self._empty(stacks)

    def give_back(self, outputs: Sequence[Tensor]) -> None:
        """Let the next pass have the memory; the last outputs, which others see, are not taken."""
        self._spare = list(outputs[:-1])

    def _empty(self, stacks: FrameStacks, last: int = 0) -> list[Tensor]:
        shape = stacks.index.shape[:2]
        return [torch.empty(*shape, size) for size in self._sizes[-last:]]

    def _struct(
        self,
        stacks: FrameStacks,
        parameters: Sequence[Tensor],
        outputs: Sequence[Tensor],
        gradients: Sequence[Tensor] = (),
        upstream: Tensor | None = None,
    ) -> _Trunk:
        frames, index = stacks.frames, stacks.index
        lists = {
            "parameters": _addresses(parameters),
            "gradients": _addresses(gradients),
            "outputs": np.pad(_addresses(outputs), (len(self._sizes) - len(outputs), 0)),
            "strides": np.array([x.stride(0) for x in parameters], np.int64),
            "layers": self._layers,
        }
        struct = _Trunk(
            **{name: pointer(array, "int64") for name, array in lists.items()},
            frames=pointer(frames, "uint8"),
            index=pointer(index, "int64"),
            upstream=pointer(upstream),
            height=frames.shape[-2],
            width=frames.shape[-1],
            frames_per_learner=frames.shape[1],
            learners=len(index),
            samples=index.shape[1],
            units=self._sizes[-1],
        )
        struct.alive = lists  # the struct holds only their addresses
        return struct


class _Features(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, trunk: Trunk, stacks: FrameStacks, *parameters: Tensor) -> Tensor:
        outputs = trunk.take(stacks)
        ctx.trunk, ctx.stacks, ctx.outputs = trunk, stacks, outputs[:-1]
        features = trunk.forward(stacks, parameters, outputs)
        ctx.save_for_backward(features, *parameters)
        return features

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        assert ctx.outputs is not None, "the gradient of a trunk can be computed once"
        features, *parameters = ctx.saved_tensors
        outputs, ctx.outputs = [*ctx.outputs, features], None
        gradients = ctx.trunk.backward(ctx.stacks, parameters, outputs, upstream[0])
        ctx.trunk.give_back(outputs)
        return None, None, *gradients


def not_covered(policy: CNNActorCritic) -> str | None:
    """Why the kernels cannot compute a policy's trunk; None if they can."""
    if policy.activation != "relu" or policy.depth != 1 or not policy.shared:
        return "of networks of frames, the kernels cover those with one shared layer of ReLUs"
    for i, (outputs, inputs, kernel, stride) in enumerate(policy.convolutions):
        step, run = (stride * inputs, inputs) if i else (stride, kernel)
        fits = outputs % 16 == 0 and kernel % stride == 0 and step in STEPS and run % 4 == 0
        fits = fits and inputs * kernel**2 % 16 == 0 and (i == 0 or outputs in STEPS)
        if not fits:
            return f"the kernels do not cover convolution {i + 1} of this policy"
    units = policy.shapes["shared.0.weight"][1]
    if units % LANES or policy.convolutions[-1][0] % LANES:
        return f"the kernels cover layers of {LANES}, {2 * LANES}, ... units"
    if library().lanes() < LANES // 2:
        return "the kernels for frames need AVX-512"
    return None


def _output_sizes(policy: CNNActorCritic) -> list[int]:
    """Outputs of each layer for one sample."""
    sizes, (height, width) = [], policy.frame_size
    for outputs, _, kernel, stride in policy.convolutions:
        height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        sizes.append(outputs * height * width)
    return [*sizes, policy.shapes["shared.0.weight"][1]]


def _addresses(tensors: Sequence[Tensor]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([x.data_ptr() for x in tensors], np.int64)
