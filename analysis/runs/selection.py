"""Which runs enter a table, and the refusal to mix runs that differ in more than it shows."""

from __future__ import annotations

import contextlib
import difflib
import functools
import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.errors import AnalysisError
from analysis.published.paper import task_name
from analysis.runs.load import load_sweep
from analysis.runs.run import Run, Sweep
from repro.runs import store

_IDENTITY = ("total_timesteps", "algorithm", "recipe", "num_envs", "env_id")
# The same facts under the names they have in config.yaml.
_IDENTITY_IN_CONFIG = ("algorithm.name", "recipe.name", "env.num_envs", "env.id")
ENV = ("env", "env_id")


@dataclass(frozen=True)
class Absent:
    """What a run has no value for. `known` is False where it might have one: it left no config."""

    known: bool


@dataclass(frozen=True)
class Condition:
    """`key=text`, or `key!=text`; `text` may be a JSON value or a bare word."""

    key: str
    text: str
    equal: bool = True

    def __str__(self) -> str:
        return f"{self.key}{'' if self.equal else '!'}={self.text}"

    def holds(self, value: Any) -> bool:
        """Whether a run with this value is meant."""
        return not isinstance(value, Absent) and _equals(value, self.text) == self.equal


def selected(
    directories: Sequence[Path],
    where: Sequence[str] = (),
    budget: str | None = None,
    recipe: str | None = None,
) -> Sweep:
    """The sweep in `directories`, narrowed to the runs that meet every condition.

    A run that never started may not say whether it meets one: it is left out, and named in a note.
    A condition of `where` is `key=value` or `key!=value`, of a field of run.json or a dotted key of
    the configuration; `budget` and `recipe` are short for two of them.

    Raises:
        AnalysisError: as `load_sweep`, for a key that no run has, or when no run is left.
    """
    conditions = [parse_condition(text) for text in where]
    for key, value in {"budget": budget, "recipe": recipe}.items():
        conditions += [] if value is None else [Condition(key, value)]
    return functools.reduce(_narrow, conditions, load_sweep(*directories))


def parse_condition(text: str) -> Condition:
    """`key=value` or `key!=value` from the command line."""
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise AnalysisError(f"--where {text} has no KEY=VALUE: write it as --where recipe=paper.")
    return Condition(key.removesuffix("!"), value, equal=not key.endswith("!"))


def lookup(run: Run, key: str) -> Any:
    """A field of run.json, else a dotted key of the configuration, else `Absent`."""
    if key in run.info:
        return run.info[key]
    node: Any = run.config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return Absent(known=run.config is not None)
        node = node[part]
    return node


def _narrow(sweep: Sweep, condition: Condition) -> Sweep:
    values = [(run, lookup(run, condition.key)) for run in sweep.runs]
    there = sorted({show(value) for _, value in values if not isinstance(value, Absent)})
    if not there:
        raise AnalysisError(f"No run has a {condition.key}{_near_key(sweep.runs, condition.key)}.")
    kept = [run for run, value in values if condition.holds(value)]
    if not kept:
        raise AnalysisError(f"No run has {condition}: the runs there have {', '.join(there)}.")
    lost = [run.run_id for run, v in values if isinstance(v, Absent) and not v.known]
    note = (
        f"Not counted as expected: {len(lost)} runs never started and left no configuration, so "
        f"whether they have {condition} is unknown ({', '.join(lost)})."
    )
    return sweep.narrowed(kept, note if lost else "")


def _equals(value: Any, text: str) -> bool:
    with contextlib.suppress(json.JSONDecodeError, RecursionError):
        wanted = json.loads(text)
        # In Python True == 1; in a configuration it is not.
        if value == wanted and isinstance(value, bool) == isinstance(wanted, bool):
            return True
    return str(value) == text


def show(value: Any) -> str:
    """A value as `--where` takes it."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _near_key(runs: Iterable[Run], key: str) -> str:
    keys = sorted({name for run in runs for name in (*run.info, *dict(_flat(run.config or {})))})
    match = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    return f" (did you mean {match[0]}?)" if match else ""


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def facts(run: Run) -> dict[str, str]:
    """What the result of `run` depends on, as far as it is known, its seed apart: key -> value."""
    known = {key: show(run.info[key]) for key in _IDENTITY}
    if run.config is not None:
        known["schedule_timesteps"] = show(schedule_end(run))
    for key, value in _flat(run.config or {}):
        placed = under(key, (*store.PLACEMENT, "seed"))
        if not placed and key not in (*known, *_IDENTITY_IN_CONFIG):
            known[key] = show(value)
    return known


def schedule_end(run: Run) -> int:
    """The step at which what is annealed ends: that of the run, or of the longer it begins."""
    return int((run.config or {}).get("schedule_timesteps") or run.steps)


def under(key: str, roots: Iterable[str]) -> bool:
    """Whether `key` is one of `roots`, or lies below one."""
    return any(key == root or key.startswith(f"{root}.") for root in roots)


def check_equal(
    runs: Iterable[Run], group: Callable[[Run], Hashable], counts: Callable[[str], bool]
) -> None:
    """Refuse runs of one group that differ in a key that `counts`.

    Raises:
        AnalysisError: naming the key, its values, and the option that chooses one.
    """
    groups: dict[Hashable, dict[str, Counter[str]]] = {}
    for run in runs:
        seen = groups.setdefault(group(run), {})
        for key, value in facts(run).items():
            if counts(key):
                seen.setdefault(key, Counter())[value] += 1
    for seen in groups.values():
        mixed = sorted(key for key, values in seen.items() if len(values) > 1)
        for key in (*(key for key in _IDENTITY if key in mixed), *mixed):
            raise AnalysisError(_mixed(key, seen[key]))


def check_one_per_seed(runs: Iterable[Run], cell: Callable[[Run], tuple[Hashable, ...]]) -> None:
    """Refuse two configurations of one cell and seed, whose difference nothing else has shown."""
    seen: dict[Hashable, Run] = {}
    for run in runs:
        other = seen.setdefault((*cell(run), run.info["seed"]), run)
        if other is not run:
            first, second = other.info["config_hash"], run.info["config_hash"]
            raise AnalysisError(
                f"{run.task} {run.row} seed {run.info['seed']} was run under two configurations: "
                f"choose one with --where config_hash={first} or --where config_hash={second}, "
                "or by the key in which they differ."
            )


def check_table(runs: Sequence[Run]) -> None:
    """Refuse a table that would mix runs differing in more than objective, task and seed."""
    check_equal(runs, lambda run: None, lambda key: not under(key, (*ENV, "objective")))
    check_rows(runs)
    check_one_per_seed(runs, lambda run: (run.task, run.row))


def check_rows(runs: Sequence[Run]) -> None:
    """Refuse two versions of a task, and two settings of an objective under one name."""
    check_equal(runs, lambda run: task_name(run.task), lambda key: under(key, ENV))
    check_equal(runs, lambda run: run.row, lambda key: under(key, ("objective",)))


def _mixed(key: str, seen: Counter[str]) -> str:
    counts = ", ".join(f"{value} in {count} runs" for value, count in sorted(seen.items()))
    option = "--recipe " if key == "recipe" else f"--where {key}="
    budget = ", or with --budget," if key == "total_timesteps" else ""
    return (
        f"These runs cannot share a table, for {key} differs ({counts}): choose one{budget} with "
        f"{option}{min(seen)}."
    )
