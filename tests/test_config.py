"""Every YAML composes, the grid of Table 1 is the paper's, and an id stands for a result."""

from __future__ import annotations

import copy
import dataclasses
import itertools

import pytest

from repro import cli_errors, population
from repro.config import BATCHABLE, CONF_DIR, NOT_HASHED, Config, from_dict
from repro.errors import ConfigError
from tests.conftest import Compose
from tests.sweeps import composed

GROUPS = cli_errors.groups()


def with_value(config: Config, key: str, value: object) -> Config:
    """A copy with one dotted key changed."""
    changed = copy.deepcopy(config)
    *parents, last = key.split(".")
    node: object = changed
    for parent in parents:
        node = getattr(node, parent)
    setattr(node, last, value)
    return changed


@pytest.mark.parametrize(
    "override",
    [f"{group}={option}" for group in GROUPS if group != "experiment" for option in GROUPS[group]],
)
def test_every_option_composes(config: Compose, override: str) -> None:
    defaults = {"env": "env=hopper", "gymnasium": "env.id=CartPole-v1"}
    composed = config(*defaults.values(), override)
    assert from_dict(composed.as_dict()) == composed


def test_every_yaml_is_an_option() -> None:
    files = [path for path in CONF_DIR.rglob("*.yaml") if "hydra" not in path.parts]
    assert len(files) == 1 + sum(len(options) for options in GROUPS.values())


@pytest.mark.parametrize(
    ("recipe", "objective"),
    list(itertools.product(GROUPS["recipe"], ["none", "clip", "kl_adaptive"])),
)
def test_recipes_and_objectives_go_together(config: Compose, recipe: str, objective: str) -> None:
    chosen = config("env=walker2d", f"recipe={recipe}", f"objective={objective}")
    assert (chosen.recipe.name, chosen.objective["kind"]) == (recipe, objective)


@pytest.mark.parametrize("name", GROUPS["experiment"])
def test_every_experiment_names_itself(config: Compose, name: str) -> None:
    experiment = config("env=hopper", f"+experiment={name}")
    assert experiment.experiment == name
    assert experiment.runs_dir.startswith(f"runs/{name}")


def test_defaults_are_the_papers(config: Compose) -> None:
    default = config("env=hopper")
    algorithm = default.algorithm
    assert (algorithm.horizon, algorithm.minibatch_size, algorithm.epochs) == (2048, 64, 10)
    assert (algorithm.learning_rate, algorithm.gamma, algorithm.gae_lambda) == (3e-4, 0.99, 0.95)
    assert default.objective == {"kind": "clip", "epsilon": 0.2}
    assert default.total_timesteps == 1_000_000 and default.updates == 488
    assert default.policy.hidden_sizes == [64, 64] and not default.policy.shared


def test_table1_is_231_runs_in_7_groups_of_33(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = composed(monkeypatch, "+experiment=table1")
    assert len({config.run_id for config in configs}) == len(configs) == 231
    assert {config.updates for config in configs} == {488}
    assert [len(group) for group in population.group(configs)] == [33] * 7
    rows = {(config.objective["kind"], config.objective_value) for config in configs}
    assert rows == {
        ("none", None),
        *(("clip", value) for value in (0.1, 0.2, 0.3)),
        *(("kl_adaptive", value) for value in (0.003, 0.01, 0.03)),
        *(("kl_fixed", value) for value in (0.3, 1, 3, 10)),
    }
    betas = {c.objective["beta"] for c in configs if c.objective["kind"] == "kl_adaptive"}
    assert betas == {1.0}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("runs_dir", "elsewhere"),
        ("device", "auto"),
        ("progress", False),
        ("budget", "other"),
        ("experiment", "mine"),
        ("logger.name", "wandb"),
    ],
)
def test_where_a_run_lies_is_not_what_it_is(config: Compose, key: str, value: object) -> None:
    here = config("env=hopper")
    assert key.split(".")[0] in NOT_HASHED
    assert with_value(here, key, value).run_id == here.run_id


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 1),
        ("total_timesteps", 4096),
        ("probe", "interpolation"),
        ("env.num_envs", 2),
        ("algorithm.gamma", 0.9),
        ("objective", {"kind": "clip", "epsilon": 0.3}),
        ("policy.hidden_sizes", [32]),
        ("recipe.clip_actions", True),
    ],
)
def test_all_else_is(config: Compose, key: str, value: object) -> None:
    here = config("env=hopper")
    there = with_value(here, key, value)
    assert there.run_id != here.run_id
    assert (there.pack_key == here.pack_key) == (key in BATCHABLE)


def test_every_key_is_hashed_or_said_not_to_be(config: Compose) -> None:
    here = config("env=hopper")
    for field in dataclasses.fields(Config):
        changed = with_value(here, field.name, _other(getattr(here, field.name)))
        assert (changed.hash == here.hash) == (field.name in NOT_HASHED), field.name


def _other(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{dataclasses.fields(value)[0].name: "other"})
    return "other"


@pytest.mark.parametrize(
    ("overrides", "culprit"),
    [
        ("algorithm.gamma=1.5", "algorithm.gamma=1.5"),
        ("algorithm.gae_lambda=-0.1", "algorithm.gae_lambda=-0.1"),
        ("algorithm.learning_rate=-1", "algorithm.learning_rate=-1"),
        ("algorithm.learning_rate=inf", "algorithm.learning_rate=inf"),
        ("algorithm.epochs=0", "algorithm.epochs=0"),
        ("env.num_envs=0", "env.num_envs=0"),
        ("seed=-1", "seed=-1"),
        ("policy.activation=tahn", "did you mean tanh?"),
        ("policy.hidden_sizes=[64,0]", "policy.hidden_sizes"),
        ("recipe.time_limit=bootstrp", "did you mean bootstrap?"),
        ("recipe.max_grad_norm=0", "recipe.max_grad_norm=0"),
        ("objective.epsilon=0", "objective.epsilon=0"),
        ("objective.epsilon=1", "below 1"),
        ("objective.epsilon=many", "objective.epsilon=many"),
        ("objective.kind=klip", "did you mean clip?"),
        ("algorithm.minibatch_size=100", "does not divide"),
        ("algorithm.minibatch_size=4096", "is larger than"),
        ("total_timesteps=2047", "less than one iteration"),
        ("device=gpu", "device=gpu"),
    ],
)
def test_what_cannot_run_is_refused(config: Compose, overrides: str, culprit: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        config("env=hopper", *overrides.split())
    assert culprit in str(refusal.value)
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")


def test_sizes_that_do_not_divide_are_allowed_where_asked_for(config: Compose) -> None:
    for rule in ("drop", "keep"):
        config("env=hopper", "algorithm.minibatch_size=100", f"recipe.partial_minibatch={rule}")
