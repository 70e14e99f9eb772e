"""The section `text` of a configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from repro.config.fields import choice, number, within


@dataclass
class TextConfig:
    """Text, prompts and the gold reward.

    Attributes:
        prompt: tokens of the shortest and of the longest prompt.
        response: most tokens of a response.
    """

    name: str = MISSING
    kind: str = choice("grammar", "oracle", "manual")
    prompt: list[int] = field(default_factory=list, metadata=within("above 0"))
    response: int = number("above 0")
