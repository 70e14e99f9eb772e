"""Writes a batch of ours for `with_trl.py`, and compares what TRL made of it.

    python tests/parity/export.py write FILE     weights, prompts, responses; our numbers of them
    python tests/parity/export.py compare FILE THEIRS

Our side of `make parity-trl`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch

from repro.language import compose
from repro.language import responses as ours
from repro.language.ppo import PPO
from repro.language.training import Training
from repro.sweeps import sweep

EPISODES = 128
TOLERANCE = 1e-4
LINE = (
    *("recipe=trl", "kl.beta=0.05", f"algorithm.batch_size={EPISODES}", "algorithm.epochs=1"),
    *("algorithm.total_episodes=1280", "progress=false", "pretrain.steps=300"),
)


def stage(*given: str) -> PPO:
    """PPO by TRL's recipe, its parents trained where they are missing."""
    grid = compose.compose([*LINE, "runs_dir=runs/parity", *given])
    for configs in list(compose.stages(grid.configs))[:-1]:
        sweep.train_one(configs[0])
    made = Training(grid.configs)
    assert isinstance(made, PPO)
    return made


def write(path: Path) -> None:
    """One frozen batch. The policy is moved off its reference first, so that the KL is not 0."""
    made = stage()
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(made.parameters.flat.shape, generator=generator)
    made.parameters.flat.add_(0.02 * noise * (made.parameters.flat != 0))
    rollout = made.collect(made.parameters.views, EPISODES)
    batch = made.estimate(rollout)
    logits, values = made.evaluate(made.parameters.views, batch.prompts, batch.tokens)
    surrogate = made.surrogate.prepare([1.0])
    terms, _ = made.terms(logits, batch, surrogate)
    value_loss = made.value_loss(values, batch)
    beta = torch.tensor([0.05])
    kl = rollout.made.log_prob - rollout.reference
    from repro.language.returns import token_rewards

    rewards = token_rewards(rollout.score, kl, beta, rollout.mask, rollout.at)
    found = {
        "log_prob": rollout.made.log_prob[0],
        "values": batch.values[0],
        "rewards": rewards[0],
        "advantages": batch.advantages[0],
        "scores": rollout.score[0],
        "policy_loss": -terms[batch.mask].mean(),
        "value_loss": 0.5 * value_loss[batch.states].mean(),
        "mask": batch.mask[0],
        "states": batch.states[0],
    }
    assert made.judge is not None
    weights = {f"policy/{name}": x[0] for name, x in made.parameters.views.items()}
    weights |= {f"reference/{name}": x[0] for name, x in made.reference.items()}
    weights |= {f"reward/{name}": x[0] for name, x in made.judge.items()}
    batch_arrays = {"prompts": batch.prompts[0], "tokens": batch.tokens[0]}
    settings = {"heads": made.config.model.heads, "words": len(made.text.vocabulary)}
    settings |= {"end": made.text.end, "temperature": made.recipe.temperature}
    arrays = {f"ours/{name}": x for name, x in found.items()} | weights | batch_arrays
    plain = {name: x.detach().numpy() for name, x in arrays.items()}
    np.savez(path, **plain, **{f"setting/{name}": x for name, x in settings.items()})


def compare(path: Path, theirs: Path) -> int:
    """Largest differences; 1 where one is above the tolerance."""
    own, other = np.load(path), np.load(theirs)
    mask, states = own["ours/mask"], own["ours/states"]
    where = {"log_prob": mask, "values": states, "rewards": states, "advantages": mask}
    worst = 0.0
    for name in (
        "log_prob",
        "values",
        "scores",
        "rewards",
        "advantages",
        "policy_loss",
        "value_loss",
    ):
        kept = where.get(name, ...)
        gap = float(np.abs(own[f"ours/{name}"][kept] - other[name][kept]).max())
        worst = max(worst, gap)
        print(f"{name:<12} largest difference {gap:.1e}")
    return int(worst > TOLERANCE)


def train(theirs: Path) -> None:
    """Ours end to end beside TRL's: episodes a CPU second, and gold of the last batch."""
    made = stage("algorithm.epochs=4")
    begin = time.process_time()
    for record in made:
        gold = float(record.metrics["gold"][0])
    seconds = time.process_time() - begin
    episodes = made.config.algorithm.total_episodes
    other = np.load(theirs)
    prompts, tokens = (torch.from_numpy(other[name])[None] for name in ("prompts", "tokens"))
    mask, _ = ours.real_tokens(tokens, made.text.end, 0)
    their_gold = ours.gold(made.text, prompts, torch.where(mask, tokens, 0)).mean()
    speed, their_speed = episodes / seconds, float(other["episodes"] / other["seconds"])
    print(f"ours {speed:.0f} episodes a CPU second, gold {gold:.2f} after {episodes} episodes")
    print(f"TRL  {their_speed:.0f} episodes a CPU second, gold {their_gold:.2f} after as many")
    print(f"ratio {speed / their_speed:.1f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    command, *paths = sys.argv[1], *map(Path, sys.argv[2:])
    sys.exit({"write": write, "compare": compare, "train": train}[command](*paths))
