"""What the key `device` may say: `cpu`, `auto`, `cuda`, `cuda:1`, or for a sweep `cuda:0+2`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from repro.config.names import check_choice
from repro.errors import ConfigError

CPU, CUDA, AUTO = "cpu", "cuda", "auto"
_NUMBERED = re.compile(r"cuda:(\d+(?:[+,]\d+)*)")  # with commas where the shell keeps the quotes


def check(key: str, device: Any) -> None:
    """Raise a ConfigError for what is no device."""
    found = _NUMBERED.fullmatch(str(device))
    if found is None:
        if re.fullmatch(r"\d+|cuda:.*", str(device)):
            raise ConfigError(
                f"{key}={device} is not known: GPUs have numbers, as in {key}=cuda:1, or for a "
                f"sweep {key}=cuda:0+1."
            )
        check_choice(key, device, (CPU, CUDA, AUTO))
    elif len(numbers(device)) != len(set(numbers(device))):
        raise ConfigError(f"{key}={device} names a GPU twice: name each once.")


def numbers(device: str) -> list[int]:
    """The numbers that it names; none for `cuda`, and for what is no GPU."""
    found = _NUMBERED.fullmatch(device)
    return [] if found is None else [int(number) for number in re.split("[+,]", found[1])]


def names(device: str) -> list[str]:
    """One device each: `cuda:0+2` is `cuda:0` and `cuda:2`, any other itself."""
    return [f"cuda:{number}" for number in numbers(device)] or [device]


def together(names: Sequence[str]) -> str:
    """`cuda:0+2` of `cuda:0` and `cuda:2`."""
    return "cuda:" + "+".join(name.removeprefix("cuda:") for name in names)


def on_gpu(device: str) -> bool:
    """Whether it is a GPU, or several."""
    return device.startswith(CUDA)
