"""`figure4`: PPO on the three humanoid tasks, run by run, beside points of the paper's curves."""

from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import cli
from analysis.drawing import curves as drawing
from analysis.drawing import notes, panels, tables
from analysis.drawing.style import INK, PAPER, LineStyle, scaled
from analysis.drawing.text import Line, amount, number
from analysis.errors import AnalysisError
from analysis.published.paper import Curve, paper_figure4, task_name
from analysis.runs.curves import label_of, learning_curves
from analysis.runs.run import Sweep
from analysis.runs.until import cut, schedules
from analysis.settings import DEFAULTS, Settings

TASKS = ("Humanoid", "HumanoidFlagrun", "HumanoidFlagrunHarder")
COLUMNS = ("task", "seed", "step", "return", "paper_low", "paper_high")


def name(task: str) -> str:
    """The task without namespace and version: `repro/Humanoid-v0` -> `Humanoid`."""
    return task_name(task).removeprefix("repro/")


def build(
    sweep: Sweep, paper: pd.DataFrame, settings: Settings = DEFAULTS, points: int = 100
) -> tuple[pd.DataFrame, list[str]]:
    """`COLUMNS`, one row a run and grid step, and a sentence for each run that has no curve.

    `paper_low` and `paper_high` are the paper's two curves at that step, on lines between the
    digitized points; NaN before the first of them.

    Raises:
        AnalysisError: for runs of another task.
    """
    for run in sweep.runs:
        if name(run.task) not in TASKS:
            raise AnalysisError(
                f"{run.task} is not in Figure 4: choose its tasks, --where env.backend=humanoid."
            )
    table, holes = learning_curves(sweep.runs, label_of("seed"), settings, points)
    table = table.rename(columns={"label": "seed", "mean": "return"})
    places = [_at(paper, *place) for place in zip(table["task"], table["step"], strict=True)]
    table[["paper_low", "paper_high"]] = places
    return table[list(COLUMNS)], holes


def _at(paper: pd.DataFrame, task: str, step: int) -> tuple[float, float]:
    mine = paper[paper["task"] == name(task)]
    returns = [
        Curve(each["step"].to_numpy(), each["return"].to_numpy()).at(step)
        for _, each in mine.groupby("curve")
    ]
    return min(returns), max(returns)


def figure(table: pd.DataFrame, paper: pd.DataFrame, episodes: int) -> Figure:
    """A panel a task with its runs in color; the paper's digitized points hollow."""
    tasks = [task for task in TASKS if task in set(table["task"].map(name))]
    picture, grid, _ = panels.grid(len(tasks), len(tasks), (3.6, 3.0), (0.8, 0.6))
    styles = drawing.line_styles(sorted(set(table["seed"])))
    for axes, task in zip(grid, tasks, strict=True):
        _panel(axes, table[table["task"].map(name) == task], paper[paper["task"] == task], styles)
        axes.set_title(task)
    picture.supylabel(
        f"return, mean of the last {episodes} training episodes", fontsize=scaled(9.5)
    )
    handles = [
        panels.key(f"seed {label}", color=style.color, linewidth=2.0)
        for label, style in styles.items()
    ]
    handles.append(panels.key("the paper's two runs, digitized", **PAPER))
    picture.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return picture


def _panel(
    axes: Axes, table: pd.DataFrame, paper: pd.DataFrame, styles: dict[str, LineStyle]
) -> None:
    for seed, run in table.groupby("seed"):
        axes.plot(run["step"], run["return"], color=styles[str(seed)].color, linewidth=1.6)
    axes.plot(paper["step"], paper["return"], **{**PAPER, "markersize": 5}, clip_on=False)
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_xlim(0, max(paper["step"].max(), table["step"].max()))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}M")
    axes.set_xlabel("environment steps")


@cli.command("figure4", cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.UNTIL, cli.POINTS)
def command(given: cli.Given) -> cli.Output:
    """The paper's Figure 4: the humanoid tasks."""
    settings = given.settings
    paper = paper_figure4(settings.reference)
    sweep = cut(given.sweep, given.until)
    table, holes = build(sweep, paper, settings, given.points)
    ends = table.dropna(subset="return").drop_duplicates(["task", "seed"], keep="last")
    columns: tables.Columns = {
        "Task": "task",
        "Seed": "seed",
        "Steps": number("step", lambda steps: f"{steps / 1e6:.1f}M"),
        "Return": number("return", amount),
        "Paper there": _range,
    }
    remarks = [
        f"Mean return of the last {settings.episodes} training episodes; a curve a run.",
        "The paper's simulator was Bullet, and its dynamics are not these: what can be compared is "
        "whether and in what order the humanoid learns, not the numbers.",
        *schedules(sweep.runs),
        *notes.about(sweep),
    ]
    text = tables.report("Figure 4", tables.of(ends, "llrrr", columns), remarks, holes)
    picture = partial(figure, table, paper, settings.episodes)
    return cli.Output({"figure4.png": picture, "figure4.csv": table, "figure4.md": text}, text)


def _range(line: Line) -> str:
    low, high = float(line["paper_low"]), float(line["paper_high"])
    return f"{amount(low)} to {amount(high)}" if low == low else "no point so early"
