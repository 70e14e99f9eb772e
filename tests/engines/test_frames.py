"""The kernels for frames: the trunk against torch in float64, and screens against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from repro.engines import native, selection
from repro.engines.native.screens import AreaResize
from repro.engines.native.trunk import Trunk, not_covered
from repro.envs.atari.vector import AtariVectorEnv
from repro.errors import ConfigError
from repro.networks.cnn import CNNActorCritic
from repro.networks.frames import FrameStacks
from tests.helpers.bits import assert_equal_bits, traces
from tests.helpers.configs import Compose, compose
from tests.helpers.learners import Learners

BREAKOUT = ("env=atari", "env.game=breakout", "env.num_envs=2", "algorithm.horizon=8")
SMALL = ("algorithm.minibatch_size=16", "total_timesteps=6400")
NETWORKS = (("policy=cnn_a3c",), ("policy=cnn_nature", "env.atari.screen_size=60"))

pytestmark = pytest.mark.skipif(
    native.kernels.library().lanes() < 16, reason="the kernels for frames need AVX-512"
)


def drawn(learners: Learners, *overrides: str) -> tuple[CNNActorCritic, dict[str, Tensor]]:
    """Networks of two learners, with biases that are not 0."""
    pack = learners([compose(*BREAKOUT, *SMALL, *overrides, f"seed={seed}") for seed in (0, 1)])
    generator = torch.Generator().manual_seed(0)
    for name, view in pack.views.items():
        if name.endswith("bias"):
            view.copy_(0.1 * torch.randn(view.shape, generator=generator))
    policy = pack.policy
    assert isinstance(policy, CNNActorCritic)
    return policy, {name: view.clone() for name, view in pack.views.items()}


def random_stacks(size: tuple[int, int], samples: int) -> FrameStacks:
    """Of two learners: stacks that share frames."""
    rng = np.random.default_rng(0)
    frames = torch.from_numpy(rng.integers(0, 256, (2, 9, 3, *size), dtype=np.uint8))
    return FrameStacks(frames, torch.from_numpy(rng.integers(0, 27, (2, samples, 4))))


def hidden_layer(policy: CNNActorCritic, parameters: dict[str, Tensor], frames: Tensor) -> Tensor:
    """By torch, in the parameters' precision, learner by learner."""
    rows = []
    for p, x in enumerate(frames.to(parameters["conv.0.weight"].dtype) / 255):
        for i, (*_, stride) in enumerate(policy.convolutions):
            weight, bias = (parameters[f"conv.{i}.{part}"][p] for part in ("weight", "bias"))
            x = torch.relu(torch.conv2d(x, weight, bias, stride))
        weight, bias = (parameters[f"shared.0.{part}"][p] for part in ("weight", "bias"))
        rows.append(torch.relu(x.permute(0, 2, 3, 1).flatten(1) @ weight + bias))
    return torch.stack(rows)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("samples", [1, 19])
def test_the_trunk_and_its_gradient_are_torchs(
    learners: Learners, network: tuple[str, ...], samples: int
) -> None:
    policy, parameters = drawn(learners, *network)
    stacks = random_stacks(policy.frame_size, samples)
    numbers = torch.arange(samples).expand(2, -1)
    upstream = torch.randn(2, samples, 1, generator=torch.Generator().manual_seed(1))
    names = [name for name in parameters if name.startswith(("conv", "shared"))]

    def both(dtype: torch.dtype) -> tuple[Tensor, list[Tensor]]:
        leaves = {n: parameters[n].to(dtype).requires_grad_() for n in names}
        if dtype is torch.float64:
            out = hidden_layer(policy, leaves, stacks.take(numbers))
        else:
            out = Trunk(policy)(leaves, stacks)
        loss = (out * upstream.to(dtype)).square().sum()
        return out.detach(), list(torch.autograd.grad(loss, list(leaves.values())))

    (expected, gradients), (found, own) = both(torch.float64), both(torch.float32)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)
    for name, one, other in zip(names, own, gradients, strict=True):
        distance = (one.double() - other).norm() / other.norm()
        assert distance < 1e-5, f"{name}: {distance}"


def test_a_samples_bits_do_not_depend_on_the_others(learners: Learners) -> None:
    policy, parameters = drawn(learners, "policy=cnn_a3c")
    trunk, stacks = Trunk(policy), random_stacks(policy.frame_size, 19)
    with torch.no_grad():
        together = trunk(parameters, stacks)
        for count in (1, 8):
            few = stacks.select(torch.arange(count).expand(2, -1))
            assert torch.equal(trunk(parameters, few), together[:, :count])
            assert torch.equal(trunk(parameters, few.take(torch.arange(count).expand(2, -1))),
                               together[:, :count])  # fmt: skip


def test_passes_that_are_in_use_do_not_share_memory(learners: Learners) -> None:
    policy, parameters = drawn(learners, "policy=cnn_a3c")
    leaves = {name: x.requires_grad_() for name, x in parameters.items()}
    trunk, stacks = Trunk(policy), random_stacks(policy.frame_size, 6)
    halves = [stacks.select(torch.arange(i, i + 3).expand(2, -1)) for i in (0, 3)]
    weight = leaves["conv.0.weight"]
    alone = [torch.autograd.grad(trunk(leaves, half).sum(), weight)[0] for half in halves]
    outputs = [trunk(leaves, half).sum() for half in halves]
    for out, expected in zip(reversed(outputs), reversed(alone), strict=True):
        assert torch.equal(torch.autograd.grad(out, weight)[0], expected)
    assert not torch.equal(*alone)


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "acer"])
def test_algorithms_train_by_the_kernels_and_a_pack_changes_no_bit(
    config: Compose, learners: Learners, algorithm: str
) -> None:
    own = ["policy.hidden_sizes=[32]", "env.atari.screen_size=44", f"algorithm={algorithm}"]
    sizes = SMALL if algorithm == "ppo" else SMALL[1:]
    sizes = (*sizes, "algorithm.replay_start=16") if algorithm == "acer" else sizes
    members = [config(*BREAKOUT, *sizes, *own, f"seed={seed}") for seed in (0, 1)]
    pack, alone = learners(members), learners(members[1:])
    assert pack.engine == selection.NATIVE
    assert_equal_bits(traces(pack, 3)[1], traces(alone, 3)[0])


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("policy.hidden_sizes=[40]", "layers of 32, 64"),
        ("policy.hidden_sizes=[64,64]", "one shared layer of ReLUs"),
        ("policy.convolutions=[[16,8,4],[32,3,2]]", "convolution 2"),
        ("policy.convolutions=[[12,8,4],[32,4,2]]", "convolution 1"),
    ],
)
def test_other_networks_are_torchs(learners: Learners, override: str, reason: str) -> None:
    pack = learners([compose(*BREAKOUT, *SMALL, override)])
    assert pack.engine == selection.TORCH
    assert isinstance(pack.policy, CNNActorCritic) and reason in str(not_covered(pack.policy))
    with pytest.raises(ConfigError, match=reason):
        learners([compose(*BREAKOUT, *SMALL, override, "engine=native")])


@pytest.mark.parametrize("shape", [(210, 160), (250, 160)])
@pytest.mark.parametrize("size", [36, 44, 84, 96, 105, 160])
def test_resizing_has_opencvs_bits(shape: tuple[int, int], size: int) -> None:
    resize, out = AreaResize(*shape, size), np.zeros((size, size), np.uint8)
    rng = np.random.default_rng(0)
    for largest in (2, 256) * 10:  # few values make ties of rounding likely
        screen = rng.integers(0, largest, shape, dtype=np.uint8)
        resize(screen, out)
        expected = cv2.resize(screen, (size, size), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(out, expected)


def test_where_opencv_does_otherwise_it_is_asked() -> None:
    assert AreaResize.covers(210, 160, 84)
    assert not AreaResize.covers(210, 160, 10)
    assert not AreaResize.covers(210, 160, 161)


@pytest.mark.parametrize("game", ["seaquest", "carnival"])
def test_kernels_change_no_frame(config: Compose, game: str) -> None:
    own = config("env=atari", f"env.game={game}")
    assert own.env.atari is not None
    plain, quick = (AtariVectorEnv(game, 2, own.env.atari) for _ in range(2))
    selection.quicken(quick, own)
    assert quick.games[0].shades is not None and plain.games[0].shades is None
    for env in (plain, quick):
        env.reset(seed=3)
    rng = np.random.default_rng(1)
    for _ in range(200):
        actions = rng.integers(0, plain.single_action_space.n, 2)
        for env in (plain, quick):
            env.step(actions)
        np.testing.assert_array_equal(plain.observations, quick.observations)
