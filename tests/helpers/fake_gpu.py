"""A stand-in for a GPU: torch's fake tensors, which have devices and shapes but no values.

An operation that mixes devices is refused, as a GPU would. A recorded function that waits for the
device is refused too, or that copies from the host. Elsewhere waits and copies from memory that is
not page-locked are counted, and a wait reads ones, so that learners count as finite. Derivatives
are zeros, since autograd's engine wants a real device: forward passes and steps are what is tried.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import os
import subprocess
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily

from repro.engines.cuda import graphs
from repro.learning import packed_objectives

DEVICE = torch.device("cuda", 0)


class Waits:
    """Counts what makes a host wait, and refuses it while a function is recorded.

    Attributes:
        count: reads of the device's memory.
        pageable: copies to the device from memory that is not page-locked.
        recordings: functions recorded.
    """

    def __init__(self) -> None:
        self.count, self.pageable, self.recordings, self.recording = 0, 0, 0, False
        self.locked: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()

    def note(self, tensor: torch.Tensor) -> None:
        if self.recording:
            raise AssertionError("a recorded function waits for the device")
        self.count += tensor.device.type == "cuda"

    def note_copy(self, source: torch.Tensor) -> None:
        if self.recording:
            raise AssertionError("a recorded function copies from the host")
        self.pageable += not any(source is each for each in self.locked)

    def lock(self, tensor: torch.Tensor) -> torch.Tensor:
        self.locked.add(tensor)
        return tensor

    @contextlib.contextmanager
    def refused(self) -> Iterator[None]:
        self.recording = True
        try:
            yield
        finally:
            self.recording = False


def outside(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it is without the stand-in: tasks have real tensors."""

    def called(*args: Any, **kwargs: Any) -> Any:
        with unset_fake_temporarily():
            return function(*args, **kwargs)

    return called


class _Event:
    def record(self) -> None: ...
    def synchronize(self) -> None: ...


@contextlib.contextmanager
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Waits]:
    """Within it, tensors on "cuda" work on any machine, and have no values."""
    waits = Waits()
    real = {
        name: getattr(torch.Tensor, name)
        for name in ("numpy", "tolist", "item", "__bool__", "__float__")
    }
    to, copy, zeros, tensor = torch.Tensor.to, torch.Tensor.copy_, torch.zeros, torch.tensor

    def read(self: torch.Tensor) -> Any:
        waits.note(self)
        kind = np.bool_ if self.dtype == torch.bool else real_dtype(self.dtype)
        return np.ones(tuple(self.shape), kind)

    def patched(name: str, of_ones: Callable[[Any], Any]) -> Callable[..., Any]:
        def method(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            fake = isinstance(self, FakeTensor)
            return of_ones(read(self)) if fake else real[name](self, *args, **kwargs)

        return method

    def numpy(self: torch.Tensor) -> Any:
        if not isinstance(self, FakeTensor):
            return real["numpy"](self)
        assert self.device.type == "cpu", "numpy cannot see the memory of a GPU"
        return read(self)

    def cpu(self: torch.Tensor) -> torch.Tensor:
        waits.note(self)
        return to(self, "cpu")

    class Recorder:
        def __init__(self, device: torch.device) -> None:
            assert device == DEVICE

        def run(self, function: Any, x: torch.Tensor) -> None:
            function(x)

        def record(self, function: Any, x: torch.Tensor) -> Callable[[], None]:
            waits.recordings += 1

            def replay() -> None:
                with waits.refused():
                    function(x)

            return replay

    def page_locked(*args: Any, pin_memory: bool = False, **kwargs: Any) -> torch.Tensor:
        made = zeros(*args, **kwargs)
        return waits.lock(made) if pin_memory else made

    def on_host(x: object) -> bool:
        return isinstance(x, torch.Tensor) and x.device.type == "cpu" and x.dim() > 0

    def moved(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        found = to(self, *args, **kwargs)
        if on_host(self) and found.device.type == "cuda":
            waits.note_copy(self)
        return found

    def copied(self: torch.Tensor, source: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        if on_host(source) and self.device.type == "cuda":
            waits.note_copy(source)
        return copy(self, source, *args, **kwargs)

    def made(*args: Any, **kwargs: Any) -> torch.Tensor:
        found = tensor(*args, **kwargs)
        if found.device.type == "cuda":
            waits.note_copy(found)
        return found

    monkeypatch.setattr(torch.Tensor, "numpy", numpy)
    monkeypatch.setattr(torch.Tensor, "tolist", patched("tolist", lambda x: x.tolist()))
    monkeypatch.setattr(torch.Tensor, "item", patched("item", lambda x: x.item()))
    monkeypatch.setattr(torch.Tensor, "__bool__", patched("__bool__", bool))
    monkeypatch.setattr(torch.Tensor, "__float__", patched("__float__", float))
    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: waits.lock(self.clone()))
    monkeypatch.setattr(torch.Tensor, "to", moved)
    monkeypatch.setattr(torch.Tensor, "copy_", copied)
    monkeypatch.setattr(torch, "zeros", page_locked)
    monkeypatch.setattr(torch, "tensor", made)
    monkeypatch.setattr(torch.cuda, "Event", _Event)
    monkeypatch.setattr(graphs, "Recorder", Recorder)
    derive = torch.autograd.grad

    def grad(outputs: torch.Tensor, inputs: Any, **kwargs: Any) -> Any:
        if not isinstance(outputs, FakeTensor):
            return derive(outputs, inputs, **kwargs)
        many = [inputs] if isinstance(inputs, torch.Tensor) else inputs
        return [torch.zeros_like(x) for x in many]  # autograd asks for a real device

    def adam(*lists: list[torch.Tensor], lr: float | torch.Tensor, **kwargs: Any) -> None:
        rates = [lr] if isinstance(lr, torch.Tensor) else []
        tensors = [*itertools.chain(*lists), *rates]
        assert {x.device for x in tensors} == {DEVICE}, "Adam's tensors are not all on the GPU"

    monkeypatch.setattr(torch, "_fused_adam_", adam)  # it has no form for fake tensors
    monkeypatch.setattr(torch.autograd, "grad", grad)
    monkeypatch.setattr(packed_objectives, "check_form", lambda kind, scalars: None)  # of values
    _let_torch_index()
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield waits


GUARD = """
#include <c10/core/impl/DeviceGuardImplInterface.h>
namespace {
using Guard = c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA>;
C10_REGISTER_GUARD_IMPL(CUDA, Guard)
}
"""


@functools.cache
def _let_torch_index() -> None:
    """A build of torch without CUDA has no guard that makes a device the current one; add it."""
    if torch.version.cuda is not None:
        return
    root = Path(torch.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "guard.cpp"), Path(folder, "guard.so")
        source.write_text(GUARD)
        flags = ["-std=c++20", "-O0", "-shared", "-fPIC", f"-I{root / 'include'}"]
        link = [f"-L{root / 'lib'}", "-lc10", "-o", str(library)]
        subprocess.run([os.environ.get("CXX", "c++"), *flags, str(source), *link], check=True)
        ctypes.CDLL(str(library))


def real_dtype(dtype: torch.dtype) -> Any:
    return np.dtype(str(dtype).removeprefix("torch."))
