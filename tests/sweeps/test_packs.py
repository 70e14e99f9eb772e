"""How runs are dealt out to workers."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import pytest

from repro.config.schema import Config
from repro.sweeps import packs
from tests.helpers.configs import Compose, compose

ENVS = (  # Table 1's
    *("half_cheetah", "hopper", "inverted_double_pendulum", "inverted_pendulum"),
    *("reacher", "swimmer", "walker2d"),
)


@pytest.fixture(scope="module")
def tasks() -> list[Config]:

    return [compose(f"env={env}") for env in ENVS]


def grid(tasks: list[Config], runs: int) -> list[Config]:
    """`runs` seeds of each task, the tasks taking turns."""
    return [replace(task, seed=seed) for seed in range(runs) for task in tasks]


def sizes(plan: list[packs.Pack]) -> list[int]:
    return [len(pack.configs) for pack in plan]


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 64, 500])
@pytest.mark.parametrize("groups", [1, 2, 7])
@pytest.mark.parametrize("runs", [1, 5, 33])
def test_every_run_is_in_one_pack_of_its_own_kind(
    tasks: list[Config], workers: int, groups: int, runs: int
) -> None:
    configs = grid(tasks[:groups], runs)
    plan = packs.plan(configs, workers)
    assert Counter(c.run_id for pack in plan for c in pack.configs) == Counter(
        c.run_id for c in configs
    )
    assert all(len({config.pack_key for config in pack.configs}) == 1 for pack in plan)
    by_task: dict[str, list[int]] = {}
    for pack in plan:
        by_task.setdefault(pack.configs[0].env.id, []).append(len(pack.configs))
    assert all(max(parts) - min(parts) <= 1 for parts in by_task.values())


def test_plans_by_hand(tasks: list[Config]) -> None:
    assert sizes(packs.plan(grid(tasks[:1], 33), 1)) == [33]
    assert sizes(packs.plan(grid(tasks[:1], 33), 2)) == [17, 16]
    assert sizes(packs.plan(grid(tasks[:1], 33), 4)) == [9, 8, 8, 8]
    assert sizes(packs.plan(grid(tasks[:1], 3), 8)) == [1, 1, 1]
    # A step of Hopper takes twice as long as one of HalfCheetah: halves of both, Hopper's first.
    assert [task.env.name for task in tasks[:2]] == ["half_cheetah", "hopper"]
    halves = packs.plan(grid(tasks[:2], 33), 2)
    assert [pack.configs[0].env.name for pack in halves] == ["hopper"] * 2 + ["half_cheetah"] * 2
    assert sizes(halves) == [17, 16, 17, 16]


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_workers_end_together(tasks: list[Config], workers: int) -> None:
    plan = packs.plan(grid(tasks, 33), workers)
    costs = [pack.cost for pack in plan]
    assert packs.makespan(costs, workers) < 1.15 * sum(costs) / workers


def test_a_pack_can_be_kept_small(tasks: list[Config]) -> None:
    assert sizes(packs.plan(grid(tasks[:1], 33), 1, max_pack=10)) == [9, 8, 8, 8]
    assert max(sizes(packs.plan(grid(tasks, 33), 2, max_pack=16))) <= 16


def test_the_longest_pack_starts_first(tasks: list[Config]) -> None:
    short = [replace(config, total_timesteps=4096) for config in grid(tasks[:1], 4)]
    plan = packs.plan([*short, *grid(tasks[1:2], 4)], 1)
    assert [pack.configs[0].total_timesteps for pack in plan] == [1_000_000, 4096]


def test_makespan() -> None:
    assert packs.makespan([3, 3, 2, 2, 2], 2) == 7
    assert packs.makespan([3, 3, 2, 2, 2], 5) == 3
    for costs in itertools.product((1, 2, 5), repeat=4):
        assert max(sum(costs) / 2, max(costs)) <= packs.makespan(costs, 2) <= sum(costs)


def test_steps_are_those_that_will_be_taken(config: Compose) -> None:
    pack = packs.Pack((config("env=hopper"), config("env=hopper", "seed=1")))
    assert pack.steps == 2 * 488 * 2048
