"""`curves`: training return against environment steps, one panel a task, one line a setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from analysis import cli
from analysis.drawing import curves as drawing
from analysis.drawing import notes, tables
from analysis.drawing.style import LineStyle, objective_names, objective_rows, objective_styles
from analysis.drawing.text import amount, measured
from analysis.errors import AnalysisError
from analysis.published.paper import paper_figure3, task_name
from analysis.runs import selection
from analysis.runs.curves import POINTS, label_of, learning_curves
from analysis.runs.run import Run, Sweep
from analysis.runs.selection import ENV, Absent, check_equal, lookup, under
from analysis.runs.until import cut, schedules
from analysis.settings import DEFAULTS, Settings

BY_OBJECTIVE = "objective_label"
# A choice that lines are told apart by brings others with it: a recipe also sets c1, say.
_BRINGS: Mapping[str, tuple[str, ...]] = {
    "recipe": ("recipe", "algorithm"),
    "budget": ("total_timesteps", "schedule_timesteps", "algorithm"),
    "algorithm": ("algorithm", "recipe"),
    "policy.name": ("policy",),
}


def build(
    sweep: Sweep, by: str = BY_OBJECTIVE, settings: Settings = DEFAULTS, points: int = POINTS
) -> tuple[pd.DataFrame, list[str]]:
    """Learning curves, `runs.curves.COLUMNS`, and a sentence for each run that has none.

    One line a task and value of `by`, a run.json field or a dotted key of the configuration, which
    all runs have (see `placed`); `points` on the grid of steps.

    Raises:
        AnalysisError: for lines that differ in more than `by`, task and seed.
    """
    check_lines(sweep.runs, by)
    return learning_curves(sweep.runs, label_of(by), settings, points)


def check_lines(runs: Sequence[Run], by: str) -> None:
    """Refuse lines that differ in more than `by` (and what it brings), task and seed."""
    label, root = label_of(by), by.partition(".")[0]
    by_objective = root in ("objective", BY_OBJECTIVE, "objective_value")
    rows: dict[str, set[str]] = {}
    for run in runs:
        rows.setdefault(label(run) if by_objective else "", set()).add(run.row)
    for names in map(sorted, rows.values()):
        if len(names) > 1:
            raise AnalysisError(
                f"Lines by {by} would mix objectives ({', '.join(names)}): choose one, such as "
                f"--where objective_label={names[0]}."
            )
    if by_objective:
        selection.check_table(runs)
        return
    allowed = (by, *_BRINGS.get(by, _BRINGS.get(root, ())))
    check_equal(runs, label, lambda key: not under(key, ENV))
    check_equal(runs, lambda run: None, lambda key: not under(key, (*ENV, *allowed)))
    check_equal(runs, lambda run: task_name(run.task), lambda key: key == "env_id")
    selection.check_one_per_seed(runs, lambda run: (run.task, label(run)))


def placed(sweep: Sweep, by: str, labels: Sequence[str] = ()) -> Sweep:
    """Without the runs whose line is unknown, for they never started and left no configuration.

    Of the others those whose value of `by` is among `labels`; all if there are none.

    Raises:
        AnalysisError: for a key or a label that no run has.
    """
    lost = [run for run in sweep.runs if isinstance(lookup(run, by), Absent)]
    kept = [run for run in sweep.runs if run not in lost]
    if not kept:
        raise AnalysisError(
            f"No run has a {by}: give --by a field of run.json or a key of config.yaml."
        )
    names = ", ".join(run.run_id for run in lost)
    sweep = sweep.narrowed(kept, f"In no line, for they have no {by} or never started: {names}.")
    label = label_of(by)
    there = sorted({label(run) for run in kept})
    unknown = [name for name in labels if name not in there]
    if unknown:
        raise AnalysisError(f"No line is named {unknown[0]}: there are {', '.join(there)}.")
    return sweep.narrowed([run for run in kept if not labels or label(run) in labels])


def styles(sweep: Sweep, by: str) -> dict[str, LineStyle]:
    """How each line of `build` is named and drawn."""
    if by != BY_OBJECTIVE:
        return drawing.line_styles(sorted({label_of(by)(run) for run in sweep.runs}))
    return objective_styles(_objectives(sweep))


def names(sweep: Sweep, by: str) -> dict[str, str]:
    """The names of the lines of `build` in plain text, in their order."""
    if by != BY_OBJECTIVE:
        return {label: style.name for label, style in styles(sweep, by).items()}
    return objective_names(_objectives(sweep))


def title(by: str) -> str:
    """What the lines are: `Objective`, or the key."""
    return "Objective" if by == BY_OBJECTIVE else by


def _objectives(sweep: Sweep) -> pd.DataFrame:
    """`row, objective, value`."""
    lines = [(run.row, *run.objective) for run in sweep.runs]
    return objective_rows(pd.DataFrame(lines, columns=["row", "objective", "value"]))


def _markdown(table: pd.DataFrame, sweep: Sweep, holes: Sequence[str], given: cli.Given) -> str:
    settings = given.settings
    named = names(sweep, given.by)
    ends = table.drop_duplicates(["task", "label"], keep="last")
    order = ends.assign(place=ends["label"].map([*named].index)).sort_values(["task", "place"])
    columns: tables.Columns = {
        "Task": "task",
        title(given.by): lambda line: named[line["label"]],
        **measured("Return at the end", "mean", amount),
    }
    found = [
        f"At each step the mean return of the last {settings.episodes} training episodes that had "
        "ended by then; mean over seeds; the band is the 95 % interval of that mean, "
        f"pointwise ({notes.law(settings)}), none for a single run.",
        *schedules(sweep.runs),
        *notes.about(sweep),
    ]
    if given.paper:
        found.append("Dashed: PPO (Clip) of the paper's Figure 3, digitized, -v1 tasks.")
    return tables.report("Learning curves", tables.of(order, "llr", columns), found, holes)


_LINES = "one line a value of this field or config key"
BY = cli.option("--by", _LINES, default=BY_OBJECTIVE, metavar="KEY")
_OPTIONS = (
    *(cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.UNTIL, cli.POINTS, BY),
    cli.option("--labels", "only these lines (default: all)", metavar="A,B"),
    cli.option("--paper", "add the paper's Figure 3 PPO curve", action="store_true"),
)


@cli.command("curves", *_OPTIONS)
def command(given: cli.Given) -> cli.Output:
    """Learning curves with intervals over seeds."""
    by, settings = given.by, given.settings
    labels = given.labels.split(",") if given.labels is not None else ()
    sweep = placed(cut(given.sweep, given.until), by, labels)
    table, holes = build(sweep, by, settings, given.points)
    text = _markdown(table, sweep, holes, given)
    paper = paper_figure3(settings.reference) if given.paper else {}
    lines, legend = styles(sweep, by), f"{title(by).lower()} (runs)"
    picture = partial(drawing.figure, table, lines, legend, paper, settings.episodes)
    return cli.Output({"curves.png": picture, "curves.csv": table, "curves.md": text}, text)
