"""`curves`: training return against environment steps, one panel a task, one line a setting."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.cli import (
    Command,
    Output,
    add_bootstrap_arguments,
    add_reference_argument,
    add_runs_arguments,
    integer_from,
)
from analysis.drawing import curves as curve_figure
from analysis.drawing import text as render
from analysis.errors import AnalysisError
from analysis.published.paper import paper_figure3
from analysis.reports.table1.text import provenance
from analysis.runs.load import Run, Sweep, hole_in, hole_of, read_episodes
from analysis.runs.selection import (
    Absent,
    check_equal,
    check_one_per_seed,
    check_table,
    lookup,
    selected_sweep,
    show,
    task_name,
    under,
)
from analysis.runs.until import add_until_argument, cut, schedules
from analysis.statistics.bootstrap import FloatArray, curve_interval, stream

COLUMNS = ("task", "label", "step", "mean", "ci_low", "ci_high", "n_runs", "n_expected")
BY_OBJECTIVE = "objective_label"
# A choice that lines are told apart by brings others with it: a recipe also sets c1, say.
_BRINGS: Mapping[str, tuple[str, ...]] = {
    "recipe": ("recipe", "algorithm"),
    "budget": ("total_timesteps", "schedule_timesteps", "algorithm"),
    "algorithm": ("algorithm", "recipe"),
    "policy.name": ("policy",),
}


def smoothed(steps: FloatArray, returns: FloatArray, grid: FloatArray, episodes: int) -> FloatArray:
    """Mean return of the last `episodes` episodes that had ended by each grid step.

    Args:
        steps: `[E]`, ascending: environment step at which each episode ended.
        returns: `[E]`.
        grid: `[G]` environment steps.
        episodes: 100; fewer are averaged while there are fewer.

    Returns:
        `[G]`, NaN before the first episode has ended.
    """
    last = np.searchsorted(steps, grid, side="right")
    first = np.maximum(last - episodes, 0)
    sums = np.concatenate([[0.0], np.cumsum(returns)])
    with np.errstate(invalid="ignore"):
        return np.asarray((sums[last] - sums[first]) / (last - first))


@dataclass(frozen=True)
class Line:
    """One setting in one task. `curves` is `[n_runs, G]`, one smoothed curve a finished run."""

    task: str
    label: str
    total: int
    grid: FloatArray
    curves: FloatArray
    n_expected: int


def line_table(line: Line, replicates: int, seed: int) -> pd.DataFrame:
    """`COLUMNS` of one line, one row a grid step.

    `n_runs` counts the runs that had ended an episode by then. While it is less than the finished
    runs, mean and interval are blank: a mean over changing runs would draw a jump that no run made.
    """
    there = np.isfinite(line.curves).sum(axis=0)
    full = (there == len(line.curves)) & (there > 0)
    table = pd.DataFrame(
        {
            "task": line.task,
            "label": line.label,
            "step": line.grid.astype(np.int64),
            "mean": np.nan,
            "ci_low": np.nan,
            "ci_high": np.nan,
            "n_runs": there,
            "n_expected": line.n_expected,
        }
    )
    if full.any():
        curves = line.curves[:, full]
        low, high = curve_interval(curves, replicates, stream(seed, line.task, line.label))
        table.loc[full, ["mean", "ci_low", "ci_high"]] = np.stack(
            [curves.mean(axis=0), low, high], 1
        )
    return table


def label_of(by: str) -> Callable[[Run], str]:
    """The line that a run belongs to, by a run.json field or a dotted key of its configuration."""

    def label(run: Run) -> str:
        value = lookup(run, by)
        return "" if isinstance(value, Absent) else show(value)

    return label


def check_lines(runs: Sequence[Run], by: str) -> None:
    """Refuse lines that differ in more than `by` (and what it brings), task and seed."""
    label, root = label_of(by), by.partition(".")[0]
    by_objective = root in ("objective", BY_OBJECTIVE, "objective_value")
    _check_objectives(runs, by, label if by_objective else lambda run: "")
    if by_objective:
        check_table(runs)
        return
    allowed = (by, *_BRINGS.get(by, _BRINGS.get(root, ())))
    check_equal(runs, label, _not_env)
    check_equal(runs, lambda run: None, lambda key: _not_env(key) and not under(key, allowed))
    check_equal(runs, lambda run: task_name(run.task), lambda key: key == "env_id")
    check_one_per_seed(runs, lambda run: (run.task, label(run)))


def _check_objectives(runs: Sequence[Run], by: str, line: Callable[[Run], str]) -> None:
    rows: dict[str, set[str]] = {}
    for run in runs:
        rows.setdefault(line(run), set()).add(run.row)
    for mixed in rows.values():
        if len(mixed) > 1:
            names = sorted(mixed)
            raise AnalysisError(
                f"Lines by {by} would mix objectives ({', '.join(names)}): choose one, such as "
                f"--where objective_label={names[0]}."
            )


def _not_env(key: str) -> bool:
    return not under(key, ("env", "env_id"))


def build(
    runs: Sequence[Run], label: Callable[[Run], str], points: int, episodes: int
) -> tuple[list[Line], list[str]]:
    """All lines, by task and label, and a sentence for each run that is in none."""
    cells: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        cells.setdefault((run.task, label(run)), []).append(run)
    lines, holes = [], []
    for (task, name), members in sorted(cells.items()):
        total = int(members[0].info["total_timesteps"])
        grid = np.unique(np.rint(np.linspace(0, total, points + 1)[1:]))
        found = [_curve(run, grid, episodes) for run in members]
        holes += [
            f"{run.run_id}: {c}"
            for run, c in zip(members, found, strict=True)
            if isinstance(c, str)
        ]
        kept = [curve for curve in found if not isinstance(curve, str)]
        stacked = np.stack(kept) if kept else np.empty((0, len(grid)))
        lines.append(Line(task, name, total, grid, stacked, len(members)))
    return lines, sorted(holes)


def _curve(run: Run, grid: FloatArray, episodes: int) -> FloatArray | str:
    """The run's curve on the grid, or the reason why it has none."""
    if hole := hole_of(run):
        return hole
    steps, returns = read_episodes(run)
    return hole_in(returns) or smoothed(steps, returns, grid, episodes)


def _placed(sweep: Sweep, by: str) -> Sweep:
    """Without the runs whose line is unknown: they never started and left no configuration."""
    known = [(run, not isinstance(lookup(run, by), Absent)) for run in sweep.runs]
    kept = tuple(run for run, placed in known if placed)
    if not kept:
        raise AnalysisError(
            f"No run has a {by}: give --by a field of run.json or a key of config.yaml."
        )
    lost = [run.run_id for run, placed in known if not placed]
    if not lost:
        return sweep
    note = f"In no line, for they have no {by} or never started: {', '.join(lost)}."
    return Sweep(kept, (*sweep.notes, note))


def _chosen(sweep: Sweep, by: str, labels: str | None) -> Sweep:
    """The runs of the lines in `labels`, which are separated by commas; all for None."""
    if labels is None:
        return sweep
    label = label_of(by)
    wanted, there = labels.split(","), sorted({label(run) for run in sweep.runs})
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise AnalysisError(f"No line is named {unknown[0]}: there are {', '.join(there)}.")
    return Sweep(tuple(run for run in sweep.runs if label(run) in wanted), sweep.notes)


def _run(options: argparse.Namespace) -> Output:
    sweep = _placed(cut(selected_sweep(options), options.until), options.by)
    sweep = _chosen(sweep, options.by, options.labels)
    check_lines(sweep.runs, options.by)
    lines, holes = build(sweep.runs, label_of(options.by), options.points, options.episodes)
    tables = [line_table(line, options.replicates, options.seed) for line in lines]
    paper = paper_figure3(options.reference) if options.paper else {}
    table = pd.concat(tables, ignore_index=True)[list(COLUMNS)]
    kinds = {
        label_of(options.by)(run): (str(run.info["objective"]), run.info["objective_value"])
        for run in sweep.runs
    }
    styles = curve_figure.line_styles(kinds if options.by == BY_OBJECTIVE else {}, _labels(lines))
    picture = curve_figure.figure(table, styles, options.by, paper, options.episodes)
    text = _markdown(lines, table, sweep, holes, options)
    files = {
        "curves.png": picture,
        "curves.csv": render.csv(table),
        "curves.md": (text + "\n").encode(),
    }
    return Output(files, text)


def _labels(lines: Sequence[Line]) -> list[str]:
    return sorted({line.label for line in lines})


def _markdown(
    lines: Sequence[Line],
    table: pd.DataFrame,
    sweep: Sweep,
    holes: Sequence[str],
    options: argparse.Namespace,
) -> str:
    rows = []
    for line in lines:
        mine = table[(table["task"] == line.task) & (table["label"] == line.label)]
        mean, low, high = (float(mine[name].iloc[-1]) for name in ("mean", "ci_low", "ci_high"))
        rows.append(
            (
                line.task,
                line.label,
                render.amount(mean),
                render.amounts(low, high),
                render.of(len(line.curves), line.n_expected),
            )
        )
    header = ("Task", options.by, "Return at the end", "95 % interval", "Runs")
    notes = [
        f"At each step the mean return of the last {options.episodes} training episodes that had "
        "ended by then; mean over seeds; the band is the 95 % bootstrap interval of that mean, "
        f"pointwise ({options.replicates} replicates, seed {options.seed}), none for a single run.",
        *schedules(sweep.runs),
        *sweep.notes,
        *provenance(sweep.runs),
    ]
    if options.paper:
        notes.append("Dashed: PPO (Clip) of the paper's Figure 3, digitized, -v1 tasks.")
    return (
        f"# Learning curves\n\n{render.markdown_table(header, rows, 'llrrr')}\n"
        + render.bullets("Notes", notes)
        + render.bullets("Missing runs", holes)
    ).rstrip("\n")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runs_arguments(parser)
    add_bootstrap_arguments(parser)
    add_reference_argument(parser)
    parser.add_argument(
        "--by",
        default=BY_OBJECTIVE,
        metavar="KEY",
        help="one line a value of this field or config key",
    )
    add_until_argument(parser)
    parser.add_argument("--labels", metavar="A,B", help="only these lines (default: all)")
    parser.add_argument("--points", type=integer_from(2), default=100, help="steps on the grid")
    parser.add_argument("--paper", action="store_true", help="add the paper's Figure 3 PPO curve")


COMMAND = Command("curves", "learning curves with intervals over seeds", _add_arguments, _run)
