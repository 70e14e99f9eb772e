"""What the fault tests share: a small checkpoint, damage, and where the full forms' figures go."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from repro.runs.checkpoint import Checkpoint

RESULTS = Path(__file__).parents[2] / "results" / "reliability"


def small(iteration: int) -> Checkpoint:
    """A checkpoint whose every number tells its iteration."""
    rng = np.random.default_rng(iteration)
    return Checkpoint(
        iteration=iteration,
        fingerprint={"versions": {"torch": "2.13"}, "threads": 1},
        state={
            "iteration": iteration,
            "adam": {"mean": rng.random((3, 4), np.float32), "steps": np.float32(iteration)},
            "envs": {"generators": [rng.bit_generator.state, None]},
        },
        tables={"progress": {"step": np.arange(iteration), "kl": np.full(iteration, np.nan)}},
        history={"time_wall_s": 0.5, "cpu": "x", "resumed": []},
    )


def assert_is_small(found: Checkpoint) -> None:
    expected = small(found.iteration)
    np.testing.assert_equal(vars(found), vars(expected))
    assert found.state["adam"]["mean"].dtype == np.float32


def report(name: str, figures: dict[str, Any]) -> None:
    """Add figures to those in `results/reliability`; only `make test-faults` asks for it."""
    if os.environ.get("FAULT_FIGURES"):
        RESULTS.mkdir(parents=True, exist_ok=True)
        path = RESULTS / f"{name}.json"
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        text = json.dumps(before | figures, indent=2, sort_keys=True) + "\n"
        path.write_text(text, encoding="utf-8")


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
