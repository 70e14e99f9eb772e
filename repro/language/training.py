"""The stage of a pack's runs: what `repro.training` trains here."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Sequence

from repro.language.best_of_n import BestOfN
from repro.language.config import LanguageConfig
from repro.language.ppo import PPO
from repro.language.pretrain import Pretrain
from repro.language.reward import Reward
from repro.language.sft import SFT
from repro.language.stage import Stage
from repro.training.loop import resolve_device

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
    return STAGES[configs[0].stage](configs, resolve_device(configs[0].device))


def keep_freed_memory() -> None:
    """Have glibc keep what is freed, instead of returning it to the system and asking again.

    Tensors of some megabytes come and go in every layer, and new pages cost 6 % of the time.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, LARGEST)
        library.mallopt(TRIM_THRESHOLD, 8 * LARGEST)
        library.mallopt(TOP_PAD, LARGEST)
