"""`tokens`: what the explanatory figure of token-level PPO draws, from the tables of `rlhf`.

Of PPO with clipping and a fixed penalty: gold and proxy against KL by beta, and a few responses
token by token, with the KL and the advantage of each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis import cli
from analysis.errors import AnalysisError
from analysis.reports.rlhf import numbers
from analysis.reports.rlhf.cells import MEASURES, Run

SEED = 0  # whose responses are shown: of beta 0, the run that loses most gold
SHOWN = 3  # responses at each moment
UNITS = {
    "tokens_curves": {
        "beta": "coefficient of the KL penalty in the reward",
        "window": "twentieth of the run",
        "measure": "gold: the true reward; proxy: the reward model's; kl: to the base model, nats "
        "per response",
        "value": "mean over seeds, each with a reward model of its own",
        "error": "standard error of value over seeds",
        "seeds": "count",
    },
    "tokens_samples": {
        "beta": "as in tokens_curves",
        "moment": f"of seed {SEED}: its first responses, those kept nearest to its best gold, its "
        "last",
        "iteration": "of the policy that wrote the response",
        "response": "index",
        "position": "from 0 in the response; below 0 in the prompt",
        "token": "a word",
        "advantage": "A_t as used in the loss, standard deviations; null in prompts",
        "kl": "log pi - log pi_ref of the token, nats; null in prompts",
        "gold": "of the whole response",
        "proxy": "likewise",
    },
}


@cli.command("tokens", cli.DIRECTORIES)
def command(given: cli.Given) -> cli.Output:
    """The tables of the explanatory figure of token-level PPO."""
    found = numbers.build(given.runs, given.settings)
    runs = [
        run for run in found.runs if run.group == "penalty" and run.info["controller"] == "fixed"
    ]
    own = [run for run in runs if run.info["seed"] == SEED]
    if not own:
        raise AnalysisError(f"no run of seed {SEED} with a fixed penalty: its responses are shown.")
    about = {"command": "python -m analysis tokens --runs results/language", "units": UNITS}
    samples = pd.concat([_samples(run) for run in sorted(own, key=lambda run: run.info["beta"])])
    return cli.Output(
        {"tokens_curves.csv": _curves(runs), "tokens_samples.csv": samples, "tokens.json": about},
        f"{len(runs)} runs; responses of seed {SEED}.",
    )


def _curves(runs: Sequence[Run]) -> pd.DataFrame:
    parts = [run.curve.assign(beta=run.info["beta"]) for run in runs]
    table = pd.concat(parts).rename_axis("window").reset_index()
    long = table.melt(["beta", "window"], list(MEASURES), "measure")
    grouped = long.groupby(["beta", "window", "measure"], sort=True)["value"]
    made = grouped.agg(value="mean", std="std", seeds="count").reset_index()
    made["error"] = made["std"] / np.sqrt(made["seeds"])
    return made[list(UNITS["tokens_curves"])]


def _samples(run: Run) -> pd.DataFrame:
    words = np.array(run.info["vocabulary"])
    table = run.table("samples")
    parts = []
    for moment, iteration in numbers.moments(run).items():
        kept = (table["iteration"] == iteration) & (table["episode"] < SHOWN)
        parts.append(table[kept].assign(moment=moment))
    rows = pd.concat(parts).assign(beta=run.info["beta"])
    rows["token"] = words[rows["token"].to_numpy()]
    rows = rows.rename(columns={"episode": "response"})
    return rows[list(UNITS["tokens_samples"])]
