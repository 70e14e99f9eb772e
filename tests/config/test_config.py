"""Every YAML composes, the grid of Table 1 is the paper's, and an id stands for a result."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Collection
from pathlib import Path

import pytest
from ale_py import roms
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from repro.config import keys
from repro.config.schema import BATCHABLE, CONF_DIR, PLACEMENT, Config
from repro.config.validation import from_dict, validate
from repro.errors import ConfigError
from repro.sweeps import packs
from tests.helpers.configs import Compose, with_value
from tests.helpers.sweeps import composed

GROUPS = keys.groups()


@pytest.mark.parametrize(
    "override",
    [f"{group}={option}" for group in GROUPS if group != "experiment" for option in GROUPS[group]],
)
def test_every_option_composes(config: Compose, override: str) -> None:
    frames = override == "env=atari" or override.startswith("policy=cnn")
    default = ("env=atari", "env.game=pong") if frames else ("env=hopper", "env.id=CartPole-v1")
    composed = config(*default, override)
    assert from_dict(composed.as_dict()) == composed


def chosen_by_others(path: Path) -> bool:
    return path.relative_to(CONF_DIR).parts[0] in keys.NOT_GROUPS


def test_every_yaml_is_an_option() -> None:
    files = [path for path in CONF_DIR.rglob("*.yaml") if not chosen_by_others(path)]
    assert len(files) == 1 + sum(len(options) for options in GROUPS.values())


@pytest.mark.parametrize(
    ("recipe", "objective"),
    list(itertools.product(GROUPS["recipe"], ["none", "clip", "kl_adaptive"])),
)
def test_every_recipe_works_with_every_kind_of_objective(
    config: Compose, recipe: str, objective: str
) -> None:
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


def test_atari_is_table_5s(config: Compose) -> None:
    own = config("env=atari", "env.game=pong")
    algorithm, recipe = own.algorithm, own.recipe
    assert (algorithm.horizon, own.env.num_envs, algorithm.epochs) == (128, 8, 3)
    assert (algorithm.minibatch_size, algorithm.learning_rate) == (256, 2.5e-4)
    assert (algorithm.gamma, algorithm.gae_lambda) == (0.99, 0.95)
    assert (algorithm.value_coef, algorithm.entropy_coef) == (1.0, 0.01)
    assert own.objective == {"kind": "clip", "epsilon": 0.1}
    assert (recipe.learning_rate_schedule, recipe.epsilon_schedule) == ("linear", "linear")
    assert own.policy.convolutions == [[16, 8, 4], [32, 4, 2]]
    # Where Table 5 is silent it is ppo2, but for the loss of the value function, which is printed.
    ppo2 = config("env=atari", "env.game=pong", "recipe=ppo2")
    differs = {
        field.name
        for field in dataclasses.fields(recipe)
        if getattr(recipe, field.name) != getattr(ppo2.recipe, field.name)
    }
    filters = {"observation_clip", "observation_variance_floor", "observation_epsilon"}
    unused = filters | {"normalizer_count", "reward_accumulator_reset"}
    assert differs - unused == {"name", "value_clip", "value_clip_schedule"}
    assert own.env.atari == ppo2.env.atari
    assert own.total_timesteps == 10_000_000


@pytest.mark.parametrize(
    ("overrides", "culprit"),
    [
        ("env.id=breakout", "env.id=breakout, but env.game=pong: say env.game=breakout"),
        ("env.version=v5", "env.version=v5 is for MuJoCo's tasks"),
        ("env.atari=null", "env.atari is a section: set one of its keys, such as env.atari."),
        ("env.backend=gymnasium", "are for env.backend=atari, not for env.backend=gymnasium"),
        ("policy.convolutions=[]", "policy.convolutions=[] must hold"),
    ],
)
def test_conflicting_keys_of_atari_are_refused(
    config: Compose, overrides: str, culprit: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        config("env=atari", "env.game=pong", overrides)
    assert culprit in str(refusal.value)


def test_a_game_needs_its_preprocessing(config: Compose) -> None:
    changed = with_value(config("env=atari", "env.game=pong"), "env.atari", None)
    with pytest.raises(ConfigError, match=r"env\.atari=null leaves a game"):
        validate(changed)


def test_tuned_values_of_atari_yield_to_other_choices(config: Compose) -> None:
    atari = ("env=atari", "env.game=pong")
    sb3 = config(*atari, "recipe=sb3", "policy=cnn_nature", "objective=kl_fixed")
    assert (sb3.policy.name, sb3.objective["kind"]) == ("cnn_nature", "kl_fixed")
    assert (sb3.algorithm.epochs, sb3.algorithm.value_coef) == (4, 0.5)
    assert sb3.env.atari is not None and sb3.env.atari.stack_padding == "zero"
    ppo1, ppo2, cleanrl = (config(*atari, f"recipe={x}") for x in ("ppo1", "ppo2", "cleanrl"))
    own = {each.recipe.name: each.env.atari for each in (ppo1, ppo2, cleanrl)}
    assert {name: (a.frame_stack, a.stack_padding) for name, a in own.items() if a} == {
        "ppo1": (1, "reset"),
        "ppo2": (4, "zero"),
        "cleanrl": (4, "reset"),
    }
    assert (ppo2.recipe.epsilon_schedule, ppo2.recipe.value_clip_schedule) == ("linear", "linear")
    assert ppo1.recipe.advantage_normalization == "actor"
    assert cleanrl.recipe.epsilon_schedule == cleanrl.recipe.value_clip_schedule == "constant"
    assert not ppo2.recipe.reward_scaling and ppo2.recipe.value_clip == 0.1
    a2c = config(*atari, "algorithm=a2c")
    assert (a2c.env.num_envs, a2c.algorithm.horizon, a2c.algorithm.entropy_coef) == (16, 5, 0.01)
    assert config(*atari, "algorithm.epochs=7", "recipe=sb3").algorithm.epochs == 7
    assert config(*atari, "budget=smoke").env.num_envs == 1


def test_the_ids_of_older_runs_stay(config: Compose) -> None:
    """These are older than Atari's keys, and finished runs are found by them."""
    ids = {
        "env=hopper": "Hopper-v4_ppo_clip_0.2_s0_c1778337",
        "env=walker2d objective=table1/kl_fixed_3 recipe=ppo2": (
            "Walker2d-v4_ppo_kl_fixed_3_s0_0649393c"
        ),
        "env=hopper algorithm=a2c budget=smoke": "Hopper-v4_a2c_s0_7245a46e",
    }
    for line, expected in ids.items():
        assert config(*line.split()).run_id == expected


# Experiment -> how many runs a pack may have.
ATARI = {"atari": 3, "atari_sb3": 1}


@pytest.mark.parametrize("name", ATARI)
def test_atari_is_the_papers_49_games_in_packs_of_seeds(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        node = hydra_compose("config", [f"+experiment={name}"], return_hydra_config=True)
    games = node.hydra.sweeper.params["env.game"].replace(" ", "")
    assert_papers(games.split(","))
    configs = composed(monkeypatch, f"+experiment={name}", "env.game=pong,zaxxon")
    assert_runs(configs, 2 * 6, ATARI[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ATARI)
def test_all_runs_of_atari_compose(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    configs = composed(monkeypatch, f"+experiment={name}")
    assert_papers({config.env.id for config in configs})
    assert_runs(configs, 294, ATARI[name])


def assert_papers(games: Collection[str]) -> None:
    table6 = CONF_DIR.parent / "results" / "reference" / "paper_table6.json"
    paper = json.loads(table6.read_text())
    snake = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in paper}
    assert set(games) == snake and len(games) == 49
    assert snake <= set(roms.get_all_rom_ids())


def assert_runs(configs: list[Config], count: int, pack: int) -> None:
    assert len({config.run_id for config in configs}) == len(configs) == count
    assert [len(group) for group in packs.group(configs)] == [pack] * (count // pack)
    assert {config.total_timesteps for config in configs} == {10_000_000}


def test_table1_is_231_runs_in_7_groups_of_33(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = composed(monkeypatch, "+experiment=table1")
    assert len({config.run_id for config in configs}) == len(configs) == 231
    assert {config.updates for config in configs} == {488}
    assert [len(group) for group in packs.group(configs)] == [33] * 7
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
def test_placement_does_not_change_the_id(config: Compose, key: str, value: object) -> None:
    here = config("env=hopper")
    assert key.split(".")[0] in PLACEMENT
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
def test_every_other_key_changes_the_id(config: Compose, key: str, value: object) -> None:
    here = config("env=hopper")
    there = with_value(here, key, value)
    assert there.run_id != here.run_id
    assert (there.pack_key == here.pack_key) == (key in BATCHABLE)


def test_the_hash_covers_every_key_except_placement(config: Compose) -> None:
    here = config("env=hopper")
    for field in dataclasses.fields(Config):
        changed = with_value(here, field.name, _other(getattr(here, field.name)))
        assert (changed.hash == here.hash) == (field.name in PLACEMENT), field.name


def _other(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{dataclasses.fields(value)[0].name: "other"})
    return "other"


@pytest.mark.parametrize(
    ("overrides", "culprit"),
    [
        ("algorithm.gamma=1.5", "algorithm.gamma=1.5 must be in [0, 1]."),
        ("algorithm.learning_rate=inf", "algorithm.learning_rate=inf must be finite."),
        ("policy.activation=tahn", "did you mean tanh?"),
        ("policy.hidden_sizes=[64,0]", "policy.hidden_sizes=[64, 0] must hold numbers above 0."),
        ("objective.epsilon=0", "objective.epsilon=0"),
        ("objective.epsilon=1", "below 1"),
        ("objective.epsilon=many", "objective.epsilon=many"),
        ("objective=clip_log objective.epsilon=1e40", "epsilon=1e+40 must be between 1.4e-45 and"),
        ("objective=kl_fixed objective.beta=1e40", "in float32, where it is infinite"),
        (f"objective=kl_adaptive objective.beta={10**400}", "in float32, where it is infinite"),
        ("objective=kl_adaptive objective.target_kl=1e-50", "in float32, where it is 0"),
        ("objective=kl_adaptive objective.beta=0", "objective.beta=0 must be above 0."),
        ("objective=kl_adaptive objective.beta_min=-1", "objective.beta_min=-1 must be above 0."),
        ("algorithm.learning_rate=1e40", "learning_rate=1e+40 must be between 1.4e-45 and 3.4e+38"),
        ("algorithm.entropy_coef=1e-50", "in float32, where it is 0"),
        ("recipe.initial_log_std=-1e39", "in float32, where it is infinite"),
        ("algorithm=trpo algorithm.delta=1e39", "algorithm.delta=1e+39 must be between"),
        ("objective.scalars.epsilon.range=finite", "objective.scalars.epsilon.range is not a key"),
        ("objective.kind=klip", "did you mean clip?"),
        ("algorithm.minibatch_size=100", "does not divide"),
        ("algorithm.minibatch_size=4096", "is larger than"),
        ("total_timesteps=2047", "less than one iteration"),
    ],
)
def test_what_cannot_run_is_refused_in_one_sentence(
    config: Compose, overrides: str, culprit: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        config("env=hopper", *overrides.split())
    assert culprit in str(refusal.value)
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")


def test_a_partial_minibatch_is_allowed_where_the_recipe_says_what_to_do(config: Compose) -> None:
    for rule in ("drop", "keep"):
        config("env=hopper", "algorithm.minibatch_size=100", f"recipe.partial_minibatch={rule}")
