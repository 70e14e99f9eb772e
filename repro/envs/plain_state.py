"""Saves and restores the state of a Gymnasium environment that is plain data.

Gymnasium has no method for that. In many tasks (classic control, most that are written in Python)
the state is numbers, arrays and random generators, in attributes of the task and its wrappers.
These are saved as JSON values, exact to the last bit. A task that holds anything else, such as an
object of a simulator, cannot be saved this way. Instead it, or a wrapper, may have two methods:
`checkpoint()`, which returns JSON values, and `restore(values)`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from repro.errors import ConfigError

_Env = gymnasium.Env[Any, Any]
# A wrapper's copies of constants of its task, which it makes when they are first read.
_CACHES = ("_cached_spec", "_action_space", "_observation_space", "_metadata", "_saved_kwargs")


@runtime_checkable
class SavesItself(Protocol):
    """A task or a wrapper that saves and restores its own state."""

    def checkpoint(self) -> dict[str, Any]:
        """The state as JSON values."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""


class NotPlainError(TypeError):
    """An attribute that is not made of numbers, text, arrays and generators."""


def take(env: _Env) -> list[dict[str, Any]]:
    """The state of an environment and its wrappers, the outermost first, as JSON values.

    Raises:
        NotPlainError: naming the attribute that cannot be saved.
    """
    seen: set[int] = set()
    return [_take_layer(layer, seen) for layer in layers(env)]


def put(env: _Env, state: Sequence[Mapping[str, Any]]) -> None:
    """Put back what `take` returned, into an environment made the same way.

    Raises:
        ConfigError: it has other wrappers.
    """
    own = layers(env)
    if [type(layer).__qualname__ for layer in own] != [each["layer"] for each in state]:
        raise ConfigError(
            "the saved environment state has other wrappers: restore it into an environment made "
            "the same way"
        )
    for layer, saved in zip(own, state, strict=True):
        if isinstance(layer, SavesItself):
            layer.restore(saved["own"])
            continue
        for name in set(_variables(layer)) - set(saved["variables"]):
            delattr(layer, name)
        for name, value in saved["variables"].items():
            setattr(layer, name, decode(value))


def layers(env: _Env) -> list[_Env]:
    """An environment's wrappers and the task itself, the outermost first."""
    found = [env]
    while isinstance(found[-1], gymnasium.Wrapper):
        found.append(found[-1].env)
    return found


def _take_layer(layer: _Env, seen: set[int]) -> dict[str, Any]:
    name = type(layer).__qualname__
    if isinstance(layer, SavesItself):
        return {"layer": name, "own": layer.checkpoint()}
    variables = {}
    for key, value in _variables(layer).items():
        try:
            variables[key] = _encode(value, seen)
        except NotPlainError as error:
            raise NotPlainError(f"{name}.{key} is {error}") from error
    return {"layer": name, "variables": variables}


def _variables(layer: _Env) -> dict[str, Any]:
    """A layer's attributes, except those that are set once when it is made."""
    # Spaces are left out as constants; `repro.envs.randomness` saves their generators.
    inner = layer.env if isinstance(layer, gymnasium.Wrapper) else None
    return {
        name: value
        for name, value in vars(layer).items()
        if name not in _CACHES
        and not (value is inner is not None or isinstance(value, EnvSpec | gymnasium.Space))
    }


def encode(value: Any) -> Any:
    """JSON values, exact to the last bit.

    Raises:
        NotPlainError: it holds something that is not made of numbers, text, arrays and generators.
    """
    return _encode(value, set())


def _encode(value: Any, seen: set[int]) -> Any:
    """A JSON value; what JSON cannot hold exactly becomes a dictionary {kind: content}."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return {"float": value.hex()}
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return {"scalar": [value.dtype.str, value.tobytes().hex()]}
    if type(value) is tuple:
        return {"tuple": [_encode(item, seen) for item in value]}
    if id(value) in seen:  # one array under two names would be restored as two arrays
        raise NotPlainError("shared with another attribute")
    seen.add(id(value))
    if type(value) is np.ndarray and value.dtype.kind in "biuf":
        return {"array": [value.dtype.str, list(value.shape), value.tobytes().hex()]}
    if type(value) is np.random.Generator and isinstance(value.bit_generator, np.random.PCG64):
        return {"generator": value.bit_generator.state}
    if type(value) is np.random.Generator:
        return {"numpy": _encode(value.bit_generator.state, set())}
    if type(value) is np.random.RandomState:
        return {"legacy": _encode(value.get_state(legacy=False), set())}
    if type(value) is random.Random:
        return {"python": _encode(value.getstate(), set())}
    if type(value) is list:
        return {"list": [_encode(item, seen) for item in value]}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: _encode(item, seen) for key, item in value.items()}}
    raise NotPlainError(f"of type {type(value).__qualname__}")


def decode(value: Any) -> Any:
    """What `encode` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    return _DECODERS[kind](content)


def _generator(state: Mapping[str, Any]) -> np.random.Generator:
    generator = np.random.Generator(np.random.PCG64(0))
    generator.bit_generator.state = state
    return generator


def _numpy_generator(content: Any) -> np.random.Generator:
    state = decode(content)
    bits = getattr(np.random, state["bit_generator"])(0)
    bits.state = state
    return np.random.Generator(bits)


def _legacy_generator(content: Any) -> np.random.RandomState:
    state = decode(content)
    generator = np.random.RandomState(getattr(np.random, state["bit_generator"])(0))
    generator.set_state(state)
    return generator


def _python_generator(content: Any) -> random.Random:
    generator = random.Random(0)
    generator.setstate(decode(content))
    return generator


def _array(dtype: str, shape: Sequence[int], content: str) -> Any:
    return np.frombuffer(bytes.fromhex(content), np.dtype(dtype)).reshape(shape).copy()


_DECODERS: dict[str, Any] = {
    "float": float.fromhex,
    "scalar": lambda content: _array(content[0], (), content[1])[()],
    "array": lambda content: _array(*content),
    "generator": _generator,
    "numpy": _numpy_generator,
    "legacy": _legacy_generator,
    "python": _python_generator,
    "list": lambda items: [decode(item) for item in items],
    "tuple": lambda items: tuple(decode(item) for item in items),
    "dict": lambda items: {key: decode(item) for key, item in items.items()},
}
