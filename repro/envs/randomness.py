"""Random generators that environments of one process share, with a state for each environment.

A task should draw from `self.np_random`, and many draw from elsewhere: NumPy's, Python's or torch's
global generator, a space (`self.action_space.sample()`), or a generator that its class or a module
beside it holds. `Randomness` seeds all these with an environment's seed, and exchanges their states
before and after each of its calls. So they are the environment's own: its draws depend neither on
its neighbors nor on who else draws in this process, and they can be saved.

Where nobody draws, an exchange takes 3 microseconds, so that it is done without asking. It is left
out only for the tasks that come with Gymnasium, which draw from nothing else than `self.np_random`.
"""

from __future__ import annotations

import contextlib
import ctypes
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces, wrappers
from gymnasium.utils import seeding

from repro.envs import plain_state

_INSTALLED = {"site-packages", "dist-packages"}  # folders whose modules belong to no task
_Env = gymnasium.Env[Any, Any]
_QUIET_WRAPPERS = (wrappers.OrderEnforcing, wrappers.TimeLimit)  # that `make` adds


class _Source:
    """A generator whose state is exchanged."""

    name: str

    def get(self) -> Any:
        """The state, which later draws may change in place."""
        raise NotImplementedError

    def set(self, state: Any) -> None:
        """Draw from this state on."""
        raise NotImplementedError

    def seeded(self, seed: int) -> Any:
        """A new state."""
        raise NotImplementedError

    def encode(self, state: Any) -> Any:
        """A state as values that `plain_state` can encode."""
        return state

    def decode(self, values: Any) -> Any:
        """The state of such values."""
        return values


class Randomness:
    """The generators that N environments share, with N states. As a context: of their caller.

    with randomness:
        randomness.enter(i)
        ... a call of environment i
        randomness.leave(i)

    Attribute `needed`: whether the environments may draw from them at all.
    """

    def __init__(self, envs: Sequence[_Env]) -> None:
        """Find the generators. Until its first seed, an environment draws as it finds them."""
        self._envs = envs
        self.needed = not all(_draws_only_its_own(layer) for layer in plain_state.layers(envs[0]))
        self._shared = shared = [*_globals(), *_held(envs[0])]
        self._sources = [[*shared, *_spaces(env)] for env in envs]
        self._states: list[list[Any]] = [[] for _ in envs]
        self._first: list[list[Any]] = [[] for _ in envs]  # of the first seed, encoded
        self._given: list[Any] = [None] * len(envs)  # what `np_random` is where nobody has set it
        self._outside: list[Any] = []

    def __enter__(self) -> None:
        """Keep the caller's states."""
        self._outside = [source.get() for source in self._shared]

    def __exit__(self, *error: object) -> None:
        """Put them back."""
        for source, state in zip(self._shared, self._outside, strict=True):
            source.set(state)

    def enter(self, i: int) -> None:
        """What is drawn from now on is environment i's."""
        for source, state in zip(self._sources[i], self._states[i], strict=False):
            source.set(state)

    def leave(self, i: int) -> None:
        """Keep environment i's states."""
        if self._states[i]:
            self._states[i] = [source.get() for source in self._sources[i]]

    def seed(self, i: int, seed: int) -> None:
        """Begin environment i's states anew."""
        sources = self._sources[i]
        seeds = np.random.SeedSequence(seed).generate_state(len(sources) + 1)
        self._states[i] = [
            source.seeded(int(own)) for source, own in zip(sources, seeds, strict=False)
        ]
        if not self._first[i]:
            self._first[i] = self._encoded(i)
        task = self._envs[i].unwrapped
        if getattr(task, "_np_random", 0) is self._given[i]:  # its reset may forget the seed
            task.np_random = self._given[i] = seeding.np_random(int(seeds[-1]))[0]

    def state(self, i: int) -> dict[str, Any]:
        """Environment i's states by name, as JSON values: those that its first seed did not leave.

        Raises:
            NotPlainError: a generator of a type that cannot be saved.
        """
        return {
            f"{k} {source.name}": code
            for k, (source, code, first) in enumerate(
                zip(self._sources[i], self._encoded(i), self._first[i], strict=False)
            )
            if code != first
        }

    def set_state(self, i: int, state: Mapping[str, Any]) -> None:
        """Put back what `state` returned, after a seed that was the first one then."""
        for k, source in enumerate(self._sources[i]):
            code = state.get(f"{k} {source.name}", self._first[i][k])
            self._states[i][k] = source.decode(plain_state.decode(code))

    def _encoded(self, i: int) -> list[Any]:
        pairs = zip(self._sources[i], self._states[i], strict=False)
        return [plain_state.encode(source.encode(state)) for source, state in pairs]


def _draws_only_its_own(layer: _Env) -> bool:
    """Whether a task, or a wrapper, is one of Gymnasium's that use `self.np_random` alone."""
    module = type(layer).__module__
    return module.startswith("gymnasium.envs.") or type(layer) in _QUIET_WRAPPERS


@contextlib.contextmanager
def constructing() -> Iterator[None]:
    """Global generators in one state for each constructor of a task, which knows no seed yet."""
    sources = _globals()
    outside = [source.get() for source in sources]
    for source in sources:
        source.set(source.seeded(0))
    try:
        yield
    finally:
        for source, state in zip(sources, outside, strict=True):
            source.set(state)


def _globals() -> list[_Source]:
    torch = [_Torch()] if "torch" in sys.modules else []  # or the task has not loaded it
    return [_NumPy(), _Python(), *torch]


class _NumPy(_Source):
    """`np.random.normal` and the like: their bit generator itself is exchanged."""

    name = "numpy.random"

    def get(self) -> Any:
        return np.random.get_bit_generator()  # type: ignore[attr-defined]

    def set(self, state: Any) -> None:
        np.random.set_bit_generator(state)  # type: ignore[attr-defined]

    def seeded(self, seed: int) -> Any:
        return np.random.RandomState(seed)._bit_generator

    def encode(self, state: Any) -> Any:
        return state.state

    def decode(self, values: Any) -> Any:
        bits = np.random.MT19937(0)
        bits.state = values
        return bits


class _Python(_Source):
    """`random.random` and the like.

    Reading the state takes 10 microseconds, so that it is read only if something was drawn. That
    shows where CPython keeps the position in the state and the first word of it.
    """

    name = "random"

    def __init__(self) -> None:
        address = id(random._inst) + object.__basicsize__
        self._mark = ctypes.c_uint64.from_address(address)
        self._state = random.getstate()
        words = self._state[1]
        self._readable = self._mark.value == words[-1] | words[0] << 32
        self._marked = self._where()

    def _where(self) -> tuple[int, float | None]:
        return self._mark.value, vars(random._inst)["gauss_next"]

    def get(self) -> Any:
        if not self._readable or self._where() != self._marked:
            self._state, self._marked = random.getstate(), self._where()
        return self._state

    def set(self, state: Any) -> None:
        if state is not self.get():
            random.setstate(state)
            self._state, self._marked = state, self._where()

    def seeded(self, seed: int) -> Any:
        return random.Random(seed).getstate()


class _Torch(_Source):
    """torch's generator of the CPU, or one that a task holds."""

    def __init__(self, generator: Any = None, name: str = "torch") -> None:
        self._torch: Any = sys.modules["torch"]
        self._generator, self.name = generator or self._torch.default_generator, name

    def get(self) -> Any:
        return self._generator.get_state()

    def set(self, state: Any) -> None:
        self._generator.set_state(state)

    def seeded(self, seed: int) -> Any:
        return self._torch.Generator().manual_seed(seed).get_state()

    def encode(self, state: Any) -> Any:
        return state.numpy()

    def decode(self, values: Any) -> Any:
        return self._torch.from_numpy(values)


class _Space(_Source):
    """A space's generator, for `sample`: the object itself is exchanged."""

    def __init__(self, space: spaces.Space[Any]) -> None:
        self._space, self.name = space, type(space).__name__

    def get(self) -> Any:
        return self._space.np_random

    def set(self, state: Any) -> None:
        self._space._np_random = state

    def seeded(self, seed: int) -> Any:
        return seeding.np_random(seed)[0]


class _Held(_Source):
    """A generator of NumPy's or Python's that a class or a module holds."""

    def __init__(self, generator: Any, name: str) -> None:
        self._generator, self.name = generator, name

    def get(self) -> Any:
        if isinstance(self._generator, np.random.Generator):
            return self._generator.bit_generator.state
        if isinstance(self._generator, np.random.RandomState):
            return self._generator.get_state(legacy=False)
        return self._generator.getstate()

    def set(self, state: Any) -> None:
        if isinstance(self._generator, np.random.Generator):
            self._generator.bit_generator.state = state
        elif isinstance(self._generator, np.random.RandomState):
            self._generator.set_state(state)
        else:
            self._generator.setstate(state)

    def seeded(self, seed: int) -> Any:
        if isinstance(self._generator, np.random.Generator):
            return type(self._generator.bit_generator)(seed).state
        if isinstance(self._generator, np.random.RandomState):
            return np.random.RandomState(seed).get_state(legacy=False)
        return type(self._generator)(seed).getstate()


def _spaces(env: _Env) -> Iterator[_Source]:
    """The spaces of a task and its wrappers, with those inside of them."""
    seen: set[int] = set()
    for layer in plain_state.layers(env):
        held = [value for scope in (layer, *type(layer).__mro__) for value in vars(scope).values()]
        for space in held:
            if issubclass(type(space), spaces.Space):
                yield from _inside(space, seen)


def _inside(space: spaces.Space[Any], seen: set[int]) -> Iterator[_Source]:
    if id(space) in seen:
        return
    seen.add(id(space))
    yield _Space(space)
    inner = getattr(space, "spaces", ())
    parts = inner.values() if isinstance(inner, Mapping) else inner
    own = [value for value in vars(space).values() if isinstance(value, spaces.Space)]
    for part in (*parts, *own):
        yield from _inside(part, seen)


def _held(env: _Env) -> Iterator[_Source]:
    """Generators that the classes of a task hold, or modules beside it."""
    classes = [each for layer in plain_state.layers(env) for each in type(layer).__mro__]
    own = [each for each in classes if each.__module__.partition(".")[0] != "gymnasium"]
    modules = {each.__module__: sys.modules.get(each.__module__) for each in own}
    near = [each for module in modules.values() if module for each in _beside(module)]
    torch: Any = sys.modules.get("torch")
    kinds = (np.random.Generator, np.random.RandomState, random.Random)
    default = [random._inst, np.random.mtrand._rand, *([torch.default_generator] if torch else [])]
    seen = {id(each) for each in default}
    for scope in (*own, *near):
        for name, value in list(vars(scope).items()):
            if id(value) in seen:
                continue
            label = f"{getattr(scope, '__name__', '')}.{name}"
            if issubclass(type(value), kinds) and type(value) is not random.SystemRandom:
                yield _Held(value, label)
            elif torch and type(value) is torch.Generator:
                yield _Torch(value, label)
            else:
                continue
            seen.add(id(value))


def _beside(module: ModuleType) -> list[ModuleType]:
    """A module, and those in its folder or below that are loaded too."""
    file = getattr(module, "__file__", None)
    folder = Path(file).parent if file else None
    if folder is None or _INSTALLED & set(folder.parts):
        return [module]
    found = [module]
    for each in list(sys.modules.values()):
        path = getattr(each, "__dict__", {}).get("__file__")  # reading it may import a lazy module
        if isinstance(path, str) and each is not module:
            parts = Path(path).parts
            if parts[: len(folder.parts)] == folder.parts and not _INSTALLED & set(parts):
                found.append(each)
    return found
