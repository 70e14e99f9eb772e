"""What of ours becomes what of Stable-Baselines3's, key by key; and what is refused."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
import torch
import yaml
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike

from repro.algorithms.sb3 import mapping
from repro.config import sb3
from repro.config.algorithms import SETTINGS, keys
from repro.config.schema import CONF_DIR, Config, RecipeConfig
from repro.errors import ConfigError
from tests.helpers.cli import Cli
from tests.helpers.configs import compose

PPO, A2C, TRPO = ("sb3_ppo", "sb3_a2c", "sb3_trpo")
FILTER = "recipe.observation_normalization=step"
SCALE = "recipe.reward_scaling=true"
Look = Callable[[Any], Any]


def variant(line: str) -> Config:
    return compose(*line.split())


def model_of(config: Config) -> Any:
    envs = mapping.normalized(config, mapping.make_envs(config))
    return mapping.make_model(config, envs, "cpu")


def of(name: str) -> Look:
    return lambda model: getattr(model, name)


def rate(left: float) -> Look:
    return lambda model: model.lr_schedule(left)


def clip(left: float) -> Look:
    return lambda model: model.clip_range(left)


def optimizer(key: str) -> Look:
    return lambda model: model.policy.optimizer.defaults[key]


def normalize(key: str) -> Look:
    return lambda model: getattr(model.get_vec_normalize_env(), key)


def layers(model: Any) -> list[list[int]]:
    towers = (model.policy.mlp_extractor.policy_net, model.policy.mlp_extractor.value_net)
    return [[x.out_features for x in net if isinstance(x, torch.nn.Linear)] for net in towers]


# Algorithm, our key and another value of it, what else it takes, where it is seen, as what.
MAPPED: list[tuple[str, str, str, Look, Any]] = [
    *((name, "seed=5", "", of("seed"), 5) for name in (PPO, A2C, TRPO)),
    *((name, "env.num_envs=3", "", of("n_envs"), 3) for name in (PPO, A2C, TRPO)),
    *((name, "algorithm.horizon=192", "", of("n_steps"), 192) for name in (PPO, A2C, TRPO)),
    *((name, "algorithm.gamma=0.9", "", of("gamma"), 0.9) for name in (PPO, A2C, TRPO)),
    *((name, "algorithm.gae_lambda=0.7", "", of("gae_lambda"), 0.7) for name in (PPO, A2C, TRPO)),
    (PPO, "algorithm.learning_rate=1e-5", "", rate(0.5), 1e-5),
    (PPO, "algorithm.minibatch_size=32", "", of("batch_size"), 32),
    (PPO, "algorithm.epochs=3", "", of("n_epochs"), 3),
    (PPO, "algorithm.value_coef=0.3", "", of("vf_coef"), 0.3),
    (PPO, "algorithm.entropy_coef=0.2", "", of("ent_coef"), 0.2),
    (PPO, "objective.epsilon=0.1", "", clip(0.5), 0.1),
    (PPO, "recipe.max_grad_norm=0.4", "", of("max_grad_norm"), 0.4),
    (PPO, "recipe.max_grad_norm=null", "", of("max_grad_norm"), math.inf),
    (PPO, "recipe.value_clip=0.3", "",
     lambda model: model.clip_range_vf and model.clip_range_vf(1.0), 0.3),
    (PPO, "recipe.early_stop_kl=0.02", "", of("target_kl"), 0.02),
    (PPO, "recipe.advantage_normalization=none", "", of("normalize_advantage"), False),
    # 10 iterations: after the sixth half is left, as before the sixth of ours.
    (PPO, "recipe.learning_rate_schedule=linear", "total_timesteps=20480", rate(0.4), 1.5e-4),
    (PPO, "recipe.epsilon_schedule=linear", "total_timesteps=20480", clip(0.4), 0.1),
    (A2C, "algorithm.learning_rate=1e-5", "algorithm.learning_rate_schedule=constant",
     rate(0.5), 1e-5),
    (A2C, "algorithm.learning_rate_schedule=constant", "total_timesteps=200", rate(0.4), 7e-4),
    (A2C, "algorithm.value_coef=0.3", "", of("vf_coef"), 0.3),
    (A2C, "algorithm.entropy_coef=0.2", "", of("ent_coef"), 0.2),
    (A2C, "algorithm.max_grad_norm=0.4", "", of("max_grad_norm"), 0.4),
    (A2C, "algorithm.rms_decay=0.9", "", optimizer("alpha"), 0.9),
    (A2C, "algorithm.rms_epsilon=0.1", "", optimizer("eps"), 0.1),
    (A2C, "algorithm.rmsprop=torch", "", lambda model: type(model.policy.optimizer),
     torch.optim.RMSprop),
    (TRPO, "algorithm.value_learning_rate=1e-5", "", rate(0.5), 1e-5),
    (TRPO, "algorithm.minibatch_size=32", "", of("batch_size"), 32),
    (TRPO, "algorithm.epochs=3", "", of("n_critic_updates"), 3),
    # Reacher has actions of two dimensions.
    (TRPO, "algorithm.delta=0.03", "", of("target_kl"), 0.015),
    (TRPO, "algorithm.damping=0.3", "", of("cg_damping"), 0.15),
    (TRPO, "algorithm.delta=0.03", "env=gymnasium env.id=CartPole-v1", of("target_kl"), 0.03),
    (TRPO, "algorithm.cg_iterations=7", "", of("cg_max_steps"), 7),
    (TRPO, "algorithm.backtracks=7", "", of("line_search_max_iter"), 7),
    (TRPO, "algorithm.backtrack_factor=0.6", "", of("line_search_shrinking_factor"), 0.6),
    (TRPO, "recipe.advantage_normalization=none", "", of("normalize_advantage"), False),
    *((name, "policy.hidden_sizes=[32,16]", "", layers, [[32, 16]] * 2) for name in (PPO, TRPO)),
    (PPO, "policy.activation=relu", "", lambda model: model.policy.activation_fn, torch.nn.ReLU),
    *((name, "recipe.adam_epsilon=0.1", "", optimizer("eps"), 0.1) for name in (PPO, TRPO)),
    (PPO, "recipe.initial_log_std=-1", "", lambda m: m.policy.log_std.tolist(), [-1.0, -1.0]),
    (PPO, FILTER, "", normalize("norm_obs"), True),
    (PPO, SCALE, FILTER, normalize("norm_reward"), True),
    (PPO, SCALE, "", normalize("norm_obs"), False),
    (PPO, "recipe.observation_clip=7", FILTER, normalize("clip_obs"), 7.0),
    (PPO, "recipe.reward_clip=7", SCALE, normalize("clip_reward"), 7.0),
    (PPO, "recipe.observation_epsilon=0.1", FILTER, normalize("epsilon"), 0.1),
    (PPO, "algorithm.gamma=0.8", SCALE, normalize("gamma"), 0.8),
    (PPO, "recipe.normalizer_count=2", FILTER, lambda m: normalize("obs_rms")(m).count, 2.0),
    (PPO, "recipe.normalizer_count=2", SCALE, lambda m: normalize("ret_rms")(m).count, 2.0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "further", "look", "expected"), MAPPED)
def test_a_key_arrives(name: str, change: str, further: str, look: Look, expected: Any) -> None:
    common = f"algorithm={name} {further}" + ("" if "env=" in further else " env=reacher")
    changed = look(model_of(variant(f"{common} {change}")))
    assert changed == (pytest.approx(expected) if isinstance(expected, float) else expected)
    if change in (FILTER, SCALE):
        return  # without which there may be no VecNormalize
    before = look(model_of(variant(common)))
    assert before != changed


def test_what_is_said_otherwise() -> None:
    """Keys whose other value changes nothing that a model of 1M steps shows."""
    a2c = model_of(variant("algorithm=sb3_a2c env=reacher"))
    assert type(a2c.policy.optimizer) is RMSpropTFLike
    null = variant(f"algorithm=sb3_ppo env=reacher {FILTER} recipe.observation_clip=null")
    assert model_of(null).get_vec_normalize_env().clip_obs == math.inf
    floor = variant("algorithm=sb3_ppo env=reacher recipe.end_of_run=floor total_timesteps=5000")
    assert floor.updates == 2
    assert variant("algorithm=sb3_ppo env=reacher total_timesteps=5000").updates == 3


def test_every_key_is_mapped_refused_or_of_no_meaning() -> None:
    recipe = {each.name for each in fields(RecipeConfig)} - {"name"}
    for name in (PPO, A2C, TRPO):
        mapped = {change.partition("=")[0] for _, change, *_ in MAPPED}
        own = {change.partition("=")[0] for by, change, *_ in MAPPED if by == name}
        missing = {f"algorithm.{key}" for key in keys(SETTINGS[name])} - own - {"algorithm.name"}
        assert not missing, missing
        of_recipe = {key.removeprefix("recipe.") for key in mapped if key.startswith("recipe.")}
        assert recipe == of_recipe | set(sb3.RECIPE)


def test_settings_are_those_of_ours() -> None:
    """Of every key that both have, so that a comparison compares the algorithms."""
    for name in (PPO, A2C, TRPO):
        theirs, ours = (
            compose("env=hopper", "recipe=sb3", f"algorithm={each}") for each in (name, name[4:])
        )
        common = set(keys(SETTINGS[name])) & set(keys(SETTINGS[name[4:]])) - {"name"}
        assert len(common) >= 8
        for key in common:
            assert getattr(theirs.algorithm, key) == getattr(ours.algorithm, key), key
        assert theirs.env == ours.env and theirs.recipe == ours.recipe


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("sb3_ppo objective=kl_fixed", "Stable-Baselines3 has L_CLIP; say objective=clip."),
        ("sb3_ppo objective=none", "objective.kind=none has no counterpart"),
        ("sb3_ppo recipe=paper", "observation_normalization=rollout (of recipe=paper) has no"),
        ("sb3_a2c recipe=ppo1", "say recipe=sb3."),
        ("sb3_trpo recipe=ppo2", "(of recipe=ppo2)"),
        ("sb3_ppo recipe=cleanrl", "(of recipe=cleanrl)"),
        ("sb3_ppo recipe.observation_normalization=rollout", "observation_normalization=none."),
        (f"sb3_ppo {FILTER} recipe.observation_variance_floor=0.1", "variance_floor=0.1 has no"),
        (f"sb3_ppo {SCALE} recipe.reward_accumulator_reset=never", "reset=episode."),
        ("sb3_ppo recipe.clip_actions=false", "recipe.clip_actions=false has no counterpart"),
        ("sb3_ppo recipe.time_limit=terminal", "say recipe.time_limit=bootstrap."),
        ("sb3_ppo recipe.initialization=normc", "say recipe.initialization=orthogonal."),
        ("sb3_a2c recipe.hidden_gain=1", "say recipe.hidden_gain=1.4142135623730951."),
        ("sb3_ppo recipe.policy_gain=1", "say recipe.policy_gain=0.01."),
        ("sb3_ppo recipe.value_gain=2", "say recipe.value_gain=1.0."),
        ("sb3_ppo recipe.advantage_normalization=rollout", "say recipe.advantage_normalization="),
        ("sb3_ppo recipe.advantage_std=biased", "say recipe.advantage_std=unbiased."),
        ("sb3_trpo recipe.advantage_epsilon=1e-5", "say recipe.advantage_epsilon=1e-08."),
        ("sb3_ppo recipe.value_clip=1 recipe.value_clip_pessimistic=true", "pessimistic=false."),
        ("sb3_ppo recipe.old_policy=recomputed", "say recipe.old_policy=stored."),
        ("sb3_ppo recipe.end_of_run=finished_episodes", "say recipe.end_of_run=reach."),
        ("sb3_ppo recipe.partial_minibatch=drop", "say recipe.partial_minibatch=keep."),
        ("sb3_ppo policy.shared=true", "policy.shared=true has no counterpart"),
        ("sb3_ppo engine=native", "engine=native, but no kernel computes algorithm=sb3_ppo"),
        ("sb3_ppo algorithm.minibatch_size=1", "only over 2 or more"),
        ("sb3_trpo algorithm.horizon=1 algorithm.minibatch_size=1", "algorithm.horizon=1"),
        ("sb3_ppo seed=4294967296", "must be below 4294967296"),
        ("sb3_ppo probe=interpolation", "probe=interpolation looks into PPO's update"),
    ],
)
def test_what_has_no_counterpart_is_refused(line: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        variant(f"env=hopper algorithm={line}")
    assert sentence in str(refusal.value) and "\n" not in str(refusal.value)


def test_what_has_no_effect_is_not_refused() -> None:
    """A floor without a filter, and an accumulator without scaling."""
    further = "recipe.observation_variance_floor=0.1 recipe.reward_accumulator_reset=never"
    variant(f"env=hopper algorithm=sb3_ppo {further}")
    variant("env=hopper algorithm=sb3_a2c recipe=sb3")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("sb3_ppo recipe.time_limit=terminal", "say recipe.time_limit=bootstrap."),
        ("sb3_trpo algorithm.kl_slack=1.5", "algorithm.kl_slack is not a key of algorithm=sb3_"),
        ("sb3_trpo algorithm.fisher_fraction=1", "is not a key of algorithm=sb3_trpo"),
        ("sb3_a2c recipe.max_grad_norm=1", "has no meaning for algorithm=sb3_a2c"),
        ("sb3_a2c objective=clip", "only algorithm=ppo or sb3_ppo takes an objective"),
    ],
)
def test_bad_input_is_one_sentence(cli: Cli, line: str, sentence: str) -> None:
    refused = cli("env=hopper", *f"algorithm={line}".split())
    assert refused.code == 2 and not cli.left()
    assert sentence in refused.err and refused.err.count("\n") == 1


def test_a_sweep_is_refused_whole(cli: Cli) -> None:
    refused = cli("-m", "env=reacher", "algorithm=ppo,sb3_ppo", "recipe=paper")
    assert refused.code == 2 and not cli.left()
    assert refused.err.startswith("In the job") and "algorithm=sb3_ppo" in refused.err


@pytest.mark.parametrize("package", sb3.PACKAGES)
def test_without_the_package_one_sentence_says_what_to_install(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    refused = cli("env=reacher", "algorithm=sb3_ppo", "budget=smoke")
    assert refused.code == 2 and not cli.left()
    assert refused.err == (
        "algorithm=sb3_ppo needs Stable-Baselines3, which is not installed: "
        "pip install 'ppo-repro[baselines]'.\n"
    )


def test_the_documentation_names_every_key() -> None:
    text = (CONF_DIR.parent / "docs" / "sb3.md").read_text(encoding="utf-8")
    for name in (PPO, A2C, TRPO):
        for key in set(keys(SETTINGS[name])) - {"name"}:
            assert re.search(rf"`(algorithm\.)?{key}[`=]", text), key
    for each in fields(RecipeConfig):
        assert each.name == "name" or f"`{each.name}`" in text, each.name
    values = yaml.safe_load((CONF_DIR / "recipe" / "sb3.yaml").read_text())["recipe"]
    for key, only in sb3.RECIPE.items():
        assert values.get(key) in only.values, key
