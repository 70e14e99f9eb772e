"""Options with values of their own, keys of swept options, and what a sweep of them trains."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.config import grammar
from repro.config.compose import compose
from repro.config.schema import Config
from repro.errors import ConfigError
from repro.sweeps import grid, packs
from tests.helpers.sweeps import composed

STUDY = "objective='clip(0.1,0.2,0.3),kl_adaptive(0.003,0.01),kl_fixed(1,3)'"
LABELS = ["clip_0.1", "clip_0.2", "clip_0.3", "kl_adaptive_0.003", "kl_adaptive_0.01"]
LABELS += ["kl_fixed_1", "kl_fixed_3"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("objective=clip(0.1,0.2)", ["clip epsilon=0.1", "clip epsilon=0.2"]),
        ("objective='clip(0.1),none'", ["clip epsilon=0.1", "none"]),
        ("objective=choice(clip(0.1),kl_fixed)", ["clip epsilon=0.1", "kl_fixed"]),
        ("objective=clip( 0.1 , 0.2 ) , none", ["clip epsilon=0.1", "clip epsilon=0.2", "none"]),
        ("objective=kl_fixed(range(1,3))", ["kl_fixed beta=1", "kl_fixed beta=2"]),
        (
            "objective=kl_adaptive(0.01,0.03,beta=1,2)",
            [f"kl_adaptive target_kl={d} beta={b}" for d in (0.01, 0.03) for b in (1, 2)],
        ),
        ("objective=table1/clip_0.1(epsilon=0.3)", ["table1/clip_0.1 epsilon=0.3"]),
        ("policy=mlp(hidden_sizes=[8,8],[4])", ["mlp hidden_sizes=[8,8]", "mlp hidden_sizes=[4]"]),
        ("algorithm=ppo(epochs=3),vpg", ["ppo epochs=3", "vpg"]),
        ("objective=clip()", ["clip"]),
    ],
)
def test_what_an_option_with_values_stands_for(line: str, expected: list[str]) -> None:
    group = line.partition("=")[0]
    found = grammar.alternatives(line)
    assert found == [
        (f"{group}={option}", *(f"{group}.{value}" for value in values))
        for option, *values in (each.split() for each in expected)
    ]
    (sweep,) = grammar.parse(grammar.spelled_out([line])[:1])
    jobs = sweep.sweep_string_iterator() if sweep.is_sweep_override() else []
    for job, alternative in zip(jobs, found, strict=bool(jobs)):
        assert grammar.decoded([f"{group}={job}"]) == list(alternative)


@pytest.mark.parametrize(
    "line", ["objective=clip,none", "objective=glob(*)", "seed=range(0,3)", "runs_dir=a(b)", "x"]
)
def test_hydras_own_grammar_stays_hydras(line: str) -> None:
    assert grammar.alternatives(line) is None and grammar.spelled_out([line]) == [line]


values = st.floats(1e-3, 0.9).map(str)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["clip", "kl_fixed"]), st.lists(values, max_size=3))))
def test_each_value_is_one_job(own: list[tuple[str, list[str]]]) -> None:
    line = "objective=" + ",".join(f"{kind}({','.join(each)})" for kind, each in own)
    found = grammar.alternatives(line) or []
    assert len(found) == sum(max(1, len(each)) for _, each in own)
    given_values = itertools.chain(*(each for _, each in own))
    assert [float(job[1].partition("=")[2]) for job in found if len(job) > 1] == [
        float(each) for each in given_values
    ]


@pytest.mark.parametrize(
    ("line", "culprit"),
    [
        ("objective=clip(0.1", "a ) is missing"),
        ("objective=clip(0.1,)", "empty place"),
        ("objective=clp(0.1)", "did you mean clip?"),
        ("objective=clip(epslon=0.1)", "objective.epslon is not a key"),
        ("objective=none(0.1)", "name the key of this value"),
        ("objective=table1/clip_0.1(0.3)", "name the key of this value"),
        ("recipe=ppo2(0.1)", "name the key of this value, as in ppo2(KEY=0.1)"),
        ("objective=clip(1.5),none", "objective.epsilon=1.5 must be above 0 and below 1"),
        ("objective=clip(0.1,0.1)", "are the same run"),
        ("objective=clip(0.1),none objective.epsilon=0.3", "both set objective.epsilon"),
        ("objective=clip(0.1) objective.epsilon=0.3", "both set objective.epsilon"),
        ("objective=clip,kl_fixed objective.beta=2", "In the job env=hopper objective=clip"),
    ],
)
def test_what_cannot_be_is_refused(line: str, culprit: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        grid.compose(["env=hopper", *line.split()])
    assert culprit in str(refusal.value) and "\n" not in str(refusal.value)


def labels(configs: list[Config]) -> list[str]:
    return list(dict.fromkeys(config.objective_label for config in configs))


def test_a_study_of_objectives_at_values_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    axes = ("env=hopper,reacher", STUDY, "seed=0,1,2", "budget=quick")
    configs = composed(monkeypatch, *axes)
    assert len(configs) == len({config.run_id for config in configs}) == 42
    assert labels(configs) == LABELS
    alone = compose("env=hopper", "objective=kl_adaptive(0.003)", "seed=1", "budget=quick")
    assert alone.run_id in {config.run_id for config in configs}
    assert len(packs.group(configs)) == 2, "one for each task"
    here = grid.compose(axes)
    assert here.swept and [config.run_id for config in here.batches[0]] == [
        config.run_id for config in configs
    ]
    assert not grid.compose(["env=hopper", "objective='clip(0.1)'"]).swept


def test_an_experiment_file_may_define_such_a_grid(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "experiment").mkdir()
    text = STUDY.replace("objective=", "objective: ").replace("'", "")
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [override /env: reacher]\n"
        f"hydra:\n  sweeper:\n    params:\n      {text}\n      seed: 0,1\n"
    )
    mine = ("--config-dir", str(tmp_path), "+experiment=mine")
    assert labels(composed(monkeypatch, *mine)) == LABELS
    fewer = composed(monkeypatch, *mine, "objective='clip(0.25),none'")
    assert labels(fewer) == ["clip_0.25", "none"] and len(fewer) == 4
    assert len(grid.compose([mine[2]], str(tmp_path)).batches[0]) == 14


def test_a_key_that_only_the_swept_options_have(monkeypatch: pytest.MonkeyPatch) -> None:
    both = composed(monkeypatch, "env=hopper", "objective=kl_fixed,kl_adaptive", "objective.beta=2")
    assert [config.objective["beta"] for config in both] == [2, 2]
    rate = "algorithm.value_learning_rate=0.002"
    critics = composed(monkeypatch, "env=hopper", "algorithm=trpo,vpg", rate)
    assert [config.algorithm.value_learning_rate for config in critics] == [0.002, 0.002]
    games = ("env=atari", "env.game=pong,breakout", "env.atari.frame_skip=3")
    skips = [each.env.atari.frame_skip for each in composed(monkeypatch, *games) if each.env.atari]
    assert skips == [3, 3]
    sizes = composed(monkeypatch, "env=hopper", "policy.hidden_sizes=[8,8]", "seed=0,1")
    assert [config.policy.hidden_sizes for config in sizes] == [[8, 8], [8, 8]]
    unclipped = ("env=hopper", "recipe=sb3", "recipe.max_grad_norm=null", "seed=0,1")
    assert [each.recipe.max_grad_norm for each in composed(monkeypatch, *unclipped)] == [None, None]
    assert [each.recipe.max_grad_norm for each in grid.compose(unclipped).batches[0]] == [None] * 2
