"""The kernels of the demo's page, in node, against Python."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from demo import build
from repro.learning import advantages
from tests.helpers.configs import compose
from tests.helpers.engines import CARTPOLE
from tests.helpers.learners import make_learners

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed: apt install nodejs")

N, T, B = 8, 64, 512
SETTINGS = {
    **{"epsilon": 0.2, "gamma": 0.98, "lambda": 0.95, "learning_rate": 10**-2.5},
    **{"clipping": 1, "bootstrap": 1, "total_steps": 150_000, "epochs": 8},
}
SIZES = (
    *("recipe=sb3", "policy.hidden_sizes=[32,32]", f"env.num_envs={N}", f"algorithm.horizon={T}"),
    *("algorithm.minibatch_size=256", "algorithm.epochs=8", "algorithm.learning_rate=3e-3"),
    *("algorithm.gae_lambda=0.95", "algorithm.gamma=0.98"),
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What demo/replay.js makes of a case, with the kernels of the committed page."""
    folder = tmp_path_factory.mktemp("node")
    kernels = folder / "kernels.wasm"
    kernels.write_bytes(build.committed_kernels())

    def call(what: str, **given: Any) -> Any:
        case = folder / "case.json"
        case.write_text(json.dumps({"what": what, "settings": SETTINGS, **given}))
        assert NODE is not None
        command = [NODE, str(build.HERE / "replay.js"), str(kernels), str(case)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


@pytest.mark.parametrize("objective", ["objective=clip", "objective=none"])
def test_an_update_of_python_replays(node: Any, objective: str) -> None:
    """After two iterations, so that moments, ratios and clipped samples are real."""
    ppo = make_learners([compose(*CARTPOLE, *SIZES, objective, "total_timesteps=51200")])
    ppo.iterate(), ppo.iterate()
    dumped: dict[str, Any] = {}
    optimize = ppo.optimize

    def listen(batch: Any, surrogate: Any, rates: Any) -> Any:
        samples = batch.samples()
        names = ("inputs", "actions", "log_prob", "values", "advantages", "targets")
        arrays = {name: samples[name] for name in names} | {"logits": batch.old.logits}
        arrays |= {"parameters": ppo.parameters.flat, "mean": ppo.adam.mean}
        arrays |= {"variance": ppo.adam.variance, "clock": ppo.adam.steps}
        dumped["arrays"] = {name: x.flatten().tolist() for name, x in arrays.items()}
        dumped["learning_rate"] = rates[0]
        return optimize(batch, surrogate, rates)

    drawn: list[Any] = []
    orders = ppo.orders

    def draw(samples: int) -> Any:
        drawn.append(orders(samples))
        return drawn[-1]

    ppo.optimize, ppo.orders = listen, draw
    ppo.iterate()
    before = np.array(dumped["arrays"]["parameters"])
    settings = SETTINGS | {"clipping": int(objective == "objective=clip")}
    found = node("update", **dumped, orders=[x[0].tolist() for x in drawn], settings=settings)
    expected = ppo.parameters.flat[0].numpy()
    assert len(drawn) == 8 and np.abs(expected - before).max() > 1e-2
    np.testing.assert_allclose(found["parameters"], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found["mean"], ppo.adam.mean[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found["variance"], ppo.adam.variance[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("bootstrap", [1, 0])
def test_advantages(node: Any, bootstrap: int) -> None:
    rng = np.random.default_rng(0)
    values, following = rng.standard_normal((2, T, N)).astype(np.float32)
    ends = rng.choice(3, (T, N), p=[0.8, 0.1, 0.1])  # goes on, terminated, truncated
    arrays = {"values": values, "next_values": following, "ends": ends}
    settings = SETTINGS | {"bootstrap": bootstrap}
    plain = {name: x.flatten().tolist() for name, x in arrays.items()}
    found = node("estimate", arrays=plain, settings=settings)
    discounts = np.where((ends == 1) | ((ends == 2) & (bootstrap == 0)), 0, 0.98)
    columns = [np.ones((T, N)), values, following, discounts, ends > 0]
    tensors = [torch.from_numpy(x)[None] for x in columns]
    expected = advantages.gae(*tensors, gae_lambda=torch.tensor([0.95], dtype=torch.float64))
    np.testing.assert_allclose(found, expected.flatten(), rtol=1e-5, atol=1e-5)


def test_cartpole_is_gymnasium_s(node: Any) -> None:
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=0)
    plain: Any = env.unwrapped
    state, states, ended = list(plain.state), [], False
    actions = np.random.default_rng(1).integers(2, size=200).tolist()
    for action in actions:
        ended = env.step(action)[2]
        states.append([*plain.state, float(ended)])
        if ended:
            break
    found = node("steps", state=state, actions=actions[: len(states)])
    assert ended and len(found) > 10
    np.testing.assert_allclose(found, states, rtol=0, atol=1e-12)


def test_the_page_is_made_of_these_sources() -> None:
    assert build.page(build.committed_kernels()) == build.PAGE.read_text(encoding="utf-8"), (
        "docs/demo/index.html is older than its sources: make demo"
    )


def test_it_learns_at_its_defaults(node: Any) -> None:
    cases = [{"seed": 0, "settings": SETTINGS}]
    (run,) = node("train", cases=cases, stop=True)
    assert run["solved"] and run["solved"]["steps"] < 150_000


@pytest.mark.slow
def test_every_seed_learns_and_the_presets_do_what_the_page_says(node: Any) -> None:
    def runs(**changed: Any) -> Any:
        settings = SETTINGS | changed
        return node("train", cases=[{"seed": s, "settings": settings} for s in range(5)])

    def soon(run: Any) -> bool:
        return run["solved"] is not None and run["solved"]["steps"] < 75_000

    assert all(soon(run) for run in runs())
    assert all(soon(run) for run in runs(epochs=30))
    unclipped = runs(clipping=0, epochs=30)
    assert not any(soon(run) for run in unclipped)
    assert all(max(x["kl"] for x in run["curve"]) > 1 for run in unclipped)
    assert not any(soon(run) for run in runs(**{"lambda": 0}))
    assert not any(run["solved"] for run in runs(gamma=0.5))
