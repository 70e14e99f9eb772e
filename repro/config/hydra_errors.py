"""One sentence for what Hydra and OmegaConf raise: the culprit, and what to change."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from repro.config import keys, objectives
from repro.errors import ConfigError

_KINDS = {  # how OmegaConf ends its complaint -> what was expected
    "to Integer": "a whole number",
    "to Float": "a number",
    "not a valid bool": "true or false",
    "not a ListConfig": "a list, such as [64,64]",
}


@contextlib.contextmanager
def translated(overrides: Sequence[str] = ()) -> Iterator[None]:
    """Around a composition: what Hydra and OmegaConf raise becomes a ConfigError.

    Args:
        overrides: those that are composed.

    Raises:
        ConfigError: one sentence on the mistake.
    """
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise sentence(error) from error
    except AssertionError as error:
        # All that OmegaConf has to say where a key is set below a section that is null.
        below = [re.match(r"\+*env\.(atari|humanoid)\.", line) for line in overrides]
        found = next((match for match in below if match), None)
        if found is None:
            raise
        raise ConfigError(
            f"{found.string} is a key of env={found[1]} only: choose that, or leave it out."
        ) from error


def sentence(error: BaseException) -> ConfigError:
    """The ConfigError that an exception of Hydra or OmegaConf amounts to."""
    chain = _chain(error)
    for link in chain:
        if isinstance(link, ConfigError):
            return link
    for text in map(_translate, reversed(chain)):  # the innermost is the most precise
        if text is not None:
            return ConfigError(text)
    return ConfigError(_one_line(str(error)) or type(error).__name__)


def _translate(error: BaseException) -> str | None:
    """A sentence for an exception that says enough by itself."""
    message = str(error)
    key = str(getattr(error, "full_key", None) or getattr(error, "key", None) or "")
    if isinstance(error, OverrideParseException):
        if "empty choice" in message:
            return f"{error.override} is a sweep without values: give one, or leave it out."
        return f"{error.override} cannot be read: write key=value, and quote special characters."
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        options = keys.groups().get(group, list(error.options or ()))
        return keys.unknown_option(group, option, options)
    if isinstance(error, ConfigKeyError | ConfigAttributeError) and key:
        section = getattr(error, "parent_node", None)
        if key.startswith("algorithm.") and isinstance(section, DictConfig):
            return keys.unknown_algorithm_key(key.partition(".")[2], section.name)
        return keys.unknown_key(key, _siblings(error, key))
    if isinstance(error, MissingMandatoryValue) and key:
        return f"{key} has no value: give one, such as {key}=..."
    if isinstance(error, ValidationError) and key:
        return _wrong_type(key, getattr(error, "value", None), message)
    if match := re.match(r"You must specify '([\w/]+)'", message):
        return keys.no_option(match[1])
    if match := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.+)'", message):
        return f"{match[1]} holds several values: to run each of them, add -m."
    if isinstance(error, OmegaConfBaseException) and key:
        return f"{key}: {_one_line(message)}"
    return None


def _wrong_type(key: str, value: object, message: str) -> str:
    if value is None:
        return f"{key}=null: it needs a value."
    for complaint, kind in _KINDS.items():
        if complaint in message:
            return f"{key}={value!s} must be {kind}."
    return f"{key}={value!s} does not fit: {_one_line(message)}"


def _siblings(error: OmegaConfBaseException, key: str) -> list[str]:
    """The keys of the section in which OmegaConf looked for an unknown one, if it names it."""
    parent = getattr(error, "parent_node", None)
    path = key.rpartition(".")[0]
    if not isinstance(parent, DictConfig) or not path:
        return []
    return [f"{path}.{name}" for name in map(str, parent) if name != objectives.ABOUT]


def _chain(error: BaseException | None) -> list[BaseException]:
    """An exception, what caused it, and so on inwards."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _one_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("full_key", "reference_", "object_"))]
    return " ".join(kept[:2])
