"""What arguments mean: Hydra's grammar, and options with values of their own.

A sweep does not cross these values with those of other options:

    objective='clip(0.1,0.2),kl_adaptive(0.003,0.01),none'          5 settings
    objective='kl_adaptive(0.01,beta=1,2),table1/clip_0.1'          3
    algorithm='ppo(epochs=3,10),vpg(value_learning_rate=1e-3)'      3

`OPTION(KEY=VALUE,VALUE,...)` stands for `GROUP=OPTION GROUP.KEY=VALUE`, once for each combination
of its values. Values that come first are those of an objective's first scalar.

Hydra reads no such thing. `spelled_out` makes of it a sweep over strings, one an alternative, and
`decoded` makes plain overrides of the one that a job has.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, Quote, QuotedString

from repro.config import keys, objectives
from repro.config.hydra_errors import translated
from repro.errors import ConfigError

Alternative = tuple[str, ...]
"""Plain overrides: an option, and its values."""

ARGUMENTS, _ALL = "env.kwargs.", "env.kwargs="  # keys with any name below
_OPTION = re.compile(r"([\w./-]+)\s*\((.*)\)", re.DOTALL)
_KEY = re.compile(r"\s*([A-Za-z_][\w.]*)\s*=(.*)", re.DOTALL)
_FUNCTIONS = ("range", "interval", "glob", "shuffle", "sort", "tag", "extend_list")  # Hydra's
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def parse(overrides: Sequence[str]) -> list[Override]:
    """Hydra's own reading of `key=value` arguments.

    Raises:
        ConfigError: one that Hydra cannot read.
    """
    with translated():
        return list(OverridesParser.create().parse_overrides(list(overrides)))


def alternatives(line: str) -> list[Alternative] | None:
    """What `GROUP=OPTION(...),OPTION(...)` stands for; None for any other override.

    Raises:
        ConfigError: values without a key, or none at all.
    """
    group, equals, text = line.partition("=")
    if not equals or "(" not in text or group not in keys.groups():
        return None
    parts = _parts(group, text)
    matches = [_OPTION.fullmatch(part) for part in parts]
    if not any(matches) or any(match and match[1] in _FUNCTIONS for match in matches):
        return None
    found: list[Alternative] = []
    for part, match in zip(parts, matches, strict=True):
        found += _combinations(group, *match.groups()) if match else [(f"{group}={part}",)]
    return found


def spelled_out(given: Iterable[str]) -> list[str]:
    """The same overrides in Hydra's grammar.

    Raises:
        ConfigError: values without a key, or none at all.
    """
    given, lines, own = list(given), list[str](), dict[str, str]()
    for line in given:
        found = alternatives(line)
        if found is None:  # Hydra wants a plus before a name that is new
            lines.append(f"++{line}" if line.startswith((ARGUMENTS, _ALL)) else line)
        elif len(found) == 1:
            lines += found[0]
            own |= {each.partition("=")[0]: line for each in found[0][1:]}
        else:
            group = line.partition("=")[0]
            lines.append(f"{group}={','.join(_encoded(group, each) for each in found)}")
    _refuse_twice(given, own)
    return lines


def decoded(job: Sequence[str]) -> list[str]:
    """The plain overrides of a job, whose alternatives are strings of `spelled_out`.

    Raises:
        ConfigError: a key that an alternative sets is set a second time.
    """
    lines, own = list[str](), dict[str, str]()
    for line in job:
        (found,) = alternatives(line) or [(line,)]
        lines += found
        own |= {each.partition("=")[0]: line for each in found[1:]}
    _refuse_twice(job, own)
    return lines


def deferred(given: Sequence[str]) -> list[str]:
    """Overrides for a sweep: each job gets all of them, the sweep's own configuration not all.

    Hydra composes a configuration for the sweep itself, with the default option of every group that
    is swept over. A key that only the swept options have would be an error there. As a sweep over
    one value it reaches the jobs alone.
    """
    return [_one_value(line, override) for line, override in zip(given, parse(given), strict=True)]


def _one_value(line: str, override: Override) -> str:
    key, _, text = line.partition("=")
    section, dot, _ = key.partition(".")
    plain = dot and section in keys.groups() and not override.is_sweep_override()
    if not (plain and text.strip()):
        return line
    value = "'null'" if override.value() is None else text  # `choice` takes no null but in quotes
    return f"{key}=choice({value})"


def refuse_empty(overrides: Iterable[Override]) -> None:
    """Raise a ConfigError for a sweep without values."""
    for override in overrides:
        line, key, value = override.input_line, override.key_or_group, override.value()
        options = keys.groups().get(key)
        if isinstance(value, Glob):
            if options is None:
                raise ConfigError(
                    f"{line} matches nothing, since {key} is no group: list its values, as in "
                    f"{key}=0,1."
                )
            if not value.filter(list(options)):
                raise ConfigError(f"{line} matches no choice: {key} can be {keys.listed(options)}.")
        elif override.is_discrete_sweep() and next(override.sweep_iterator(), None) is None:
            raise ConfigError(
                f"{line} is a sweep without values: give one, such as {key}=0,1, or leave it out."
            )


def refuse_foreign(given: Sequence[str]) -> None:
    """Raise a ConfigError for alternatives that a sweeper or launcher of Hydra's would get."""
    own = [line for line in given if len(alternatives(line) or ()) > 1]
    for line in given:
        key, _, choice = line.partition("=")
        if own and key in ("hydra/sweeper", "hydra/launcher") and choice != "population":
            raise ConfigError(
                f"{line} cannot read values in parentheses, as in {own[0]}: leave it out."
            )


def _refuse_twice(lines: Iterable[str], own: Mapping[str, str]) -> None:
    """Raise a ConfigError for a line that sets a key of `own`, key -> the line that sets it."""
    for line in lines:
        key = line.partition("=")[0]
        if key in own:
            raise ConfigError(f"{line} and {own[key]} both set {key}: leave one of them out.")


def _combinations(group: str, option: str, text: str) -> list[Alternative]:
    """`GROUP=OPTION` with each combination of the values in its parentheses."""
    values: dict[str, list[str]] = {}
    key = ""
    for part in _parts(group, text):
        match = _KEY.fullmatch(part)
        if match:
            key, part = match[1], match[2]
        elif not key:
            key = _first_scalar(group, option, part)
        (override,) = parse([f"{group}.{key}={part}"])
        swept = override.is_sweep_override()
        each = override.sweep_string_iterator() if swept else [override.get_value_element_as_str()]
        values.setdefault(key, []).extend(each)
    lines = [[f"{group}.{key}={value}" for value in own] for key, own in values.items()]
    return [(f"{group}={option}", *each) for each in itertools.product(*lines)]


def _first_scalar(group: str, option: str, value: str) -> str:
    if option not in keys.groups()[group]:
        raise ConfigError(keys.unknown_option(group, option, keys.groups()[group]))
    named = [name for name, own in objectives.scalars(option).items() if own.label]
    if group == "objective" and named:
        return named[0]
    raise ConfigError(
        f"{group}={option}({value}): name the key of this value, as in {option}(KEY={value})."
    )


def _encoded(group: str, alternative: Alternative) -> str:
    """One element of a sweep, from which `alternatives` makes the same again."""
    option, *values = (line.partition("=")[2] for line in alternative)
    if not values:
        return option
    names = [line.partition("=")[0].removeprefix(f"{group}.") for line in alternative[1:]]
    pairs = (f"{name}={value}" for name, value in zip(names, values, strict=True))
    return QuotedString(f"{option}({','.join(pairs)})", Quote.single).with_quotes()


def _parts(key: str, text: str) -> list[str]:
    """The elements between commas, without the quotes or the `choice` around several.

    Raises:
        ConfigError: one is empty, or parentheses or quotes do not match.
    """
    parts: list[str] = []
    for part in _split(key, text):
        if not part:
            raise ConfigError(f"{key}={text} has an empty place: give a value, or leave it out.")
        if part[0] in "'\"":
            (override,) = parse([f"{key}={part}"])
            value = str(override.value())
            parts += _parts(key, value) if "(" in value else [part]
        elif part.startswith("choice(") and part.endswith(")"):
            parts += _parts(key, part.removeprefix("choice(")[:-1])
        else:
            parts.append(part)
    return parts


def _split(key: str, text: str) -> list[str]:
    """At the commas outside of all brackets and quotes."""
    parts, open_brackets, quote, escaped = [""], list[str](), "", False
    for character in text:
        if character == "," and not open_brackets and not quote:
            parts.append("")
            continue
        parts[-1] += character
        if quote:
            quote = "" if character == quote and not escaped else quote
        elif character in "'\"":
            quote = character
        elif character in _CLOSING:
            open_brackets.append(_CLOSING[character])
        elif open_brackets and character == open_brackets[-1]:
            open_brackets.pop()
        escaped = character == "\\" and not escaped
    if open_brackets or quote:
        missing = quote or open_brackets[-1]
        raise ConfigError(f"{key}={text} cannot be read: a {missing} is missing.")
    stripped = [part.strip() for part in parts]
    return [] if stripped == [""] else stripped
