"""Measures returns of random policies on the MuJoCo tasks: the zero of the normalized score.

The paper scores a run between "the random policy" (0) and the best result (1) without saying what
the random policy is, so three are measured:

- `uniform`: uniform over the action box;
- `gaussian`: a unit Gaussian, not clipped, so that the control cost is that of the full actions;
- `gaussian_clipped`: a unit Gaussian clipped to the action box.

    python -m repro.evaluation.random_policies --episodes 200 --out random_policies.csv
"""

from __future__ import annotations

import csv
import io
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray
from scipy import stats

from repro.cli import Parser, finish
from repro.envs.mujoco.vector import VERSIONS, MujocoVectorEnv
from repro.envs.vector import FloatArray
from repro.errors import ConfigError
from repro.runs.files import write_atomically

SEED = 20170720
"""Default seed. Each row of the table has its own streams, derived from seed, id and kind."""
MAX_PARALLEL = 20
CONFIDENCE = 0.95

ActionBatch = NDArray[np.float32]
Sampler = Callable[[np.random.Generator, Box, int], ActionBatch]


@dataclass(frozen=True)
class ReferenceRow:
    """One row of the table: undiscounted episode returns of one policy on one task."""

    env_id: str
    kind: str
    episodes: int
    mean: float
    std: float
    ci_low: float
    ci_high: float
    seed: int
    mujoco: str
    gymnasium: str


def scored_ids() -> list[str]:
    """The tasks of Table 1, whose scores are normalized."""
    names = (
        *("HalfCheetah", "Hopper", "InvertedDoublePendulum", "InvertedPendulum"),
        *("Reacher", "Swimmer", "Walker2d"),
    )
    return [f"{name}-v{version}" for name in names for version in VERSIONS]


def sample_uniform(rng: np.random.Generator, space: Box, num_envs: int) -> ActionBatch:
    """Actions uniform over the box, float32 [N, A]."""
    unit = rng.random((num_envs, *space.shape), dtype=np.float32)
    return (space.low + unit * (space.high - space.low)).astype(np.float32)


def sample_gaussian(rng: np.random.Generator, space: Box, num_envs: int) -> ActionBatch:
    """Unit Gaussian actions, not clipped, float32 [N, A]."""
    return rng.standard_normal((num_envs, *space.shape), dtype=np.float32)


def sample_gaussian_clipped(rng: np.random.Generator, space: Box, num_envs: int) -> ActionBatch:
    """Unit Gaussian actions clipped to the box, float32 [N, A]."""
    return np.clip(sample_gaussian(rng, space, num_envs), space.low, space.high)


SAMPLERS: dict[str, Sampler] = {
    "uniform": sample_uniform,
    "gaussian": sample_gaussian,
    "gaussian_clipped": sample_gaussian_clipped,
}


def episode_returns(env_id: str, kind: str, episodes: int, seed: int = SEED) -> FloatArray:
    """Play whole episodes with a random policy.

    Each environment plays a fixed number of episodes: taking those that end first would favor
    short ones.

    Args:
        env_id: a supported MuJoCo id.
        kind: a key of `SAMPLERS`.
        episodes: how many to play, at least 1.
        seed: determines the result, together with `env_id` and `kind`.

    Returns:
        Undiscounted returns [episodes], environment by environment.
    """
    counts = _split_evenly(episodes, min(episodes, MAX_PARALLEL))
    env = MujocoVectorEnv(env_id, len(counts))
    space = env.single_action_space
    assert isinstance(space, Box)
    action_stream, env_stream = _streams(env_id, kind, seed)
    rng = np.random.default_rng(action_stream)
    sample = SAMPLERS[kind]

    env.reset(seed=[int(word) for word in env_stream.generate_state(env.num_envs)])
    returns: list[list[float]] = [[] for _ in counts]
    running = np.zeros(env.num_envs)
    while any(len(each) < count for each, count in zip(returns, counts, strict=True)):
        _, rewards, terminated, truncated, _ = env.step(sample(rng, space, env.num_envs))
        running += rewards
        for i in np.flatnonzero(terminated | truncated):
            returns[i].append(float(running[i]))
            running[i] = 0.0
    kept = [each[:count] for each, count in zip(returns, counts, strict=True)]
    return np.concatenate(kept)


def _split_evenly(total: int, parts: int) -> list[int]:
    return [total // parts + (i < total % parts) for i in range(parts)]


def _streams(env_id: str, kind: str, seed: int) -> list[np.random.SeedSequence]:
    # From a hash of the row's name, so that a row does not depend on which others are measured.
    row_key = zlib.crc32(f"{env_id} {kind}".encode())
    return np.random.SeedSequence([seed, row_key]).spawn(2)


def measure(env_id: str, kind: str, episodes: int, seed: int = SEED) -> ReferenceRow:
    """Measure one row: mean, standard deviation and Student's t interval of the mean.

    Raises:
        ConfigError: fewer than two episodes, which have no interval.
    """
    if episodes < 2:
        raise ConfigError(f"--episodes is {episodes}, but an interval needs at least 2.")
    returns = episode_returns(env_id, kind, episodes, seed)
    mean, std = float(returns.mean()), float(returns.std(ddof=1))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, episodes - 1)) * std / episodes**0.5
    return ReferenceRow(
        env_id=env_id,
        kind=kind,
        episodes=episodes,
        mean=round(mean, 4),
        std=round(std, 4),
        ci_low=round(mean - half, 4),
        ci_high=round(mean + half, 4),
        seed=seed,
        mujoco=mujoco.__version__,
        gymnasium=gymnasium.__version__,
    )


def write_table(rows: Sequence[ReferenceRow], path: Path) -> None:
    """Write the rows as CSV, atomically."""
    text = io.StringIO()
    columns = [field.name for field in fields(ReferenceRow)]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    return finish(lambda: _run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: Sequence[str]) -> None:
    """Measure every supported task and policy, print each row, and write the table."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = Parser(prog="python -m repro.evaluation.random_policies", description=summary)
    parser.add_argument("--episodes", type=int, default=200, help="episodes a row (default 200)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"default {SEED}")
    parser.add_argument(
        "--out", type=Path, default=Path("results/reference/random_policies.csv"), help="CSV file"
    )
    options = parser.parse_args(arguments)
    rows: list[ReferenceRow] = []
    for env_id in scored_ids():
        for kind in SAMPLERS:
            row = measure(env_id, kind, options.episodes, options.seed)
            print(f"{row.env_id:26s} {row.kind:17s} {row.mean:9.2f} +- {row.std:.2f}")
            rows.append(row)
    write_table(rows, options.out)


if __name__ == "__main__":
    sys.exit(main())
