"""The card of a published policy: what the Hugging Face Hub shows, and what a user has to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

FILM = "replay.mp4"  # the name that the Hub plays
LIBRARY = "ppo-repro"
PAPER = "1707.06347"


def card(info: Mapping[str, Any], name: str, film: bool) -> str:
    """README.md of a policy's folder: metadata in YAML, with the return as a model index; a text.

    Args:
        info: its run.json, with `published`.
        name: of the policy, such as half_cheetah/clip_0.2/3.
        film: whether the folder has one.
    """
    return f"---\n{yaml.safe_dump(metadata(info), sort_keys=False)}---\n\n{_text(info, name, film)}"


def metadata(info: Mapping[str, Any]) -> dict[str, Any]:
    """What the Hub reads: library, tags, and the model index with the measured return."""
    found, task = info["published"]["evaluation"], info["env_id"]
    results = {
        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
        "dataset": {"name": task, "type": task},
        "metrics": [
            {
                "type": "mean_reward",
                "name": "mean_reward",
                "value": f"{found['mean']:.2f} +/- {found['std']:.2f}",
                "verified": False,
            }
        ],
    }
    algorithm = info["algorithm"]
    return {
        "library_name": LIBRARY,
        "license": "mit",
        "tags": [task, algorithm, "reinforcement-learning", "gymnasium", f"arxiv:{PAPER}"],
        "model-index": [{"name": f"{algorithm} {info['objective_label']}", "results": [results]}],
    }


def _text(info: Mapping[str, Any], name: str, film: bool) -> str:
    published, versions = info["published"], info["versions"]
    found, training = published["evaluation"], published["training"]
    actions = "the most likely actions" if found["deterministic"] else "sampled actions"
    rows = {
        "task": f"{info['env_id']} (Gymnasium {versions['gymnasium']})",
        "algorithm, objective": f"{info['algorithm']}, {info['objective_label']}",
        "recipe": f"`{info['recipe']}` (all settings: `config.yaml`)",
        "seed": info["seed"],
        "steps": f"{info['steps']:,}",
        "return": f"{found['mean']:,.2f} [{found['low']:,.2f}, {found['high']:,.2f}], standard "
        f"deviation {found['std']:,.2f} ({found['episodes']} episodes, evaluation seed "
        f"{found['seed']}, {actions})",
        "return at the end of training": "no two episodes ended"
        if training is None
        else f"{training['mean']:,.2f}, standard deviation {training['std']:,.2f} (last "
        f"{training['episodes']} episodes)",
        "versions": ", ".join(f"{key} {versions[key]}" for key in published["versions"]),
        "revision": info["git_revision"],
        "processor": f"{info['cpu']}, {info['device']}",
        "SHA-256 of parameters.npz": f"`{info['parameters_sha256']}`",
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    shown = f"`{FILM}` shows one episode.\n\n" if film else ""
    setting = f"{info['objective_label']}, seed {info['seed']}"
    return f"""# {info["algorithm"].upper()} on {info["env_id"]}: {setting}

A policy from a reproduction of "Proximal Policy Optimization Algorithms" (arXiv {PAPER}), trained
with {LIBRARY}. The interval is a 95 % bootstrap interval of the mean over episodes of this one
policy: another training seed gives another policy, and most of the spread of a result is between
seeds.

| | |
|---|---|
{table}

{shown}## Use

Normalization of observations is part of the policy. In Python, with the folder or, from a checkout
of {LIBRARY}, with the name `{name}`:

    import repro
    policy = repro.load_policy("FOLDER")
    action = policy(observation, deterministic=True)

On the command line:

    python -m repro.evaluate FOLDER
    python -m repro.watch FOLDER

`parameters.npz` holds arrays of numbers by name, of the policy alone and not of its critic; nothing
is pickled.

## Train it again

{_again(published["command"])}

## Limits

The policy was trained on exact states of a simulator. It knows no other task, no noise of sensors,
and no robot.
"""


def _again(command: str | None) -> str:
    if command is None:
        return f"`config.yaml` has every setting; the task is none of {LIBRARY}'s own."
    return f"""    {command}

On a processor of the same kind, with the same versions, the run ends with the same parameters to
the last bit."""
