"""Speed on an Atari game: this project, SB3, and the floors of both parts.

    python -m repro.bench atari --game pong --policy cnn_nature --out atari.json

Stable-Baselines3's PPO has the same network and sizes, and the preprocessing
of its own `make_atari_env` and `VecFrameStack`, which takes the same steps.
Floors: `emulator`, the game's frames alone, without reading the screen;
`arithmetic`, the operations of the update's layers at the best rate that a
product or a convolution reaches on this core. Every round measures each
contender once, on one core and one thread. Times are microseconds per step of
the learner (four frames), medians over rounds; the ratio to SB3 is of processor
time, which hangs less on what else the machine does.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import ale_py
import gymnasium
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from ale_py import roms
from torch import Tensor

from repro.bench.contenders import Clock, Pack, resident_mib
from repro.bench.rows import Row, Sample, save, speedup, summarize, table
from repro.cli import Parser, at_least
from repro.config.schema import Config
from repro.engines import cuda
from repro.errors import ConfigError, installation
from repro.training.devices import resolve_device

FRAMES = 2000  # of the emulator in a round
BASELINES = ("sb3", "floors")  # floors: the emulator, and the arithmetic on this core


def measure(
    game: str,
    policy: str,
    rounds: int,
    overrides: Sequence[str] = (),
    baselines: Sequence[str] = BASELINES,
) -> list[Row]:
    """Measure one game and network.

    Returns:
        A row for each contender, with the keys of `repro.bench.speed.measure`.

    Raises:
        ConfigError: no such game or network, or Stable-Baselines3 not installed.
    """
    torch.set_num_threads(1)
    pack = Pack("atari", 1, (f"env.game={game}", f"policy={policy}", *overrides))
    config = pack.configs[0]
    parameters = [tensor[0] for tensor in pack.learners.views.values()]
    contenders: dict[str, Callable[[], Sample]] = {"ours": pack.measure}
    if "sb3" in baselines:
        contenders = {"sb3": stable_baselines3(config)} | contenders
    if "floors" in baselines:
        contenders["emulator"] = emulator(config)
        contenders["arithmetic"] = arithmetic(config, parameters)
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            samples[name].append(contender())
    return [
        {
            "env": f"{game} {policy}",
            "algorithm": "ppo",
            "contender": name,
            "population": None,
            **summarize(samples[name]),
            "over_physics": None,
            "over_sb3": speedup(samples[name], samples.get("sb3"))
            if name in ("ours", "sb3")
            else None,
            "device": str(pack.learners.device),
            # of the process, which holds all contenders
            "memory_mib": resident_mib() if name == "ours" else None,
        }
        for name in contenders
    ]


def stable_baselines3(config: Config) -> Callable[[], Sample]:
    """SB3's PPO with the network of `config`, after an unmeasured iteration.

    Raises:
        ConfigError: Stable-Baselines3 is not installed.
    """
    try:
        from stable_baselines3 import PPO as SB3PPO
        from stable_baselines3.common.env_util import make_atari_env
        from stable_baselines3.common.logger import Logger
        from stable_baselines3.common.vec_env import VecFrameStack

        from repro.algorithms.sb3.networks import network_keywords
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the comparison needs Stable-Baselines3: {installation('baselines')}"
        ) from error
    assert config.env.atari is not None and config.env.game is not None
    gymnasium.register_envs(ale_py)
    name = config.env.game.title().replace("_", "")
    games = make_atari_env(f"{name}NoFrameskip-v4", n_envs=config.env.num_envs, seed=0)
    model = SB3PPO(
        "CnnPolicy",
        VecFrameStack(games, config.env.atari.frame_stack),
        n_steps=config.algorithm.horizon,
        batch_size=config.algorithm.minibatch_size,
        n_epochs=config.algorithm.epochs,
        policy_kwargs=network_keywords(config.policy),
        device=resolve_device(config.device),
        seed=0,
    )
    model.set_logger(Logger(folder=None, output_formats=[]))

    def sample() -> Sample:
        with Clock(config.batch_size) as clock:
            model.learn(config.batch_size, reset_num_timesteps=False)
        return clock.sample

    sample()
    return sample


def emulator(config: Config) -> Callable[[], Sample]:
    """The emulator's frames under random actions, and nothing else."""
    assert config.env.game is not None and config.env.atari is not None
    game = ale_py.ALEInterface()
    game.setFloat("repeat_action_probability", 0.0)
    path = roms.get_rom_path(config.env.game)
    assert path is not None  # the pack has loaded it
    game.loadROM(path)
    actions = game.getMinimalActionSet()
    chosen = np.random.default_rng(0).integers(len(actions), size=FRAMES).tolist()
    skipped = config.env.atari.frame_skip

    def sample() -> Sample:
        with Clock(FRAMES // skipped) as clock:
            for action in chosen:
                game.act(actions[action])
                if game.game_over():
                    game.reset_game()
        return clock.sample

    return sample


def arithmetic(config: Config, parameters: Sequence[Tensor]) -> Callable[[], Sample]:
    """The update's operations at the best rate of this core: a lower bound of its time.

    A layer with I inputs, O outputs and R rows has three products of 2 R I O operations: the
    forward pass, the gradient of its weights, and the gradient of its inputs, which the first layer
    does not need. The rate is the better one of a large matrix product and of a convolution within
    the cache: torch takes them from different libraries, and the processor decides which is faster.
    """
    weights = [w for w in parameters if w.dim() == 4]
    dense = [w for w in parameters if w.dim() == 2 and w.shape[0] > 1]
    assert config.env.atari is not None
    size, operations = config.env.atari.screen_size, []
    for weight, (_, kernel, stride) in zip(weights, config.policy.convolutions or (), strict=True):
        size = (size - kernel) // stride + 1
        operations.append(2 * size * size * weight.numel())
    operations += [2 * w.numel() for w in dense]
    per_sample = 3 * sum(operations) - operations[0]
    square = torch.randn(1024, 1024)
    frames, kernels = (
        torch.randn(32, 64, 20, 20).contiguous(memory_format=torch.channels_last),
        torch.randn(64, 64, 3, 3).contiguous(memory_format=torch.channels_last),
    )

    def sample() -> Sample:
        rates = (
            _rate(2 * 1024**3, lambda: torch.mm(square, square)),
            _rate(2 * 32 * 18 * 18 * kernels.numel(), lambda: F.conv2d(frames, kernels)),
        )
        return {"total_us": config.algorithm.epochs * per_sample / max(rates) * 1e6}

    sample()
    return sample


def _rate(operations: int, call: Callable[[], Tensor]) -> float:
    """Operations per second in the fastest of ten calls."""
    best = math.inf
    for _ in range(10):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return operations / best


def run(arguments: Sequence[str]) -> None:
    """The command.

    Raises:
        ConfigError: a wrong option, or what `measure` refuses.
    """
    parser = Parser(
        prog="python -m repro.bench atari",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--game", default="pong", help="a game of ale-py")
    parser.add_argument("--policy", default="cnn_a3c,cnn_nature", help="networks, with commas")
    parser.add_argument("--baselines", default="sb3,floors", help="of sb3,floors; or none")
    parser.add_argument("--rounds", type=at_least(1), default=5, help="measurements of each")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    parser.add_argument("overrides", nargs="*", help="further configuration, such as recipe=sb3")
    options = parser.parse_args(arguments)
    baselines = [] if options.baselines == "none" else options.baselines.split(",")
    if not set(baselines) <= set(BASELINES):
        parser.error("--baselines takes sb3, floors, both with a comma, or none")
    rows = [
        row
        for policy in options.policy.split(",")
        for row in measure(options.game, policy, options.rounds, options.overrides, baselines)
    ]
    unit = "microseconds per step of the learner"
    where = "one core, one thread" if rows[0]["device"] == "cpu" else rows[0]["device"]
    print(f"{unit.capitalize()}, {where}; medians of {options.rounds} rounds")
    print(table(rows))
    if options.out is not None:
        about = {"rounds": options.rounds, "overrides": options.overrides, "unit": unit}
        about |= cuda.accelerator(torch.device(rows[0]["device"]))
        save(options.out, "atari", arguments, about | {"rows": rows})
