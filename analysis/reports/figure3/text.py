"""Figure 3's tables as Markdown, and what their reader has to know."""

from __future__ import annotations

from functools import partial

from analysis.drawing import notes, tables
from analysis.drawing.algorithms import LINEUPS, entry, ordered
from analysis.drawing.text import Line, amount, between, measured, number, runs_of, score
from analysis.reports.figure3.numbers import BETTER, MEAN_OVER_TASKS, OF_MEAN_RANKS, Figure3
from analysis.runs.comparison import is_sb3
from analysis.runs.run import Sweep
from analysis.settings import RANDOM_POLICIES, Settings

_TRPO = (
    "The paper's TRPO was likely one whose standard deviation stayed at 1, as Baselines' did "
    "until ebb8aff (2018-01-25): TRPO with algorithm.freeze_log_std=true is what to compare "
    "with it, and trpo_mpi what to compare TRPO with."
)


def markdown(found: Figure3, sweep: Sweep, settings: Settings) -> str:
    """The whole report."""
    step = notes.steps(sweep)
    title = f"Figure 3: PPO and the algorithms it is compared with, {step} steps"
    body = (
        f"{_task_table(found, step)}\n\n## Over all tasks\n\n{_aggregate_table(found)}\n\n"
        f"## The paper's order\n\n{_order_table(found)}"
    )
    known = _notes(found, sweep, settings, step)
    return tables.report(title, body, known, notes.holes(found.runs))


def _task_table(found: Figure3, step: str) -> str:
    columns: tables.Columns = {
        "Task": "task",
        "Algorithm": _name,
        **measured("Return", "return", amount),
        f"Paper at {step}": number("paper", _published),
        f"Baselines at {step}": number("baselines", _published),
        "Rank": partial(_rank, "rank"),
        "Paper's rank": partial(_rank, "paper_rank"),
    }
    return tables.of(found.tasks, "llr", columns)


def _name(line: Line) -> str:
    return entry(line["algorithm"]).name


def _published(value: float) -> str:
    """Blank where there is none to compare with."""
    return "" if value != value else amount(value)


def _rank(column: str, line: Line) -> str:
    return "" if line[column] != line[column] else f"{line[column]:g} of {line['ranked']}"


def _aggregate_table(found: Figure3) -> str:
    header = ("Algorithm", "IQM", "95 % interval", "Mean", "Runs", "Tasks", "P(PPO is better)")
    columns = (_name, number("iqm"), between(ends="iqm_"), number("mean"), runs_of)
    rows = []
    for line in found.aggregates.to_dict("records"):
        better = (score(line["ppo_better"]), between(ends="ppo_better_")(line))
        compared = ("", "") if line["algorithm"] == BETTER else better
        rows.append((*(how(line) for how in columns), str(line["n_tasks"]), *compared))
    return tables.markdown((*header, "95 % interval"), rows, "lr")


def _order_table(found: Figure3) -> str:
    if found.orders.empty:
        return "No algorithm of the paper's has a finished run."
    columns: tables.Columns = {
        "Algorithms": "lineup",
        "Task": "task",
        "Ranked": "ranked",
        "Spearman": number("spearman"),
        "Kendall": number("kendall"),
    }
    return tables.of(found.orders, "llr", columns)


def _notes(found: Figure3, sweep: Sweep, settings: Settings, step: str) -> list[str]:
    return [
        f"Return: mean over seeds of the mean return of the last {settings.episodes} training "
        "episodes (CEM: of its candidates' episodes), with the 95 % interval of that mean "
        f"({notes.law(settings)}), none for a single run.",
        f"The paper's value is that of its Figure 3 at step {step}, read from the digitized curve "
        "(points at 0, 100k, ... 1M, a line between them; smoothed, -v1 tasks, 3 seeds). "
        f"Baselines: ppo2 and trpo_mpi at ea68f3b, also at step {step} (-v2 tasks, mean of 6 "
        "runs). Blank where there is none.",
        *[_TRPO] * bool({"trpo", "trpo_frozen"} & set(found.tasks["algorithm"])),
        *_protocol(sweep),
        _ranks(found),
        _scores(settings),
        *_improvement(found),
        *_absent(found),
        *notes.lacking(found.runs, settings.episodes),
        *notes.about(sweep),
    ]


def _protocol(sweep: Sweep) -> list[str]:
    recipes: dict[bool, dict[str, str]] = {False: {}, True: {}}
    for run in sweep.runs:
        recipes[is_sb3(run.algorithm)][run.algorithm] = str(run.info["recipe"])
    return [
        f"Recipe {next(iter(used.values()))}: {', '.join(ordered(used))}."
        for used in recipes.values()
        if used
    ]


def _ranks(found: Figure3) -> str:
    groups = [name for name in LINEUPS if name in set(found.orders["lineup"])]
    return (
        "Ranks are by return, 1 the best, among the algorithms of a group that finished there, in "
        f"the paper's column by its values at the same step (groups: {'; '.join(groups) or '-'}). "
        f"Spearman's and Kendall's (tau-b) coefficients need 3 algorithms; '{MEAN_OVER_TASKS}' "
        f"averages those of the tasks, '{OF_MEAN_RANKS}' takes the tasks that all have finished."
    )


def _scores(settings: Settings) -> str:
    best = {"run": "the best single run", "mean": "the best algorithm's mean over its seeds"}
    return (
        f"IQM: mean of the middle half of all runs' scores, 0 the random policy "
        f"({RANDOM_POLICIES[settings.random]}) and 1 {best[settings.best]} here in each task, so "
        "it depends on which algorithms are here; the mean weights tasks equally. Its interval "
        "resamples runs within each task and holds the scale fixed (at 3 seeds in 7 tasks it "
        "covers about 91 %)."
    )


def _improvement(found: Figure3) -> list[str]:
    if not (found.runs.loc[found.runs["hole"] == "", "row"] == BETTER).any():
        return [f"No probability of improvement: no run of {BETTER} has finished."]
    line = (
        "P(PPO is better): the share of pairs of runs in which PPO's return is above the other's, "
        "ties a half, averaged over the tasks in which both finished; runs are resampled within "
        "each task and algorithm. An interval without width says that these runs are apart, not "
        "that all would be."
    )
    tasks = found.aggregates.set_index("algorithm")["ppo_better_tasks"].drop(BETTER)
    fewer = tasks[tasks < found.runs["task"].nunique()]
    names = [f"{entry(str(key)).name} {count}" for key, count in fewer.items()]
    return [line + (f" Tasks, where not all: {', '.join(names)}." if names else "")]


def _absent(found: Figure3) -> list[str]:
    algorithms = [entry(key).name for key in LINEUPS["ours"] if key not in set(found.runs["row"])]
    absent = {"7 tasks": notes.absent_tasks(found.runs), "6 algorithms": algorithms}
    lines = [
        f"Not in these runs, of the paper's {what}: {', '.join(names)}."
        for what, names in absent.items()
        if names
    ]
    table = found.aggregates
    fewer = table.loc[table["n_tasks"] < table["n_tasks"].max(), "algorithm"]
    if not fewer.empty:
        names = ", ".join(entry(key).name for key in fewer)
        lines.append(f"Over fewer tasks than the others, so not comparable: {names}.")
    return lines + notes.excluded(found.scores.tasks)
