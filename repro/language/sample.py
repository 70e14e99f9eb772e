"""`python -m repro.language.sample RUN_DIR --prompt "the film"`: responses, token by token."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.style import Style
from rich.text import Text

from repro.cli import Parser, at_least, finish
from repro.errors import ConfigError
from repro.language.compose import from_dict
from repro.language.config import LanguageConfig
from repro.runs import store

if TYPE_CHECKING:  # they load torch
    from repro.language.policy import Rollout
    from repro.language.ppo import PPO

HELP = """\
Print responses of a finished policy as a heat strip: a token better than
average is green, one that is worse red (--show advantage); or what each token
adds to the KL, in red (--show kl).

  python -m repro.language.sample runs/language/RUN --prompt "the film was"
"""
LEGENDS = {
    "advantage": "green: better than average, red: worse; the brightest is an advantage of {:.1f}",
    "kl": "red: adds to the KL, green: takes from it; the brightest is {:.1f} nats",
}
GREEN, RED, DARKEST = (0, 150, 80), (190, 40, 40), (30, 30, 30)
Values = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def main() -> None:
    """The command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    return finish(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> None:
    parser = Parser(
        prog="python -m repro.language.sample",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="RUN_DIR", type=Path)
    parser.add_argument("--prompt", help="words; by default prompts of the task")
    parser.add_argument("--count", type=at_least(1), default=8, help="responses (default 8)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="default 0")
    parser.add_argument("--show", choices=("advantage", "kl"), default="advantage")
    options = parser.parse_args(arguments)
    config = _opened(options.directory)
    stage, rollout = respond(config, options.prompt, options.count, options.seed)
    heat = rollout.kl if options.show == "kl" else stage.estimate(rollout).advantages
    _print(stage, rollout, heat[0].double().cpu().numpy(), options.show)


def _opened(directory: Path) -> LanguageConfig:
    """The configuration of a finished policy's run."""
    if not (directory / "run.json").is_file():
        raise ConfigError(f"{directory} holds no run (no run.json): give a run's directory.")
    info = store.read_run(directory)
    if info.get("stage") not in ("ppo", "sft") or info["status"] != store.DONE:
        raise ConfigError(
            f"{directory} is no finished policy: give the directory of a run of stage=ppo or sft."
        )
    config = from_dict(store.read_config(directory), directory)
    return dataclasses.replace(config, runs_dir=str(directory.parent), seed=config.seed)


def respond(
    config: LanguageConfig, prompt: str | None, count: int, seed: int
) -> tuple[PPO, Rollout]:
    """Responses of a finished run's policy, and the stage that scores them.

    Raises:
        ConfigError: a word of the prompt is not known, or it is too long.
    """
    import torch

    from repro.language.ppo import PPO

    torch.set_num_threads(1)
    directory = config.directory
    stage = PPO([dataclasses.replace(config, stage="ppo", seed=seed)], torch.device("cpu"))
    for name, value in store.read_parameters(directory).items():
        stage.parameters.views[name][0] = torch.from_numpy(value)
    prompts = None
    if prompt is not None:
        try:
            tokens = stage.text.encode(prompt)
        except ValueError as error:
            raise ConfigError(f"--prompt {prompt}: {error}.") from error
        longest = config.text.prompt[-1]
        if not 1 <= len(tokens) <= longest:
            raise ConfigError(f"--prompt {prompt}: give 1 to {longest} words.")
        padded = [0] * (longest - len(tokens)) + tokens
        prompts = torch.tensor([[padded] * count])
    each = config.algorithm.group_size if prompts is None and count > 1 else 1
    return stage, stage.collect(stage.parameters.views, count // each * each, each, prompts)


def _print(stage: PPO, rollout: Rollout, heat: Values, name: str) -> None:
    console = Console(highlight=False)
    scale = max(float(np.abs(heat).max()), 1e-6)
    made, words = rollout.made, stage.text.vocabulary
    if console.is_terminal:
        console.print(Text(LEGENDS[name].format(scale), style="dim"))
    for row in range(heat.shape[0]):
        line = Text()
        line.append(stage.text.decode(made.prompts[0, row].numpy()).strip() + " │", style="dim")
        for token, value, real in zip(
            made.tokens[0, row].tolist(), heat[row], made.mask[0, row].tolist(), strict=True
        ):
            if real:
                line.append(" " * stage.text.spaced)
                line.append(_token(words[token], float(value), console.is_terminal, scale, name))
        console.print(line, soft_wrap=True)
        kl = float(rollout.kl[0, row].sum())
        scores = f"gold {rollout.gold[0, row]:.1f}, proxy {rollout.proxy[0, row]:.2f}, KL {kl:.1f}"
        console.print(Text(f"    {scores}", style="dim"))


def _token(word: str, value: float, colored: bool, scale: float, name: str) -> Text:
    """A word on its color; without colors, its value behind it."""
    if not colored:
        return Text(f"{word}({value:+.1f})")
    good = value > 0 if name == "advantage" else value < 0
    share = min(1.0, abs(value) / scale)
    target = GREEN if good else RED
    red, green, blue = (
        round(dark + (end - dark) * share) for dark, end in zip(DARKEST, target, strict=True)
    )
    return Text(word, style=Style(color="bright_white", bgcolor=f"rgb({red},{green},{blue})"))


if __name__ == "__main__":
    main()
