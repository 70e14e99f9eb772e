"""Speed on an Atari game: ours, Stable-Baselines3, and the floors of both parts, in one run.

    python -m repro.bench.atari --game pong --policy cnn_nature --out atari.json

Stable-Baselines3's PPO has the same network and sizes, and the preprocessing of its own
`make_atari_env` and `VecFrameStack`, which are the same steps. Floors: `emulator`, the game's
frames alone, without a look at the screen; `arithmetic`, the operations of the update's layers at
the best rate that a product or a convolution reaches on this core. Every round measures each once,
on one core and one thread; microseconds per step of the learner (four frames), medians over rounds.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ale_py
import gymnasium
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from ale_py import roms
from torch import Tensor

from repro.bench.contenders import PHASES, Ours, Sample, resident_mib
from repro.bench.speed import table
from repro.config.schema import Config
from repro.errors import EXIT_BAD_INPUT, ConfigError, installation
from repro.runs import provenance, store

FRAMES = 2000  # of the emulator in a round
Row = dict[str, Any]


def measure(game: str, policy: str, rounds: int, overrides: Sequence[str] = ()) -> list[Row]:
    """A row for each contender, as `repro.bench.speed.measure` makes them.

    Raises:
        ConfigError: no such game or network, or Stable-Baselines3 not installed.
    """
    torch.set_num_threads(1)
    ours = Ours("atari", 1, (f"env.game={game}", f"policy={policy}", *overrides))
    config = ours.configs[0]
    contenders: dict[str, Callable[[], Sample]] = {
        "sb3": stable_baselines3(config),
        "ours": ours.measure,
        "emulator": emulator(config),
        "arithmetic": arithmetic(config, [tensor[0] for tensor in ours.learners.views.values()]),
    }
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            samples[name].append(contender())
    rows = [_row(f"{game} {policy}", name, samples) for name in contenders]
    rows[1]["memory_mib"] = resident_mib()  # of the process: all contenders together
    return rows


def _row(game: str, name: str, samples: dict[str, list[Sample]]) -> Row:
    times = [sample["total_us"] for sample in samples[name]]
    row: Row = {"env": game, "algorithm": "ppo", "contender": name, "population": None}
    row |= {
        "total_us": statistics.median(times),
        "low_us": min(times),
        "high_us": max(times),
        "over_physics": None,
        "memory_mib": None,
    }
    for phase in PHASES:
        parts = [sample[f"{phase}_us"] for sample in samples[name] if f"{phase}_us" in sample]
        row[f"{phase}_us"] = statistics.median(parts) if parts else None
    others = [sample["total_us"] for sample in samples["sb3"]]
    ratios = [other / own for own, other in zip(times, others, strict=True)]
    row["over_sb3"] = statistics.median(ratios) if name in ("ours", "sb3") else None
    return row


def stable_baselines3(config: Config) -> Callable[[], Sample]:
    """Its PPO with the network of `config`, after an unmeasured iteration.

    Raises:
        ConfigError: where it is not installed.
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
        device="cpu",
        seed=0,
    )
    model.set_logger(Logger(folder=None, output_formats=[]))

    def sample() -> Sample:
        start = time.perf_counter()
        model.learn(config.batch_size, reset_num_timesteps=False)
        return {"total_us": (time.perf_counter() - start) / config.batch_size * 1e6}

    sample()
    return sample


def emulator(config: Config) -> Callable[[], Sample]:
    """Frames of random play, and nothing else."""
    assert config.env.game is not None and config.env.atari is not None
    game = ale_py.ALEInterface()
    game.setFloat("repeat_action_probability", 0.0)
    path = roms.get_rom_path(config.env.game)
    assert path is not None  # `Ours` has loaded it
    game.loadROM(path)
    actions = game.getMinimalActionSet()
    chosen = np.random.default_rng(0).integers(len(actions), size=FRAMES).tolist()
    skipped = config.env.atari.frame_skip

    def sample() -> Sample:
        start = time.perf_counter()
        for action in chosen:
            game.act(actions[action])
            if game.game_over():
                game.reset_game()
        return {"total_us": (time.perf_counter() - start) / FRAMES * skipped * 1e6}

    return sample


def arithmetic(config: Config, parameters: Sequence[Tensor]) -> Callable[[], Sample]:
    """The update's operations at the best rate of this core: what it cannot be faster than.

    A layer of I inputs, O outputs and R rows has three products of 2 R I O operations: forward, for
    its weights' gradient, and for that of what is below it, which the first layer does without.
    The rate is that of a large product or of a convolution within the cache: torch has them from
    different libraries, and which is faster depends on the processor.
    """
    weights = [w for w in parameters if w.dim() == 4]
    dense = [w for w in parameters if w.dim() == 2 and w.shape[0] > 1]
    assert config.env.atari is not None
    size, operations = config.env.atari.screen_size, []
    for weight, (_, kernel, stride) in zip(weights, config.policy.convolutions or (), strict=True):
        size = (size - kernel) // stride + 1
        operations.append(2 * size * size * weight.numel())
    operations += [2 * w.numel() for w in dense]
    of_a_sample = 3 * sum(operations) - operations[0]
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
        return {"total_us": config.algorithm.epochs * of_a_sample / max(rates) * 1e6}

    sample()
    return sample


def _rate(operations: int, call: Callable[[], Tensor]) -> float:
    """Operations a second, at the best of some calls."""
    best = math.inf
    for _ in range(10):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return operations / best


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m repro.bench.atari", description=__doc__)
    parser.add_argument("--game", default="pong", help="a game of ale-py")
    parser.add_argument("--policy", default="cnn_a3c,cnn_nature", help="networks, with commas")
    parser.add_argument("--rounds", type=int, default=5, help="measured iterations of each")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    parser.add_argument("overrides", nargs="*", help="further configuration, such as recipe=sb3")
    options = parser.parse_args(given)
    rows: list[Row] = []
    try:
        for policy in options.policy.split(","):
            measured = measure(options.game, policy, options.rounds, options.overrides)
            rows += measured
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT
    print("Microseconds per step of the learner, one core, one thread; "
          f"medians of {options.rounds} rounds")  # fmt: skip
    print(table(rows))
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        about = {"command": "python -m repro.bench.atari " + " ".join(given)}
        about |= {"rounds": options.rounds, "unit": "microseconds per step of the learner"}
        store.write_json(options.out, about | provenance.machine() | {"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
