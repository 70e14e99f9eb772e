"""Which switches of the recipe the runs differ in, and which of the variants is the base."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.errors import AnalysisError
from analysis.runs import selection
from analysis.runs.run import Run
from analysis.runs.selection import ENV, facts, under

NAME = "recipe"  # the key of a recipe's name; its switches lie below it
Switches = tuple[tuple[str, str], ...]  # key and value, of the keys in which the runs differ
# What a reader calls some values; any other is written as `key = value`.
_WORDS = {
    ("recipe.observation_normalization", "none"): "no observation filter",
    ("recipe.learning_rate_schedule", "linear"): "step size annealed",
    ("recipe.epsilon_schedule", "linear"): "ε annealed",
    ("recipe.clip_actions", "true"): "actions clipped",
    ("recipe.clip_actions", "false"): "actions not clipped",
    ("recipe.time_limit", "bootstrap"): "time limits bootstrapped",
    ("recipe.time_limit", "terminal"): "time limits terminal",
}


@dataclass(frozen=True)
class Variant:
    """One setting of the switches."""

    name: str  # for tables and figures: `actions clipped`
    changed: Switches  # those that are not as in the base of the same recipe


def variants(runs: Sequence[Run], base: Sequence[str]) -> dict[str, Variant]:
    """The variant of each run, by its id; the base is the first variant in the order.

    The base has the most frequent value of every switch, as one factor at a time makes it, or meets
    the `KEY=VALUE` conditions of `base`. All runs have configurations.

    Raises:
        AnalysisError: where nothing differs, or the base is not determined.
    """
    switches = _switches(runs)
    every = sorted(set(switches.values()))
    if len(every) < 2:
        raise AnalysisError(
            "These runs share all switches of the recipe: give --runs a directory in which a "
            "recipe.* key differs."
        )
    first = _chosen(runs, switches, base) if base else _most_frequent(every)
    if first is None:
        keys = ", ".join(key for key, _ in every[0])
        raise AnalysisError(
            f"No variant has the most frequent value of each switch ({keys}): name the base with "
            f"--base KEY=VALUE, such as --base {'='.join(every[0][0])}."
        )
    base_recipe = next(str(r.info[NAME]) for r in runs if switches[r.run_id] == first)
    named = {variant: _variant(variant, every, first) for variant in every}
    named[first] = replace(named[first], name=f"{NAME}={base_recipe}")
    order = sorted(runs, key=lambda run: (switches[run.run_id] != first, switches[run.run_id]))
    return {run.run_id: named[switches[run.run_id]] for run in order}


def check_variants(runs: Sequence[Run], by_run: Mapping[str, Variant]) -> None:
    """Refuse runs that differ in more than task, seed, objective and the recipe's switches."""
    names = {run.info[NAME] for run in runs}
    free = (NAME, *ENV, "objective", *(["algorithm"] if len(names) > 1 else []))
    selection.check_equal(runs, lambda run: None, lambda key: not under(key, free))
    selection.check_equal(runs, lambda run: run.info[NAME], lambda key: under(key, ("algorithm",)))
    selection.check_rows(runs)
    selection.check_one_per_seed(runs, lambda run: (by_run[run.run_id].name, run.task, run.row))


def _switches(runs: Sequence[Run]) -> dict[str, Switches]:
    """By run, the recipe's keys that not all runs share, with their values; "" for none."""
    every = {run.run_id: facts(run) for run in runs}
    keys = sorted({key for known in every.values() for key in known if under(key, (NAME,))})
    differing = [key for key in keys if len({known.get(key, "") for known in every.values()}) > 1]
    return {
        name: tuple((key, known.get(key, "")) for key in differing) for name, known in every.items()
    }


def _chosen(runs: Sequence[Run], switches: Mapping[str, Switches], base: Sequence[str]) -> Switches:
    conditions = [selection.parse_condition(text) for text in base]
    met = [run for run in runs if all(c.holds(selection.lookup(run, c.key)) for c in conditions)]
    found = {switches[run.run_id] for run in met}
    if len(found) == 1:
        return found.pop()
    shown = " ".join(f"--base {condition}" for condition in conditions)
    count = "no variant" if not found else f"{len(found)} variants"
    raise AnalysisError(f"{shown} is met by {count}: give conditions that one variant meets.")


def _most_frequent(every: Sequence[Switches]) -> Switches | None:
    """The variant that has the most frequent value of each key, where there is one."""
    modes = [statistics.multimode(values) for values in zip(*every, strict=True)]
    best = tuple(values[0] for values in modes)
    return best if best in every and all(len(values) == 1 for values in modes) else None


def _variant(variant: Switches, every: Sequence[Switches], base: Switches) -> Variant:
    recipe = dict(variant).get(NAME)
    siblings = [other for other in every if dict(other).get(NAME) == recipe]
    usual = dict((base if base in siblings else _most_frequent(siblings)) or ())
    changed = tuple((key, value) for key, value in variant if usual.get(key) != value)
    words = [] if recipe is None else [f"{NAME}={recipe}"]
    for key, value in changed:
        if key != NAME:
            words.append(_WORDS.get((key, value), f"{key.removeprefix('recipe.')} = {value}"))
    return Variant(", ".join(words), changed)
