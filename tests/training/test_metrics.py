"""Names of logged metrics, and what tells runs apart in W&B and TensorBoard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from repro.language.compose import compose as language
from repro.runs import schema
from repro.training import metrics
from tests.helpers.configs import Compose

PAGE = Path(__file__).parents[2] / "docs" / "loggers.md"


def test_a_group_is_equal_but_for_seeds(config: Compose) -> None:
    first = config("env=hopper", "seed=0")
    others = [["seed=0", "algorithm.gamma=0.9"], ["objective=none"], ["recipe=ppo1"]]
    assert metrics.group(config("env=hopper", "seed=1", "budget=smoke")) != metrics.group(first)
    assert metrics.group(config("env=hopper", "seed=1")) == metrics.group(first)
    groups = {metrics.group(config("env=hopper", *other)) for other in others}
    assert len(groups | {metrics.group(first)}) == 4


def test_names_are_those_of_the_page() -> None:
    page = PAGE.read_text()
    rows = re.findall(r"^\| (\S+) \| `(\S+)` \| (\S+) \| (\S+) \| ", page, re.MULTILINE)
    named = {column.strip("`"): name for column, name, *_ in rows if column != "-"}
    assert named == metrics.names("control")
    derived = [name for column, name, *_ in rows if column == "-"]
    assert derived == [metrics.RETURN, metrics.LENGTH, metrics.SPS]
    # Of CleanRL's ppo_continuous_action.py at 016ca33, all but `losses/old_approx_kl`.
    theirs = "episodic_return episodic_length SPS learning_rate"
    losses = "policy_loss value_loss entropy approx_kl clipfrac explained_variance"
    cleanrl = {f"charts/{each}" for each in theirs.split()} | {"global_step"}
    cleanrl |= {f"losses/{each}" for each in losses.split()}
    for _, name, other, _ in rows:
        assert other.strip("`") == (name if name in cleanrl else "-"), name
    assert cleanrl <= {name for _, name, *_ in rows}


def test_names_of_sb3_on_the_page_are_those_that_it_records() -> None:
    sb3 = Path(pytest.importorskip("stable_baselines3").__file__).parent
    text = "".join(
        (sb3 / name).read_text()
        for name in ("ppo/ppo.py", "common/on_policy_algorithm.py", "common/base_class.py")
    )
    page = PAGE.read_text()
    found = set(re.findall(r"\| `((?:train|rollout|time)/\w+)` \|", page)) - {
        name for name in metrics.NAMES.values()
    }
    assert len(found) > 10
    assert found <= set(re.findall(r'logger\.record\("([\w/]+)"', text))


@pytest.mark.parametrize("kind", list(schema.SCHEMAS))
def test_every_column_has_a_name_of_its_own(kind: str) -> None:
    names = metrics.names(kind)
    assert list(names) == list(schema.SCHEMAS[kind]["progress"])
    assert len(set(names.values())) == len(names)
    assert all("/" in name for column, name in names.items() if column != "step")


def test_language_models_have_groups_and_names_too() -> None:
    runs = language(["stage=ppo", "seed=0,1", "kl.beta=0.05,0.5"], sweep=True).configs
    groups = {
        config.kl.beta: {metrics.group(each) for each in runs if each.kl == config.kl}
        for config in runs
    }
    assert len(runs) == 4 and [len(each) for each in groups.values()] == [1, 1]
    assert groups[0.05] != groups[0.5]
    assert {metrics.identity(each)["seed"] for each in runs} == {0, 1}
    assert all(metrics.identity(each)["exp_name"].startswith("ppo_") for each in runs)
    assert metrics.names("policy")["kl_old"] == metrics.names("control")["kl"]
    assert metrics.names("policy")["kl"] == "language/kl"
