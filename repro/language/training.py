"""The stage of a pack's runs: what `repro.training` trains here."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Sequence

import numpy as np

from repro.console import say
from repro.language import networks, texts
from repro.language.best_of_n import BestOfN
from repro.language.config import LanguageConfig
from repro.language.ppo import PPO
from repro.language.pretrain import Pretrain
from repro.language.reward import Reward
from repro.language.sft import SFT
from repro.language.stage import Stage
from repro.training.devices import resolve_device, settled

STAGES: dict[str, type[Stage]] = {
    "pretrain": Pretrain,
    "reward": Reward,
    "ppo": PPO,
    "best_of_n": BestOfN,
    "sft": SFT,
}
# malloc.h of the GNU C library
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
LARGEST = 32 << 20  # bytes; the library takes no larger MMAP_THRESHOLD


def Training(configs: Sequence[LanguageConfig]) -> Stage:  # noqa: N802
    """The stage that P configurations of one pack name."""
    keep_freed_memory()
    (first,) = settled(configs[:1], say)
    return STAGES[first.stage](configs, resolve_device(first.device))


def parameters(config: LanguageConfig) -> int:
    """How many a learner's network has."""
    text = texts.make(config.text)
    longest = config.text.prompt[-1] + config.text.response
    network = networks.make(config.model, len(text.vocabulary), longest)
    return sum(weight.size for weight in network.initialize(np.random.default_rng(0)).values())


def keep_freed_memory() -> None:
    """Have glibc keep what is freed, instead of returning it to the system and asking again.

    Tensors of some megabytes come and go in every layer, and new pages cost 6 % of the time.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, LARGEST)
        library.mallopt(TRIM_THRESHOLD, 8 * LARGEST)
        library.mallopt(TOP_PAD, LARGEST)
