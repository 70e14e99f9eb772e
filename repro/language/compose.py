"""Configurations from overrides: one, or the grid of a sweep. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from repro.config import keys, objectives
from repro.config.grammar import parse
from repro.config.hydra_errors import translated
from repro.config.names import nearest
from repro.config.schema import CONF_DIR
from repro.config.validation import check_fields
from repro.errors import ConfigError
from repro.language.config import LanguageConfig
from repro.sweeps.settings import Settings

FOLDER = CONF_DIR / "language"
SHARED = ("objective", "logger")  # groups of `conf`


class Grid(NamedTuple):
    """The runs that overrides ask for, and how they are spread over processes."""

    configs: list[LanguageConfig]
    settings: Settings


def compose(given: Sequence[str], sweep: bool = False) -> Grid:
    """The runs that `python -m repro.language OVERRIDES` would start.

    Args:
        given: overrides.
        sweep: whether they may hold several values, as with -m.

    Raises:
        ConfigError: the first mistake.
    """
    check_overrides(given)
    ConfigStore.instance().store(name="schema", node=LanguageConfig)
    path = f"hydra.searchpath=[file://{CONF_DIR}]"
    with translated(given), initialize_config_dir(str(FOLDER), version_base="1.3"):
        if not sweep:
            return Grid([_typed(hydra_compose("config", [*given, path]))], Settings("serial"))
        plain = [each for each in given if not _sweeps(each)]
        master = hydra_compose("config", [*plain, path], return_hydra_config=True)
        params = master.hydra.get("sweeper", {}).get("params") or {}
        lines = [f"{key}={value}" for key, value in params.items()]
        keys_given = {each.key_or_group for each in parse(given)}
        lines = [line for line in lines if line.partition("=")[0] not in keys_given]
        parser = OverridesParser.create()
        batches = BasicSweeper.split_arguments(parser.parse_overrides([*lines, *given]), None)
        jobs = [job for batch in batches for job in batch]
        configs = [_typed(hydra_compose("config", [*job, path])) for job in jobs]
    _refuse_duplicates(configs)
    return Grid(configs, _settings(master))


def stages(configs: Sequence[LanguageConfig]) -> Iterator[list[LanguageConfig]]:
    """The runs, preceded by what they build on: those of a list can train side by side."""
    before: dict[Path, LanguageConfig] = {}
    for config in configs:
        before |= {parent.directory: parent for parent in config.parents.values()}
    for stage in ("pretrain", "reward"):
        if found := [parent for parent in before.values() if parent.stage == stage]:
            yield found
    kinds = dict.fromkeys(config.stage for config in configs)
    for kind in kinds:
        yield [config for config in configs if config.stage == kind]


def from_dict(values: Mapping[str, Any], directory: Path) -> LanguageConfig:
    """The configuration that `as_dict` came from (the `config.yaml` of a run's directory).

    Sections that the run's stage does not read have their defaults.

    Raises:
        ConfigError: an earlier version wrote it, with other keys.
    """
    ConfigStore.instance().store(name="schema", node=LanguageConfig)
    path = f"hydra.searchpath=[file://{CONF_DIR}]"
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        base = OmegaConf.to_container(hydra_compose("config", [path]))
    assert isinstance(base, dict)
    try:
        return _typed(OmegaConf.create(base | dict(values)))
    except ConfigError as error:
        raise ConfigError(
            f"{directory} is a run of an earlier version, which had other keys "
            f"({str(error).rstrip('.')}): train it again under another runs_dir."
        ) from error


def validate(config: LanguageConfig) -> None:
    """Refuse what cannot run.

    Raises:
        ConfigError: one sentence that names the key, its value and what to change.
    """
    check_fields(config)
    objectives.check(config.objective)
    algorithm, size = config.algorithm, config.algorithm.batch_size
    for name in ("minibatches", "group_size"):
        if size % getattr(algorithm, name):
            raise ConfigError(
                f"algorithm.{name}={getattr(algorithm, name)} does not divide algorithm.batch_size"
                f"={size}: choose a divisor."
            )
    if algorithm.advantage != "gae" and algorithm.group_size < 2:
        raise ConfigError(
            f"algorithm.advantage={algorithm.advantage} compares responses to one prompt: say "
            "algorithm.group_size=4 or the like."
        )
    if (config.kl.place, config.kl.estimator) == ("loss", "k1"):
        raise ConfigError(
            "kl.place=loss needs kl.estimator=k3: the gradient of k1 has mean 0 over the policy's "
            "own samples, so it penalizes nothing."
        )
    if config.updates < 1:
        raise ConfigError(
            f"stage={config.stage} has less than one iteration of {config.batch_size}: raise its "
            "total, or lower its batch_size."
        )
    if config.sft.batch_size % config.sft.n:
        raise ConfigError(
            f"sft.n={config.sft.n} does not divide sft.batch_size={config.sft.batch_size}: choose "
            "a divisor."
        )
    if config.model.width % config.model.heads:
        raise ConfigError(
            f"model.heads={config.model.heads} does not divide model.width={config.model.width}: "
            "choose a divisor."
        )
    if config.model.width % 16:
        raise ConfigError(f"model.width={config.model.width} must be a multiple of 16.")
    if (config.text.kind == "oracle") != (config.model.kind == "table"):
        raise ConfigError("text=oracle and model=table go together: say both, or neither.")
    learned = config.reward.source == "model" or config.recipe.value_init == "reward_model"
    if config.text.kind == "oracle" and learned and config.stage not in ("pretrain", "reward"):
        raise ConfigError("text=oracle has no reward model: say reward.source=gold.")


def _typed(node: DictConfig) -> LanguageConfig:
    with translated():
        merged = OmegaConf.merge(OmegaConf.structured(LanguageConfig), node)
        missing = sorted(str(key) for key in OmegaConf.missing_keys(merged))
        if missing:
            raise ConfigError(f"{missing[0]} has no value: give one, such as {missing[0]}=...")
        config = OmegaConf.to_object(merged)
    assert isinstance(config, LanguageConfig)
    config.objective = objectives.without_defaults(config.objective)
    validate(config)
    return config


def groups() -> dict[str, list[str]]:
    """Group -> its options."""
    own: dict[str, list[str]] = {}
    for path in sorted(FOLDER.rglob("*.yaml")):
        group, *rest = path.relative_to(FOLDER).parts
        if rest:
            own.setdefault(group, []).append("/".join(rest).removesuffix(".yaml"))
    return own | {group: keys.groups()[group] for group in SHARED}


def known_keys() -> list[str]:
    """Every dotted key that a configuration can have."""
    names: list[str] = []
    for each in dataclasses.fields(LanguageConfig):
        section = getattr(each.default_factory, "__dataclass_fields__", None)
        names += [f"{each.name}.{name}" for name in section] if section else [each.name]
    scalars = [
        f"objective.{name}" for kind in objectives.kinds() for name in objectives.scalars(kind)
    ]
    return [*names, "objective.kind", *dict.fromkeys(scalars)]


def check_overrides(given: Sequence[str]) -> None:
    """Refuse names that do not exist; Hydra proposes no nearest one.

    Raises:
        ConfigError: the first.
    """
    options, known = groups(), known_keys()
    for override in parse(given):
        key, line = override.key_or_group, str(override.input_line)
        if override.is_hydra_override():
            continue
        if key in options:
            values = override.value()
            listed = getattr(values, "list", [values])
            for value in listed:
                name = str(getattr(value, "text", value))
                if name not in options[key]:
                    raise ConfigError(keys.unknown_option(key, name, options[key]))
            if (key == "experiment") != override.is_add():
                right = f"+{line}" if key == "experiment" else line.lstrip("+")
                raise ConfigError(f"{line} must be written as {right}.")
        elif key not in known:
            raise ConfigError(
                f"{key} is not a key of the configuration{nearest(key, [*known, *options])}: "
                "python -m repro.language --help lists them."
            )


def _sweeps(line: str) -> bool:
    (override,) = parse([line])
    return override.is_sweep_override()


def _settings(master: DictConfig) -> Settings:
    launcher = OmegaConf.to_container(master.hydra.launcher, resolve=True)
    assert isinstance(launcher, dict)
    values = {str(name): value for name, value in launcher.items() if name != "_target_"}
    settings = Settings(**values)
    settings.check()
    return settings


def _refuse_duplicates(configs: Sequence[LanguageConfig]) -> None:
    seen: set[str] = set()
    for config in configs:
        if str(config.directory) in seen:
            raise ConfigError(
                f"Two jobs are the same run {config.run_id}: sweep over what changes a result."
            )
        seen.add(str(config.directory))
