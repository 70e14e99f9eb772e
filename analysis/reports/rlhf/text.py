"""The report `rlhf` as Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable

from analysis.drawing import tables
from analysis.drawing.text import Line, estimate, number, of, runs_of, score
from analysis.reports.rlhf.cells import GROUPS, RIVAL, Run, compared
from analysis.reports.rlhf.numbers import BON, Numbers, samples

SHOWN = 3  # responses at each moment
TITLES = dict(
    zip(GROUPS, ("The penalty", "Other ways to train", "Other reward models"), strict=True)
)


def markdown(found: Numbers) -> str:
    """All tables, and what they say."""
    parts = [_sentences(found)]
    for group, title in TITLES.items():
        if cells := compared(found.runs, group):
            parts.append(f"## {title}\n\n{_cells(found, cells)}")
    if len(found.best_of_n):
        parts.append("## Best of n, by the proxy\n\n" + _best_of_n(found))
    parts += ["## Fits\n\n" + _fits(found), "## Reward models\n\n" + _rewards(found)]
    parts += ["## Samples\n\n" + _samples(_hacked(found))]
    parts += ["## KL per token position\n\n" + _positions(found)]
    notes = (
        "Gold and KL (nats per response) are means of a run's last tenth; intervals are 95 % "
        "bootstrap intervals over seeds.",
        f"A reward model is trained on {found.pairs} pairs where nothing else is said.",
        f"Turned: runs whose gold ends more than {found.tolerance:.2f} below its own maximum while "
        "the proxy has risen since. A smaller fall is less than what another seed changes: that is "
        "the standard deviation over seeds of the gold at the end, its median over cells.",
        "More gold: at the end, than the first line of the table on the same seed; with another "
        "reward model, than the same policy with the usual one.",
        f"Above best of {RIVAL}: seeds on which gold ends above best of {RIVAL} by the same reward "
        "model.",
        "KL is estimated on the policy's own samples; that of best of n is log n - (n - 1) / n.",
    )
    return tables.report("Gold and proxy reward against KL", "\n\n".join(parts), notes)


def _between(name: str) -> Callable[[Line], str]:
    return lambda line: estimate(line, name, score, f"{name}_")


def _cells(found: Numbers, cells: list[str]) -> str:
    lines = found.cells[found.cells["cell"].isin(cells)]
    columns: tables.Columns = {
        "policy": "cell",
        "runs": runs_of,
        "gold": _between("gold"),
        "proxy": _between("proxy"),
        "KL": _between("kl"),
        "best gold": _between("best_gold"),
        "KL there": number("best_kl"),
        "turned": lambda line: of(int(line["turned"]), int(line["n_runs"])),
    }
    if lines["n_best_of"].any():
        columns = {**columns, f"above best of {RIVAL}": _above}
    if lines["difference"].notna().any():
        columns = {**columns, "more gold": _difference}
    return tables.of(lines, "lr", columns)


def _above(line: Line) -> str:
    compared = int(line["n_best_of"])
    return of(int(line["above_best_of"]), compared) if compared else ""


def _difference(line: Line) -> str:
    return "" if math.isnan(line["difference"]) else _between("difference")(line)


def _sentences(found: Numbers) -> str:
    best = max(found.cells.to_dict("records"), key=lambda line: line["gold"])
    lines = [f"The highest gold at the end is {score(best['gold'])}, of {best['cell']}."]
    if best["n_best_of"]:
        lines.append(
            f"On {of(int(best['above_best_of']), int(best['n_best_of']))} seeds it ends above best "
            f"of {RIVAL} by the same reward model."
        )
    for line in found.cells.to_dict("records"):
        if "adaptive" in str(line["cell"]):
            lines.append(f"{line['cell']}: its KL ends at {score(line['kl'])}.")
    return " ".join(lines)


def _best_of_n(found: Numbers) -> str:
    columns: tables.Columns = {
        "n": lambda line: str(line["n"]),
        "gold": number("gold"),
        "proxy": number("proxy"),
        "KL": number("kl"),
    }
    return tables.of(found.best_of_n, "r", columns)


def _fits(found: Numbers) -> str:
    columns: tables.Columns = {
        "policy": "cell",
        "form": lambda line: "d (a - b d)" if line["cell"] == BON else "d (a - b log d)",
        "a": number("alpha"),
        "b": number("beta"),
        "R²": number("r2"),
    }
    table = tables.of(found.fits, "llr", columns)
    return f"{table}\n\nGrowth of gold over the base model, with d the root of the KL."


def _rewards(found: Numbers) -> str:
    columns: tables.Columns = {
        "pairs": lambda line: str(int(line["pairs"])),
        "seed": lambda line: str(int(line["seed"])),
        "held-out accuracy": number("held_out_accuracy"),
        "ceiling": number("ceiling"),
        "correlation with gold": number("gold_correlation"),
    }
    return tables.of(found.reward_models, "r", columns)


def _hacked(found: Numbers) -> Run:
    """The run that lost most of its best gold."""
    return max(found.runs, key=lambda run: run.curve["gold"].max() - run.curve["gold"].iloc[-1])


def _samples(run: Run) -> str:
    rows = [
        (title, text, score(gold), score(proxy), score(kl))
        for title, lines in samples(run, SHOWN)
        for text, gold, proxy, kl in lines
    ]
    table = tables.markdown(("when", "prompt / response", "gold", "proxy", "KL"), rows, "llr")
    return f"Of {run.cell}, seed {run.info['seed']}, the run that lost most gold.\n\n{table}"


def _positions(found: Numbers) -> str:
    wide = found.positions.pivot(index="cell", columns="position", values="kl")
    order = [cell for cell in found.cells["cell"] if cell in wide.index]
    rows = [(cell, *(score(float(x)) for x in wide.loc[cell])) for cell in order]
    return tables.markdown(("policy", *(str(p) for p in wide.columns)), rows, "lr")
