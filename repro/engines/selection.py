"""Which engine computes what: the key `engine`, the machine, and what the kernels cover.

Results name the engine that computed them: `native` and `torch` agree to float32 rounding, not to
the last bit.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from repro.config.schema import Config
from repro.engines import cuda, native
from repro.engines.blocks import Blocks, Measure
from repro.engines.buffers import Buffers, FrameBuffers, Recorded
from repro.engines.native.kernels import KernelsUnavailableError, library
from repro.envs.vector import VectorEnv
from repro.errors import ConfigError
from repro.learning import advantages
from repro.learning.normalize import ObservationNormalizer, RewardScaler
from repro.learning.optimizers import Adam, RMSProp
from repro.learning.parameters import StackedParameters
from repro.networks.bound import BoundPolicy
from repro.networks.cnn import CNNActorCritic
from repro.networks.mlp import MLPActorCritic

if TYPE_CHECKING:  # it needs MuJoCo
    from repro.engines.native.collect import Collecting

NATIVE, TORCH = "native", "torch"
MIXED = "native rollouts, torch updates"
BLOCK_SAMPLES = 2048  # of all learners and iterations that are measured together

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Act = Callable[[int, np.ndarray[Any, Any]], np.ndarray[Any, Any]]


def networks(
    config: Config,
    policy: MLPActorCritic,
    parts: Sequence[StackedParameters],
    views: Mapping[str, Tensor],
    has_form: bool = True,
) -> native.Networks | BoundPolicy:
    """The networks of an algorithm that the kernels know: compiled where that is possible.

    Of networks of frames the trunk and its gradient are compiled; torch does the rest.

    Args:
        config: of a learner of the pack.
        policy: the shapes.
        parts: the parameters of P learners.
        views: the same by name.
        has_form: whether PPO's surrogate is a case of `objectives.bounded`.

    Raises:
        ConfigError: `engine=native` where the kernels cannot compute rollouts and updates.
    """
    if config.engine == TORCH:
        return BoundPolicy(policy, views)
    try:
        reason = _not_covered(policy, parts[0].flat.device)
        if config.engine == NATIVE and not isinstance(policy, CNNActorCritic):
            reason = reason or _update_not_covered(config, has_form)
        if reason is None:
            library()
            if not isinstance(policy, CNNActorCritic):
                return native.Networks(policy, parts, views)
            policy.trunk = native.Trunk(policy)
            return BoundPolicy(policy, views)
    except KernelsUnavailableError as error:
        reason = str(error)
        if config.engine != NATIVE:
            _warn(reason)
    if config.engine == NATIVE:
        raise ConfigError(f"engine=native is not possible: {reason}. Say engine=auto or torch.")
    return BoundPolicy(policy, views)


def candidates(
    config: Config, policy: MLPActorCritic, layout: StackedParameters, parameters: Tensor
) -> BoundPolicy:
    """The deterministic policies of an evolutionary search, whose acting is compiled if possible.

    Args:
        config: of a learner of the pack.
        policy: the shapes.
        layout: of parameters, by name.
        parameters: one row for each environment, [P N, n].
    """
    covered = parameters.device.type == "cpu" and not (policy.discrete or policy.shared)
    if config.engine != TORCH and covered:
        try:
            library()
            return native.Candidates(policy, layout, parameters)
        except KernelsUnavailableError as error:
            _warn(str(error))
    return BoundPolicy(policy, dict(zip(layout.views, layout.split(parameters), strict=True)))


def updater(
    config: Config, networks: native.Networks | BoundPolicy, adam: Adam, has_form: bool
) -> native.Updater | None:
    """PPO's compiled update over compiled networks; None where torch does it."""
    if not isinstance(networks, native.Networks) or _update_not_covered(config, has_form):
        return None
    return native.Updater(networks, adam, config)


def policy_gradient(
    networks: native.Networks | BoundPolicy,
    optimizer: Adam | RMSProp,
    max_grad_norm: float | None = None,
    coefs: Mapping[str, Tensor] | None = None,
) -> native.PolicyGradient | None:
    """The compiled step of A2C and VPG; None where torch takes it."""
    if not isinstance(networks, native.Networks):
        return None
    return native.PolicyGradient(networks, optimizer, max_grad_norm, coefs)


def derivatives(networks: native.Networks | BoundPolicy) -> native.Derivatives | None:
    """TRPO's compiled derivatives; None where torch's autograd computes them."""
    return native.Derivatives(networks) if isinstance(networks, native.Networks) else None


def critic_fit(
    config: Config, networks: native.Networks | BoundPolicy, adam: Adam
) -> native.CriticFit | None:
    """The compiled fit of a critic by itself; None where torch does it."""
    return (
        native.CriticFit(networks, adam, config) if isinstance(networks, native.Networks) else None
    )


def repeated(device: torch.device) -> cuda.Repeated:
    """What repeats an update's steps: recorded on a GPU."""
    return cuda.Repeated(records=device.type == "cuda")


def none_left(running: Tensor) -> bool:
    """Whether a loop over masked learners may end: bool [P].

    A GPU is not asked, since the host would wait for the answer: there a loop runs to its end.
    """
    return running.device.type == "cpu" and not running.any()


def rate_column(
    repeated: cuda.Repeated, rates: Sequence[float], learners: Sequence[int], device: torch.device
) -> Tensor:
    """Step sizes as float32 [P], for a step of `repeated` by some learners."""
    repeated.depend_on(tuple(learners))
    column = torch.tensor(rates, dtype=torch.float32)
    return repeated.hold("rates", cuda.sent(column, device))


def step_sizes(
    repeated: cuda.Repeated, rates: Sequence[float], learners: Sequence[int], device: torch.device
) -> Sequence[float | Tensor]:
    """Step sizes [P] as a step of `repeated` by some learners may read them.

    A recorded step sees other values in the same tensors; it is recorded again when learners leave.
    """
    if not repeated.records:
        return rates
    alike = len({rates[p] for p in learners}) == 1
    repeated.depend_on((alike, tuple(learners)))
    column = torch.tensor(rates, dtype=torch.float32)
    each = repeated.hold("rates", cuda.sent(column, device)).unbind()
    return [each[learners[0]]] * len(rates) if alike else each


def engine(networks: native.Networks | BoundPolicy, kernel: object | None) -> str:
    """What computes, for run.json and for exact resume: `kernel` is the update's, if it has one."""
    if kernel is not None or _trunk(networks):
        return NATIVE
    return MIXED if isinstance(networks, native.Networks | native.Candidates) else TORCH


def _trunk(networks: native.Networks | BoundPolicy) -> bool:
    """Whether convolutions, and the gradients of an update, are those of the kernels."""
    return isinstance(networks.policy, CNNActorCritic) and networks.policy.trunk is not None


def acting(
    networks: native.Networks | BoundPolicy,
    normalizer: ObservationNormalizer,
    buffers: Buffers,
    box: tuple[Tensor, Tensor] | None,
) -> native.Acting | cuda.Acting | None:
    """One environment step's decisions as one call; None where plain torch calls make them."""
    if isinstance(networks, native.Networks | native.Candidates):
        return native.Acting(networks, normalizer, buffers, box)
    if buffers.actions.is_cuda:
        return cuda.Acting(networks, normalizer, buffers, box)
    return None


def frame_acting(
    networks: native.Networks | BoundPolicy,
    buffers: FrameBuffers,
    place: Callable[[int], np.ndarray[Any, Any]],
) -> cuda.FrameActing | None:
    """The same for stacks of frames; `place` is of `rollouts.observations.FrameObservations`."""
    if buffers.actions.is_cuda and not isinstance(networks, native.Networks):
        return cuda.FrameActing(networks, buffers, place)
    return None


def quicken(envs: VectorEnv, config: Config) -> None:
    """Let games shade and shrink their screens by the kernels, which changes no bit."""
    if config.engine == TORCH or config.env.atari is None:
        return
    # Here, since it needs ale-py, which other tasks do without.
    from repro.envs.atari.vector import AtariVectorEnv

    if not isinstance(envs, AtariVectorEnv):
        return
    shape = (*envs.games[0].screen.shape, config.env.atari.screen_size)
    try:
        shades = native.Shades()
        resize = native.AreaResize(*shape) if native.AreaResize.covers(*shape) else None
    except KernelsUnavailableError:
        return
    for game in envs.games:
        game.shades, game.resize = shades, resize or game.resize


def collecting(
    acting: Act | None,
    normalizer: ObservationNormalizer,
    scaler: RewardScaler,
    envs: VectorEnv,
    recorded: Recorded,
    backend: str,
) -> Collecting | native.Stepping | None:
    """Steps by compiled code: many as one call where the task is compiled too, or else each.

    None where the collector takes them without.
    """
    if not isinstance(acting, native.Acting):
        return None
    recording = native.Recording(normalizer, scaler, recorded)
    compiled = _simulating(acting, recording, envs) if backend == "mujoco" else None
    return compiled or native.Stepping(acting, recording, envs)


def _simulating(
    acting: native.Acting, recording: native.Recording, envs: VectorEnv
) -> Collecting | None:
    # Here, since it needs MuJoCo, which other tasks do without.
    from repro.engines.native.collect import Collecting
    from repro.engines.native.program import agrees
    from repro.envs.mujoco.vector import MujocoVectorEnv

    if not isinstance(envs, MujocoVectorEnv):
        return None
    if not agrees(envs.task.task, envs.task.fields, acting.action_size):
        return None
    return Collecting(acting, recording, envs)


def blocks(
    measure: Measure, networks: native.Networks | BoundPolicy, config: Config, learners: int
) -> Blocks:
    """What measures iterations of P learners: many short ones at once where kernels update."""
    if not isinstance(networks, native.Networks):
        return Blocks(measure, 1)
    return Blocks(measure, max(1, BLOCK_SAMPLES // (learners * config.batch_size)))


def estimator(networks: native.Networks | BoundPolicy) -> Callable[..., Tensor]:
    """Generalized advantage estimation: compiled beside compiled networks, with the same bits."""
    return native.gae if isinstance(networks, native.Networks) else advantages.gae


def valuation(
    networks: native.Networks | BoundPolicy,
    normalizer: ObservationNormalizer,
    arrays: native.RolloutArrays,
    largest: float,
) -> native.Valuation | None:
    """The values of a rollout as one call, see `native.Valuation`; None where torch has them."""
    if not isinstance(networks, native.Networks):
        return None
    return native.Valuation(networks, normalizer, arrays, largest)


def renormalization(
    networks: native.Networks | BoundPolicy,
    normalizer: ObservationNormalizer,
    raw: np.ndarray[Any, Any],
    inputs: Tensor,
) -> native.Renormalization | None:
    """A rollout's normalization as one call; None where NumPy does it."""
    if not isinstance(networks, native.Networks):
        return None
    return native.Renormalization(normalizer, raw, inputs)


def _not_covered(policy: MLPActorCritic, device: torch.device) -> str | None:
    """Why the kernels cannot evaluate a policy; None if they can."""
    if device != torch.device("cpu"):
        return "the kernels are for device=cpu"
    if isinstance(policy, CNNActorCritic):
        return native.trunk.not_covered(policy)
    if type(policy) is not MLPActorCritic:
        return "the kernels cover perceptrons and networks of frames"
    return None


def _update_not_covered(config: Config, has_form: bool) -> str | None:
    """Why the kernels cannot compute PPO's update; None if they can."""
    if config.algorithm.name != "ppo":
        return None
    if not has_form:
        return f"objective.kind={config.objective['kind']} has no form for the kernels"
    if config.recipe.value_clip_schedule == "linear":
        return "the kernels know no recipe.value_clip_schedule=linear"
    return None


@functools.cache
def _warn(reason: str) -> None:
    warnings.warn(f"No compiled kernels, so runs are several times slower: {reason}.", stacklevel=3)
