"""Which device `device=...` means on this machine, and what `auto` chooses."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from repro.config import devices
from repro.config.run import RunConfig
from repro.errors import ConfigError

C = TypeVar("C", bound=RunConfig)


def resolve_device(name: str) -> torch.device:
    """The device of a run: of several GPUs the first.

    Args:
        name: a value of `device` other than `auto`; see `settled`.

    Raises:
        ConfigError: a GPU that is not there.
    """
    if devices.on_gpu(name):
        _check_gpus(name)
    return torch.device(devices.names(name)[0])


def gpus(name: str) -> list[str]:
    """The GPUs that a sweep with `device=NAME` shares: those named, or for `cuda` all there are.

    Raises:
        ConfigError: a GPU that is not there.
    """
    if not devices.on_gpu(name):
        return []
    count = _check_gpus(name)
    found = devices.names(name)
    return found if devices.numbers(name) else [f"cuda:{number}" for number in range(count)]


def settled(configs: Sequence[C], say: Callable[[str], None]) -> list[C]:
    """Configurations whose `auto` has become `cpu` or `cuda`.

    A GPU is taken where torch finds one and a learner's networks have `gpu_from_parameters`
    parameters or more.

    Args:
        configs: of any devices.
        say: called once with each choice and its reason.
    """
    chosen: dict[tuple[str, int], str] = {}
    found = []
    for config in configs:
        if config.device == devices.AUTO:
            # The networks of a pack are alike, and counted once.
            key = config.pack_key, config.gpu_from_parameters
            if key not in chosen:
                chosen[key], reason = _chosen(config)
                say(f"device=auto: {chosen[key]}, since {reason}.")
            config = dataclasses.replace(config, device=chosen[key])
        found.append(config)
    return found


def _chosen(config: RunConfig) -> tuple[str, str]:
    """A device, and why."""
    if not torch.cuda.is_available():
        return devices.CPU, "torch finds no GPU here"
    count = importlib.import_module(config.trainer).parameters(config)
    limit = config.gpu_from_parameters
    if count < limit:
        return devices.CPU, f"{count:,} parameters are fewer than gpu_from_parameters={limit}"
    return devices.CUDA, f"{count:,} parameters are gpu_from_parameters={limit} or more"


def _check_gpus(name: str) -> int:
    """How many GPUs there are."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise ConfigError(
            f"device={name}, but torch finds no GPU here (nvidia-smi lists those of the driver): "
            "say device=cpu or device=auto."
        )
    missing = [number for number in devices.numbers(name) if number >= count]
    if missing:
        there = "only cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise ConfigError(
            f"device={name}, but there is no cuda:{missing[0]} here, {there}: name one of these, "
            "or say device=cuda."
        )
    return count
