"""The section `text` of a configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from repro.config.fields import choice, number, within

# Their documentation is a text: MuJoCo's manual and the others' docstrings.
DOCUMENTED = ("mujoco", "numpy", "scipy", "pandas", "matplotlib", "sympy", "networkx", "gymnasium")


@dataclass
class TextConfig:
    """Text, prompts and the gold reward.

    Attributes:
        prompt: tokens of the shortest and of the longest prompt.
        response: most tokens of a response.
    """

    name: str = MISSING
    kind: str = choice("grammar", "oracle", "documentation")
    prompt: list[int] = field(default_factory=list, metadata=within("above 0"))
    response: int = number("above 0")
