"""Fake run directories and reference files for tests of `analysis`, made by `runs.writer`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from repro.config.schema import hash_of
from repro.runs import store
from repro.runs.writer import RunWriter

TASKS = (
    "HalfCheetah-v4",
    "Hopper-v4",
    "InvertedDoublePendulum-v4",
    "InvertedPendulum-v4",
    "Reacher-v4",
    "Swimmer-v4",
    "Walker2d-v4",
)
ROWS: tuple[tuple[str, float | None], ...] = (
    ("none", None),
    ("clip", 0.1),
    ("clip", 0.2),
    ("clip", 0.3),
    ("kl_adaptive", 0.003),
    ("kl_adaptive", 0.01),
    ("kl_adaptive", 0.03),
    ("kl_fixed", 0.3),
    ("kl_fixed", 1.0),
    ("kl_fixed", 3.0),
    ("kl_fixed", 10.0),
)
PAPER_TABLE1 = """objective,value,score
none,,-0.39
clip,0.1,0.76
clip,0.2,0.82
clip,0.3,0.7
kl_adaptive,0.003,0.68
kl_adaptive,0.01,0.74
kl_adaptive,0.03,0.71
kl_fixed,0.3,0.62
kl_fixed,1,0.71
kl_fixed,3,0.72
kl_fixed,10,0.69
"""
# Figure 3 as `write_reference` makes it up: straight lines from 0 to these, in every task.
PAPER_ENDS = {
    "PPO(Clip)": 1000,
    "VPG-adaptive": 800,
    "A2C": 600,
    "A2C+TR": 400,
    "CEM": 200,
    "TRPO": 100,
}
_PARAMETER = {"none": None, "kl_adaptive": "target_kl", "kl_fixed": "beta"}


def row_name(kind: str, value: float | None) -> str:
    """`clip_0.2`."""
    return kind + ("" if value is None else f"_{value:g}")


def of_algorithm(
    name: str, task: str = "Hopper-v4", seed: int = 0, **changes: Any
) -> dict[str, Any]:
    """The identity of a run of any algorithm: PPO's with L_CLIP, the others' without objectives."""
    if name.endswith("ppo"):
        return identity(task, "clip", 0.2, seed, algorithm=name, **changes)
    return identity(task, None, None, seed, algorithm=name, **changes)


def identity(
    task: str = "Hopper-v4",
    kind: str | None = "clip",
    value: float | None = 0.2,
    seed: int = 0,
    **changes: Any,
) -> dict[str, Any]:
    """The identity fields of run.json, as a sweep.json entry has them.

    `changes` overrides fields; a dotted one, such as `**{"recipe.clip_actions": True}`, changes the
    configuration, and with it hash and id.
    """
    config = make_config(task, kind, value, seed, changes)
    digest = hash_of(config)
    algorithm = config["algorithm"]["name"]
    label = row_name(kind, value) if kind else algorithm
    info = {
        "run_id": f"{task}_{algorithm}_{label}_s{seed}_{digest[:8]}",
        "config_hash": digest,
        "experiment": "table1",
        "budget": "paper",
        "algorithm": algorithm,
        "env_id": task,
        "env_name": config["env"]["name"],
        "num_envs": config["env"]["num_envs"],
        "objective": kind,
        "objective_value": value,
        "objective_label": label,
        "recipe": config["recipe"]["name"],
        "seed": seed,
        "total_timesteps": config["total_timesteps"],
        "updates": config["total_timesteps"] // 2048,
    }
    return info | {key: value for key, value in changes.items() if "." not in key}


def make_config(
    task: str, kind: str | None, value: float | None, seed: int, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """The nested configuration behind `identity`, with as many keys as the tests look at."""
    parameter = _PARAMETER.get(kind, "epsilon") if kind else None
    config: dict[str, Any] = {
        "env": {
            "name": task.partition("-")[0].lower(),
            "id": changes.get("env_id", task),
            "num_envs": changes.get("num_envs", 1),
        },
        "algorithm": {"name": changes.get("algorithm", "ppo"), "learning_rate": 3e-4},
        "objective": ({"kind": kind} if kind else {}) | ({parameter: value} if parameter else {}),
        "recipe": {"name": changes.get("recipe", "paper"), "clip_actions": False},
        "policy": {"name": "mlp", "hidden_sizes": [64, 64]},
        "logger": {"name": "none"},
        "runs_dir": "runs",
        "seed": seed,
        "total_timesteps": changes.get("total_timesteps", 1_000_000),
    }
    for key, new in changes.items():
        *parents, last = key.split(".")
        node = config
        for parent in parents:
            node = node[parent]
        if parents:
            node[last] = new
    return config


def write_run(
    runs_dir: Path,
    info: Mapping[str, Any],
    returns: Sequence[float],
    steps: Sequence[int] | None = None,
    status: str = store.DONE,
    config_changes: Mapping[str, Any] | None = None,
    **finish: Any,
) -> Path:
    """One run directory under `runs_dir`.

    Args:
        runs_dir: made if needed.
        info: from `identity`.
        returns: of the training episodes, in order.
        steps: at which they ended; evenly spaced up to the end if not given.
        status: RUNNING leaves the run as a killed process would.
        config_changes: the dotted `changes` that `identity` was given.
        finish: further fields of run.json.
    """
    changes = dict(config_changes or {}) | {
        key: info[key] for key in ("recipe", "num_envs", "total_timesteps", "algorithm")
    }
    config = make_config(
        info["env_id"], info["objective"], info["objective_value"], info["seed"], changes
    )
    writer = RunWriter(runs_dir / info["run_id"], config, info)
    total = int(info["total_timesteps"])
    ends = np.linspace(0, total, len(returns) + 1)[1:].astype(int) if steps is None else steps
    episodes = {
        "iteration": [1] * len(returns),
        "step": list(ends),
        "actor": [0] * len(returns),
        "return": list(returns),
        "length": [1] * len(returns),
    }
    writer.add({"progress": {name: [0] for name in store.PROGRESS}, "episodes": episodes})
    if status == store.RUNNING:
        writer.flush()
    else:
        writer.finish(status, **finish)
    return writer.directory


def reseal(directory: Path) -> None:
    """Let run.json say what is in the directory now, as if its run had written it so."""
    info = store.read_run(directory)
    digest = hash_of(store.read_config(directory))
    info |= {"config_hash": digest, "run_id": info["run_id"][:-8] + digest[:8]}
    sums = {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.glob("*.parquet")
    }
    store.write_json(directory / "run.json", info | {"tables_sha256": sums})


def write_reference(directory: Path, random: Mapping[str, float] | None = None) -> Path:
    """Reference files with the paper's Table 1 and made-up random policies (default: 0 each)."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "paper_table1.csv").write_text(PAPER_TABLE1)
    means = random if random is not None else dict.fromkeys(TASKS, 0.0)
    lines = ["env_id,kind,episodes,mean,std,ci_low,ci_high,seed"]
    for kind, shift in (("uniform", 10.0), ("gaussian", 0.0), ("gaussian_clipped", 5.0)):
        lines += [
            f"{task},{kind},100,{mean + shift},1,{mean - 1},{mean + 1},0"
            for task, mean in means.items()
        ]
    (directory / "random_policies.csv").write_text("\n".join(lines) + "\n")
    x = np.linspace(-0.5, 2, 11)
    points = [f"{v},{0.0165 * v * v},{0.05 * v},{0.04 * v},{0.03 * v}" for v in x]
    (directory / "paper_fig2.csv").write_text(
        "\n".join(["x,kl,l_cpi,l_clipped_ratio,l_clip", *points]) + "\n"
    )
    curves = {
        task.replace("-v4", "-v1"): {
            name: {"curve": np.linspace(0, end, 11).tolist()} for name, end in PAPER_ENDS.items()
        }
        for task in TASKS
    }
    (directory / "paper_fig3_digitised.json").write_text(json.dumps(curves))
    baselines = {
        task.removesuffix("-v4"): {
            "ppo2": [[0, 0.0], [400_000, 400.0], [1_000_000, 700.0]],
            "trpo_mpi": [[0, 0.0], [1_000_000, 500.0]],
        }
        for task in TASKS
    }
    (directory / "baselines_mujoco1M_curves.json").write_text(json.dumps(baselines))
    return directory


def write_interpolation(run_directory: Path, peak: float = 1.0) -> dict[str, np.ndarray[Any, Any]]:
    """interpolation.parquet with the shape of the paper's Figure 2; L_CLIP is largest at `peak`."""
    x = np.linspace(-0.5, 2, 101)
    l_cpi = 0.04 * x + 0.012 * x**2
    columns = {
        "x": x,
        "kl": 0.0165 * x**2,
        "l_cpi": l_cpi,
        "l_clipped_ratio": 0.04 * np.tanh(x),
        "l_clip": l_cpi - 0.1 * np.maximum(x - peak, 0),
    }
    store.write_table(run_directory / "interpolation.parquet", columns, store.INTERPOLATION)
    reseal(run_directory)
    return columns
