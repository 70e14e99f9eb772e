"""A reproduction harness for "Proximal Policy Optimization Algorithms" (arXiv 1707.06347).

`repro.train`, `repro.load` and `repro.runs` do from Python what the commands do: see `repro.api`.
They are imported when they are first used; `__init__.pyi` has their types.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"
_NO_WINDOWS = "ppo-repro does not run on Windows: use WSL, Linux, or macOS."
if sys.platform == "win32":
    if sys.argv[0] in ("", "-m") or "repro" in sys.argv[0]:  # a command: its one sentence
        print(_NO_WINDOWS, file=sys.stderr)
        raise SystemExit(2)
    raise ImportError(_NO_WINDOWS)
_API = ("Run", "Runs", "load", "load_policy", "policies", "train")
_ERRORS = (
    "ConfigError",
    "CorruptError",
    "LockedError",
    "NumericalError",
    "RunsFailedError",
    "StorageError",
)
__all__ = [*_API, *_ERRORS, "runs"]


def __getattr__(name: str) -> Any:
    if name in _API:
        return getattr(importlib.import_module("repro.api"), name)
    if name in _ERRORS:
        return getattr(importlib.import_module("repro.errors"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _RunsRoom(ModuleType):
    """`repro.runs` is a package, and called as a function it is `repro.api.runs`."""

    def __call__(self, directory: Any) -> Any:
        return importlib.import_module("repro.api").runs(directory)


importlib.import_module("repro.runs").__class__ = _RunsRoom
