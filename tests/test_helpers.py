"""What the tests themselves rest on."""

from __future__ import annotations

import pytest

from repro.config.compose import compose as compose_anew
from repro.errors import ConfigError
from tests.helpers.configs import compose


@pytest.mark.parametrize(
    "line",
    [
        "env=hopper",
        "env=hopper seed=3 runs_dir=elsewhere",
        "env=reacher recipe=ppo2 algorithm.learning_rate=1e-5 objective.epsilon=1e-3 seed=1",
        "env=gymnasium env.id=CartPole-v1 recipe=sb3 env.num_envs=4 policy.hidden_sizes=[8,8]",
        "env=atari env.game=pong env.atari.frame_skip=3 resume=never",
        "env=hopper algorithm=trpo algorithm.delta=0.3 total_timesteps=20480",
        "env=hopper objective=table1/clip_0.1 recipe.value_clip=0.2 recipe.max_grad_norm=null",
        "env=half_cheetah budget=smoke algorithm=cem checkpoint.keep=3 progress=false",
        "env=hopper algorithm=sb3_ppo algorithm.horizon=256",
        "+experiment=figure2 algorithm.horizon=512",
    ],
)
def test_configurations_are_composed_as_by_the_command_line(line: str) -> None:
    words = line.split()
    composed, anew = compose(*words), compose_anew(*words)
    assert composed == anew and composed.hash == anew.hash
    composed.seed, composed.env.id = 99, "changed"
    composed.objective["epsilon"] = 99.0
    assert compose(*words) == anew, "what a test changes is its own"


@pytest.mark.parametrize("wrong", ["algorithm.horizn=64", "algorithm.gamma=2", "seed=-1"])
def test_what_is_wrong_is_refused_as_by_the_command_line(wrong: str) -> None:
    words = ("env=hopper", wrong)
    with pytest.raises(ConfigError) as expected:
        compose_anew(*words)
    with pytest.raises(ConfigError) as found:
        compose(*words)
    assert str(found.value) == str(expected.value)
