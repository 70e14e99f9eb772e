"""Configurations with one value changed."""

from __future__ import annotations

import copy

from repro.config.schema import Config


def with_value(config: Config, key: str, value: object) -> Config:
    """A copy with one dotted key changed, unchecked."""
    changed = copy.deepcopy(config)
    *parents, last = key.split(".")
    node: object = changed
    for parent in parents:
        node = getattr(node, parent)
    setattr(node, last, value)
    return changed
