"""Statuses, file names, columns and units of a run directory: defined here and nowhere else."""

from __future__ import annotations

from repro.runs import language

SCHEMA_VERSION = 2  # of run.json: since 2 a run that has ended has the sums of its tables
LOCK = "lock"  # file in a run directory that its owner holds locked
RUNNING, DONE, FAILED, PREEMPTED = "RUNNING", "DONE", "FAILED", "PREEMPTED"

PARAMETERS_FILE = "parameters.npz"
EVALUATIONS_FILE = "evaluations.parquet"

LAST_EPISODES = 100  # a run's result is the mean return of its last so many, section 6.1

# name -> (type, meaning). Columns of wall-clock time begin with `time_`: two runs of one
# configuration are equal in all other columns, to the last bit on one CPU. `surrogate` to
# `clip_fraction` are means over the whole rollout after the last epoch, not over minibatches.
# Quantities that an algorithm does not have are null.
EPISODES: dict[str, tuple[str, str]] = {
    "iteration": ("int64", "iteration in which the episode ended, from 1"),
    "step": ("int64", "environment steps of the run, all its actors together, at the end"),
    "actor": ("int32", "index of the actor, from 0 to N - 1"),
    "return": ("float64", "sum of the task's own rewards: neither scaled, clipped nor discounted"),
    "length": ("int64", "steps of the episode"),
}
PROGRESS: dict[str, tuple[str, str]] = {
    "iteration": ("int64", "one collection of T steps and its update, from 1"),
    "step": ("int64", "environment steps so far, all actors together"),
    "episodes": ("int64", "episodes that ended in this iteration"),
    "return_mean": ("float64", "mean return of those episodes; null where there were none"),
    "surrogate": ("float64", "PPO's objective, KL penalty included; TRPO's L_CPI; L_PG elsewhere"),
    "value_loss": ("float64", "L_VF before c1, by its plain definition (V - V_targ)^2"),
    "entropy": ("float64", "S, in nats"),
    "kl": ("float64", "forward KL(old, new), in nats"),
    "clip_fraction": (
        "float64",
        "share of samples whose ratio is outside the clip range; null where an objective has no "
        "form that says what it is",
    ),
    "gradient_norm": (
        "float64",
        "2-norm of the first minibatch's gradient before clipping: joint, or the policy's alone "
        "where it takes a step of its own",
    ),
    "explained_variance": ("float64", "1 - Var(V_targ - V) / Var(V_targ), at collection"),
    "std": ("float64", "mean standard deviation of the actions; null for discrete actions"),
    "beta": ("float64", "coefficient of the KL penalty during this update"),
    "epsilon": (
        "float64",
        "clip range during this update, the first scalar that the schedule scales; null where it "
        "scales none",
    ),
    "learning_rate": ("float64", "the policy's step size during this update (Adam, RMSProp)"),
    "minibatches": (
        "int64",
        "steps of the policy: fewer than planned after an early stop; TRPO: 0 where the line "
        "search found none; CEM: generations that ended",
    ),
    "time_env": ("float64", "seconds in the simulators; times are a pack's over its active runs"),
    "time_forward": ("float64", "seconds in the policy's forward passes during collection"),
    "time_update": ("float64", "seconds in advantages, losses, gradients and Adam"),
    "time_other": ("float64", "seconds elsewhere in the iteration"),
}
EVALUATIONS: dict[str, tuple[str, str]] = {
    "evaluation": ("int64", "number of this evaluation of the run, from 1"),
    "deterministic": ("bool", "true: the most likely actions; false: sampled actions"),
    "seed": ("int64", "of the evaluation; with `episode` it determines start and noise"),
    "episode": ("int64", "from 1"),
    "return": ("float64", "sum of the task's own rewards, as in EPISODES"),
    "length": ("int64", "steps of the episode"),
    "time_at": ("string", "when the evaluation ended, UTC"),
    "versions": ("string", "JSON: package versions as in run.json, and git_revision"),
    "measures": (
        "string",
        "JSON: what the task measures besides, by name (docs/humanoid.md); null: nothing",
    ),
}
INTERPOLATION: dict[str, tuple[str, str]] = {
    "x": ("float64", "theta = theta_old + x (theta_new - theta_old)"),
    "kl": ("float64", "E[KL(old, theta)]"),
    "l_cpi": ("float64", "E[r A], equation 6"),
    "l_clipped_ratio": ("float64", "E[clip(r) A]"),
    "l_clip": ("float64", "E[min(r A, clip(r) A)], equation 7"),
}

# The growing tables of a run, `<name>.parquet` each, by `RunConfig.kind`.
SCHEMAS = {"control": {"episodes": EPISODES, "progress": PROGRESS}} | language.SCHEMAS
# Tables that a probe adds to a run directory as `<name>.parquet`.
TABLES = {"interpolation": INTERPOLATION} | language.TABLES
