"""Derivatives of P policies by the kernels of trpo.cpp: gradients and Fisher-vector products."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import torch
from torch import Tensor

from repro.engines.native.kernels import check_layout, library, pointer
from repro.engines.native.networks import Networks


class _Policy(ctypes.Structure):
    """`Policy` of trpo.cpp, field by field; `check_layout` compares the sizes."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("actor", "parameters", "log_std", "inputs")),
        *((name, ctypes.c_int64) for name in ("activation", "parameter_count", "log_std_stride")),
        *((name, ctypes.c_int64) for name in ("discrete", "learners", "samples")),
    ]


class Derivatives:
    """Of policies whose actor is in one part; the log std may be in another one, as a constant."""

    def __init__(self, networks: Networks) -> None:
        """Take what is the same in every call."""
        check_layout(_Policy, library().policy_size())
        self._networks, self._actor = networks, networks.parameters
        log_std = networks.views.get("log_std")
        self._constant = {
            "actor": pointer(networks.actor, "int64"),
            "parameters": pointer(self._actor.flat),
            "log_std": None if log_std is None else log_std.data_ptr(),
            "log_std_stride": 0 if log_std is None else log_std.stride(0),
            "activation": networks.activation,
            "parameter_count": networks.parameter_count,
            "discrete": networks.policy.discrete,
            "learners": networks.learners,
        }

    def gradient(self, inputs: Tensor, function: Callable[..., Tensor]) -> Tensor:
        """d E[f] / d parameters of the actor, [P, n].

        Args:
            inputs: [P, B, D].
            function: f, from the distribution at the samples to terms [P, B].
        """
        statistics = self._networks.distribution(inputs)[0].requires_grad_()
        views = {name: x.detach().requires_grad_() for name, x in self._own_log_std().items()}
        policy = self._networks.policy
        terms = function(policy.as_distribution({**self._networks.views, **views}, statistics))
        leaves = [statistics, *views.values()]
        upstream, *rest = torch.autograd.grad(terms.sum() / terms.shape[-1], leaves)
        out = torch.empty_like(self._actor.flat)
        upstream = upstream.contiguous()
        struct = self._struct(inputs)
        library().pull_back(ctypes.addressof(struct), pointer(upstream), pointer(out))
        for gradient in rest:
            self._log_std_of(out).copy_(gradient)
        return out

    def fisher_product(self, inputs: Tensor) -> Callable[[Tensor], Tensor]:
        """v -> F v, [P, n] each: F is the Hessian of E[KL(old, theta)] at theta = old.

        Args:
            inputs: [P, M, D], the states of the expectation.
        """
        struct = self._struct(inputs)

        def product(v: Tensor) -> Tensor:
            assert inputs is not None  # keeps it alive: the C struct holds only its address
            along = v.float().contiguous()
            out = torch.empty_like(along)
            library().fisher_product(ctypes.addressof(struct), pointer(along), pointer(out))
            if self._own_log_std():
                self._log_std_of(out).copy_(2 * self._log_std_of(along))
            return out.to(v.dtype)

        return product

    def _struct(self, inputs: Tensor) -> _Policy:
        return _Policy(**self._constant, inputs=pointer(inputs), samples=inputs.shape[1])

    def _own_log_std(self) -> dict[str, Tensor]:
        """The log std where it is one of the actor's parameters."""
        return {name: x for name, x in self._actor.views.items() if name == "log_std"}

    def _log_std_of(self, flat: Tensor) -> Tensor:
        """Its place in a tensor like the actor's parameters, [P, 1, A]."""
        first, size = self._networks.log_std or 0, self._networks.action_size
        return flat[:, None, first : first + size]
