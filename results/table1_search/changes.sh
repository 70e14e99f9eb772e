#!/bin/sh
# Blocks B, C and D of PLAN.md, one change at a time, into the directory of block A. Further
# arguments go to each command: sh changes.sh hydra.launcher.workers=1
set -eu
search() { "${PYTHON:-python}" -m repro -m +experiment=table1_search algorithm.entropy_coef=0 "$@"; }
changes() {
    search algorithm.learning_rate=1e-4,1e-3 "$@"
    search recipe.adam_epsilon=1e-8 "$@"
    search recipe.initial_log_std=-0.5,0.5 "$@"
    search recipe.time_limit=bootstrap "$@"
    search env.num_envs=8 algorithm.horizon=256 "$@"
    search recipe.policy_gain=1 "$@"
    search recipe.max_grad_norm=0.5 "$@"
    search recipe.clip_actions=true "$@"
}
raw="recipe.advantage_normalization=none"
changes recipe.observation_normalization=none $raw "$@"
changes recipe.observation_normalization=rollout $raw "$@"
search recipe.old_policy=stored recipe.observation_normalization=rollout $raw "$@"
changes recipe.observation_normalization=none recipe.advantage_normalization=rollout "$@"
